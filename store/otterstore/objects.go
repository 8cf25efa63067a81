package otterstore

import (
	"errors"
	"math"
	"math/bits"
	"time"
	"unsafe"

	"github.com/stratacache/strata/store"
)

var errNilObject = errors.New("the object is nil")

// GetObject implements store.Objects. A hit allocates nothing and takes no lock.
// An entry that was stored with Set is returned as a *store.Entry, which may have
// expired and must not be modified.
func (s *Store) GetObject(key string) (obj any, ok bool) {
	if s.closed.Load() {
		return nil, false
	}
	i, ok := s.cache.GetIfPresent(key)
	if !ok {
		return nil, false
	}
	if e, is := i.obj.(*entry); is {
		return &e.Entry, true
	}
	return i.obj, true
}

// SetObject implements store.Objects. An object whose deadline has passed, or
// that is beyond Options.MaxEntry (store.ErrTooLarge), is not stored, and the key
// is then absent. A nil object is refused.
func (s *Store) SetObject(key string, obj any, cost int64, expires time.Time) error {
	const op = "setobject"
	if key == "" {
		return fail(op, key, store.ErrInvalidKey)
	}
	if obj == nil {
		return fail(op, key, errNilObject)
	}
	if !expires.IsZero() && !time.Now().Before(expires) {
		return s.write(op, func() { s.cache.Invalidate(key) })
	}
	cost = min(max(cost, 0), math.MaxInt64-1<<40) + overhead(key)
	return s.put(op, key, obj, cost)
}

// perEntry is what one key costs in the engine beside the object: a node, a slot
// of the hash table, and the cell that holds a value which has been replaced.
// TestHeapWithinCapacity holds it to account.
const perEntry = 160

// entryCost is the memory that e occupies, everything included.
func entryCost(key string, e *entry) int64 {
	n := overhead(key) + int64(unsafe.Sizeof(*e)) + sizeClass(int64(cap(e.Value)))
	if len(e.Tags) > 0 {
		n += int64(len(e.Tags)) * int64(unsafe.Sizeof(""))
		for _, tag := range e.Tags {
			n += int64(len(tag))
		}
	}
	return n
}

// overhead is what a key costs beside its object.
func overhead(key string) int64 { return perEntry + sizeClass(int64(len(key))) }

// sizeClass is about what the allocator spends on n bytes: it rounds up to one
// of eight sizes per doubling, and large allocations to pages of 8 KiB.
func sizeClass(n int64) int64 {
	switch {
	case n <= 0:
		return 0
	case n <= 64:
		return (n + 15) &^ 15
	case n > 32<<10:
		return (n + 8191) &^ 8191
	}
	step := int64(1) << (bits.Len64(uint64(n-1)) - 4)
	return (n + step - 1) &^ (step - 1)
}
