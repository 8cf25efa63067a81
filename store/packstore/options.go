package packstore

import (
	"fmt"

	"github.com/stratacache/strata/store"
)

// The default and the least Capacity, in bytes.
const (
	DefaultCapacity = 64 << 20
	MinCapacity     = 1 << 20
)

// Options configures a Store. The zero value is the default.
type Options struct {
	// Capacity is the memory that the store may occupy, in bytes, everything
	// included. 0 means DefaultCapacity.
	Capacity int64
	// MaxEntry is the size in bytes, key included, beyond which an entry is
	// refused with store.ErrTooLarge. 0 means an eighth of Capacity.
	MaxEntry int64
	// Unpack makes an object of what a store.Packer was packed into. The value is
	// the object's to keep. Nil keeps all objects as they are.
	Unpack func(*store.Packed) any
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
		return c, fmt.Errorf("packstore: Options.Capacity is %d bytes; the least is %d", c.Capacity, int64(MinCapacity))
	case c.MaxEntry < 0 || c.MaxEntry > c.Capacity:
		return c, fmt.Errorf("packstore: Options.MaxEntry is %d bytes; want 0 to Capacity, %d", c.MaxEntry, c.Capacity)
	}
	if c.MaxEntry == 0 {
		c.MaxEntry = c.Capacity / 8
	}
	return c, nil
}
