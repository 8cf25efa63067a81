package chain

import (
	"sync/atomic"
	"unsafe"
)

// counter is an event counter that goroutines on different processors rarely
// share a cache line of, so that counting a memory hit costs a few nanoseconds
// in parallel too. It is the idea of Java's LongAdder.
type counter struct {
	cells [1 << cellBits]counterCell
}

// counterCell is one cache line.
type counterCell struct {
	n atomic.Uint64

	tick, at atomic.Uint64 // for addSinceTick
	_        [40]byte
}

// add counts n events and returns the count of this cell.
func (c *counter) add(n uint64) uint64 {
	return c.cells[cell()].n.Add(n)
}

// addSinceTick counts one event. It returns how many the cell has counted altogether,
// and how many of them since tick became what it is.
func (c *counter) addSinceTick(tick uint64) (all, since uint64) {
	l := &c.cells[cell()]
	all = l.n.Add(1)
	if l.tick.Load() != tick {
		l.tick.Store(tick)
		l.at.Store(all - 1)
	}
	return all, all - l.at.Load()
}

// load returns the sum. It is not a snapshot of one instant.
func (c *counter) load() uint64 {
	var sum uint64
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}

const cellBits = 4

// cell returns a number below 1<<cellBits that differs between goroutines and costs
// nothing: where their stack lies, in steps of the smallest stack. Neighbours are
// apart by its multiplication with the golden ratio (Knuth). The pointer is not kept.
func cell() uint64 {
	var here byte
	return uint64(uintptr(unsafe.Pointer(&here))) >> 11 * 0x9E3779B97F4A7C15 >> (64 - cellBits)
}
