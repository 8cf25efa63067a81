package memstore

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// numStripes is a power of two, well above the number of processors that read
// at once on common machines.
const (
	numStripes  = 64
	stripesSize = numStripes * int64(unsafe.Sizeof(stripe{}))
)

// stripe counts reads, for statistics, and those of the engine, so that Close can
// wait for those under way: the engine does not survive a Get while it closes.
// Readers are spread over stripes of a cache line each.
type stripe struct {
	hits   atomic.Uint64
	misses atomic.Uint64
	begun  atomic.Uint64 // reads of the engine
	ended  atomic.Uint64
	_      [128 - 4*8]byte
}

// stripe picks a stripe by the address of the stack, which differs between
// goroutines and costs nothing to read.
func (s *Store) stripe() *stripe {
	var here byte
	x := uint64(uintptr(unsafe.Pointer(&here))) >> 10 * 0x9E3779B97F4A7C15
	return &s.stripes[x>>(64-6)]
}

// enter begins a read of the engine. It returns false if the store is closed;
// otherwise the caller calls leave, and takes no shard's write lock before that:
// Close holds them while it waits.
func (s *Store) enter(st *stripe) bool {
	st.begun.Add(1)
	if s.closed.Load() {
		st.leave()
		return false
	}
	return true
}

func (st *stripe) leave() { st.ended.Add(1) }

// hit and miss count a read.
func (s *Store) hit(st *stripe) {
	if n, ticks := st.hits.Add(1), s.ticks.Load(); n&(ticks-1) == 0 {
		s.tick(ticks)
	}
}

func (s *Store) miss(st *stripe) {
	if n, ticks := st.misses.Add(1), s.ticks.Load(); n&(ticks-1) == 0 {
		s.tick(ticks)
	}
}

const (
	// epochReads is how many reads of each entry, on average, make an epoch.
	epochReads = 2
	// maxTicks is a power of two, and ticksPerEpoch into how many parts a short epoch is
	// divided: a store of a few large entries goes by reads that are counted in ones.
	maxTicks      = 64
	ticksPerEpoch = 32
)

// ticksFor is how many reads of a stripe are counted at once in a store of so many
// entries.
func ticksFor(entries int64) uint64 {
	return uint64(min(pow2(max(entries, 1)*epochReads/ticksPerEpoch), maxTicks))
}

// tick counts reads, and begins an epoch when there were enough of them.
func (s *Store) tick(reads uint64) {
	if s.reads.Add(int64(reads)) >= epochReads*s.live.Load() {
		s.reads.Store(0)
		s.index.NextEpoch()
	}
}

// waitReaders returns once no read is under way that began before closed was
// set. Ends never outrun beginnings, so that if the ends, counted first, equal
// the beginnings, there was a moment between without a reader.
func (s *Store) waitReaders() {
	for i := range s.stripes {
		st := &s.stripes[i]
		for {
			ended := st.ended.Load()
			if st.begun.Load() == ended {
				break
			}
			runtime.Gosched()
		}
	}
}
