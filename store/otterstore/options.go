package otterstore

import (
	"fmt"
	"math"
)

// The defaults and limits of Options.
const (
	DefaultCapacity = 64 << 20
	MinCapacity     = 1 << 20
)

// Options configures a Store. The zero value is the default.
type Options struct {
	// Capacity is the memory that the store may occupy, in bytes. 0 means
	// DefaultCapacity; the least is MinCapacity.
	Capacity int64

	// MaxEntry is the size in bytes, key and bookkeeping included, beyond which
	// an entry is refused with store.ErrTooLarge. 0 means an eighth of Capacity,
	// but at most 1 GiB; the most is 4 GiB less a byte.
	MaxEntry int64

	// OnEvict is called with each object that is dropped for room, not with those
	// that are deleted, replaced or cleared. An entry comes as a *store.Entry. It
	// runs on a goroutine of its own, after the object has gone.
	OnEvict func(obj any)
}

// withDefaults returns the options with defaults filled in, or an error that
// names the field.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Capacity == 0 {
		c.Capacity = DefaultCapacity
	}
	switch {
	case c.Capacity < MinCapacity:
		return c, fmt.Errorf("otterstore: Options.Capacity is %d bytes; the least is %d", c.Capacity, int64(MinCapacity))
	case c.MaxEntry < 0 || c.MaxEntry > min(c.Capacity, math.MaxUint32):
		return c, fmt.Errorf("otterstore: Options.MaxEntry is %d bytes; want 0 to Capacity, %d, and less than 4 GiB", c.MaxEntry, c.Capacity)
	}
	if c.MaxEntry == 0 {
		c.MaxEntry = min(c.Capacity/8, 1<<30)
	}
	return c, nil
}
