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

	unused    = 0             // in no table yet
	claimed   = 1             // by a table that is about to index it
	withdrawn = ^uint64(0)    // never to be found again
	first     = 1 << usesBits // a period's number is at least one
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
		if was <= claimed || was == withdrawn {
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
