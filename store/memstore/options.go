package memstore

import "fmt"

// The defaults and limits of Options.
const (
	DefaultCapacity = 64 << 20
	MinCapacity     = 1 << 20
)

// Options configures a Store. The zero value is the default.
type Options struct {
	// Capacity is the memory that the store may occupy, in bytes, everything
	// included. 0 means DefaultCapacity; the least is MinCapacity.
	Capacity int64

	// Items is about how many entries the store holds when it is full. It sizes
	// the engine's frequency counters, ten per item, of which an eighth of
	// Capacity at most is spent. 0 means one per KiB of Capacity.
	Items int64

	// MaxEntry is the size in bytes, key and bookkeeping included, beyond which
	// an entry is refused with store.ErrTooLarge. 0 means an eighth of Capacity,
	// so that one entry does not push out all others. It is at most Capacity,
	// less what the engine's tables take.
	MaxEntry int64

	// OnEvict is called with each object that is dropped for room or was not
	// admitted, not for those that are deleted, replaced or cleared. An entry
	// comes as a *store.Entry. It runs on the engine's goroutine or on that of
	// somebody who writes: it must be quick, and must not use the store, or both may
	// wait for ever.
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
		return c, fmt.Errorf("memstore: Options.Capacity is %d bytes; the least is %d", c.Capacity, int64(MinCapacity))
	case c.Items < 0:
		return c, fmt.Errorf("memstore: Options.Items is negative: %d", c.Items)
	case c.MaxEntry < 0 || c.MaxEntry > c.Capacity:
		return c, fmt.Errorf("memstore: Options.MaxEntry is %d bytes; want 0 to Capacity, %d", c.MaxEntry, c.Capacity)
	}
	if c.Items == 0 {
		c.Items = c.Capacity / 1024
	}
	if c.MaxEntry == 0 {
		c.MaxEntry = c.Capacity / 8
	}
	return c, nil
}
