package index

import "sync/atomic"

// Often is how many reads of an object in one period are reported.
const Often = 3

// Header is the beginning of an object that a Table can hold. An object is for one
// key of one Table: where it is stored again, it is not indexed. The zero Header is
// ready for use.
type Header struct {
	check uint64 // of the key
	self  any    // the object
	// uses is period<<usesBits + the reads reported in it, or one of the states
	// below.
	uses atomic.Uint64
}

// Object is implemented by objects that begin with a Header.
type Object interface {
	IndexHeader() *Header
}

const (
	usesBits = 8
	usesMask = 1<<usesBits - 1

	unused  = 0             // in no table yet
	claimed = 1             // by a table that is about to index it
	first   = 1 << usesBits // a period's number is at least one

	// Those that are never to be found again.
	withdrawn = ^uint64(0)
	replaced  = ^uint64(0) - 1 // the engine has another in its place, or was told to drop it
	dropped   = ^uint64(0) - 2 // the engine has dropped it by itself
	last      = dropped
)

// IndexHeader implements Object for types that embed a Header.
func (h *Header) IndexHeader() *Header { return h }

// count returns the reads that were reported, as of period.
func count(uses, period uint64) uint64 {
	return uses & usesMask >> min(period-uses>>usesBits, 63)
}

// use counts a read that is reported, and returns the count. It returns false if the
// object is in no table, or has been withdrawn. It counts Often no second time.
func (h *Header) use(period uint64) (found bool, n uint64) {
	for {
		was := h.uses.Load()
		if was <= claimed || was >= last {
			return false, 0
		}
		n = count(was, period) + 1
		if n > Often {
			return true, n
		}
		if h.uses.CompareAndSwap(was, period<<usesBits|n) {
			return true, n
		}
	}
}

// retire moves h to one of the states in which it is not found. What the engine did
// is not forgotten for a mere withdrawal.
func (h *Header) retire(state uint64) {
	for {
		was := h.uses.Load()
		if was == dropped || was >= last && state == withdrawn {
			return
		}
		if h.uses.CompareAndSwap(was, state) {
			return
		}
	}
}

// Replaced notes that the engine has let go of obj; by itself, if Table.DropObject
// came before.
func Replaced(obj any) {
	if o, ok := obj.(Object); ok {
		o.IndexHeader().retire(replaced)
	}
}

// Dropped reports whether the engine has dropped h's object by itself.
func (h *Header) Dropped() bool { return h.uses.Load() == dropped }

// Replaced reports whether the engine has let go of h's object because somebody
// replaced or removed it.
func (h *Header) Replaced() bool { return h.uses.Load() == replaced }
