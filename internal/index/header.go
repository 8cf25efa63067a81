package index

import (
	"sync/atomic"
	"unsafe"
)

// Header is the beginning of an object that a Table can hold: its first field. An
// object is for one key of one Table. The zero Header is ready for use.
type Header struct {
	check uint64 // of the key
	// typ is the object's type, and with h the object as an interface: an
	// interface of its own would be eight bytes more of the line that a hit reads.
	typ  unsafe.Pointer
	cell atomic.Pointer[Cell] // in which the engine has the object; set by the writer of its key
	// uses is the epoch of the last read, times two, plus one if the policy was told
	// of it; or one of the states below.
	uses atomic.Uint64
}

// Object is implemented by objects that begin with a Header.
type Object interface {
	IndexHeader() *Header
}

const (
	unused  = 0 // in no table yet
	claimed = 1 // by a table that is about to index it
	first   = 2 // the number of the first epoch

	told = 1 // of uses

	withdrawn = ^uint64(0) // never to be found again
)

// IndexHeader implements Object for types that embed a Header.
func (h *Header) IndexHeader() *Header { return h }

// indexed reports whether uses is that of an object which can be found.
func indexed(uses uint64) bool { return uses > claimed && uses < withdrawn }

// read notes a read, and returns false if the object is in no table, or has been
// withdrawn. news says that it is the first one in this epoch.
func (h *Header) read(epoch uint64) (found, news bool) {
	for {
		was := h.uses.Load()
		switch {
		case !indexed(was):
			return false, false
		case was>>1 >= epoch:
			return true, false
		case h.uses.CompareAndSwap(was, epoch<<1):
			return true, true
		}
	}
}

// Untold reports whether there was a read of which the policy has to be told, and is
// now to be: of a second call there is not.
func (h *Header) Untold() bool {
	was := h.uses.Load()
	return indexed(was) && was&told == 0 && h.uses.CompareAndSwap(was, was|told)
}

// retire sees to it that h is not found any more, and returns what uses was.
func (h *Header) retire() (was uint64) { return h.uses.Swap(withdrawn) }

// eface is how an interface without methods lies in memory.
type eface struct{ typ, data unsafe.Pointer }

// own notes the type of obj, and reports whether obj is a pointer to what begins
// with h: only then can it be told from h again.
func (h *Header) own(obj any) bool {
	e := (*eface)(unsafe.Pointer(&obj))
	if e.data != unsafe.Pointer(h) {
		return false
	}
	h.typ = e.typ
	return true
}

// Object returns the object that begins with h, which a Table has claimed.
func (h *Header) Object() (obj any) {
	*(*eface)(unsafe.Pointer(&obj)) = eface{h.typ, unsafe.Pointer(h)}
	return obj
}

// Cell returns the cell in which the engine has the object, or had it; nil: none.
func (h *Header) Cell() *Cell { return h.cell.Load() }
