package chain

import (
	"hash/maphash"
	"sync"
)

// stripes is the number of fences. A collision of two keys only drops a fill
// that would have been safe, so a few thousand serve any number of keys.
const stripes = 4096

// fences keep what was read before a write or delete from being put into memory,
// or handed to readers, after it. Each key maps to a stripe with the stamp of the
// last write that began, took hold or ended there; a read carries the stamp at
// which it began, and is dropped or done again where the fence is higher. The
// stripe's lock makes "compare and put into memory" one step.
//
// A write raises its fence when it begins, when it holds the key's lock, and when
// it reaches memory, each time with a fresh stamp: a read that starts in between
// may find the old value in one tier and another reader the new one in the next.
// For the same reason nothing is filled into memory while a write is at work: what
// memory holds then is from before the write, or is nothing. What was turned away
// meanwhile goes into no tier afterwards, or it would come to light once something
// later has been seen. A write that still waits for the key's lock has changed
// nothing, and turns nothing away that began after it.
type fences struct {
	seed    maphash.Seed
	stripes [stripes]stripe
	broken  bool // set by tests only, which must notice
}

type stripe struct {
	mu   sync.Mutex
	at   uint64 // nothing that was read before this stamp may land
	fill uint64 // version of the process when something last went into memory, but by a flush
	busy int    // writes that ask tiers before they settle, from their begin on
	work int    // those of them that hold the key's lock, and have not settled
}

func (f *fences) of(key string) *stripe {
	return &f.stripes[maphash.String(f.seed, key)%stripes]
}

// begin drops all fills of key that began before version, the one of a write that will
// ask tiers; end must follow.
func (f *fences) begin(key string, version uint64) {
	s := f.of(key)
	s.mu.Lock()
	s.at = max(s.at, version)
	s.busy++
	s.mu.Unlock()
}

// end says that the write has settled or was given up.
func (f *fences) end(key string) {
	s := f.of(key)
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
}

// settled says that an operation is not at work any more. The stripe's lock is held
// since its fence was raised: nothing that was kept from memory until now may land later.
func (s *stripe) settled(o *operation) {
	if o.atWork {
		o.atWork = false
		s.work--
	}
}

// open reports whether a fill that began at stamp may still land. The answer
// holds only while writers of the key are kept away by its key lock.
func (f *fences) open(key string, stamp uint64) bool {
	s := f.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at <= stamp || f.broken
}

// raiseAll drops every fill in flight, for Clear.
func (f *fences) raiseAll(version uint64) {
	for i := range f.stripes {
		s := &f.stripes[i]
		s.mu.Lock()
		s.at = max(s.at, version)
		s.mu.Unlock()
	}
}
