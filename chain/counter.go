package chain

import (
	"sync/atomic"
	"unsafe"
)

// counter is an event counter that goroutines on different processors rarely
// share a cache line of, so that counting a memory hit costs a few nanoseconds
// in parallel too. It is the idea of Java's LongAdder.
type counter struct {
	cells [16]struct {
		n atomic.Uint64
		_ [56]byte // one cell a cache line
	}
}

// add counts n events and returns the count of this cell.
func (c *counter) add(n uint64) uint64 {
	return c.cells[cell()%uint(len(c.cells))].n.Add(n)
}

// load returns the sum. It is not a snapshot of one instant.
func (c *counter) load() uint64 {
	var sum uint64
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}

// cell returns a number that differs between goroutines and costs nothing: where
// their stack lies. The pointer is not kept.
func cell() uint {
	var here byte
	return uint(uintptr(unsafe.Pointer(&here)) >> 12)
}
