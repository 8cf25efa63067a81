package chain

import (
	"hash/maphash"
	"sync"
)

// stripes is the number of fences. A collision of two keys only drops a fill
// that would have been safe, so a few thousand serve any number of keys.
const stripes = 4096

// fences keep a fill that began before a write or delete out of the memory
// tier. Each key maps to a stripe with the stamp of the last write that began or
// ended there; a fill carries the stamp at which its read or load began, and is
// dropped where the fence is higher. The stripe's lock makes "compare and put
// into memory" one step.
//
// A write raises its fence twice: when it begins, and again (with a fresh stamp)
// when it reaches memory, because a read that started in between may have found
// the old value in a tier that the write had not reached yet.
type fences struct {
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	mu sync.Mutex
	at uint64 // no fill that began before this stamp may land
}

func (f *fences) of(key string) *stripe {
	return &f.stripes[maphash.String(f.seed, key)%stripes]
}

// raise drops all fills of key that began before version.
func (f *fences) raise(key string, version uint64) {
	s := f.of(key)
	s.mu.Lock()
	s.at = max(s.at, version)
	s.mu.Unlock()
}

// open reports whether a fill that began at stamp may still land. The answer
// holds only while writers of the key are kept away by its key lock.
func (f *fences) open(key string, stamp uint64) bool {
	s := f.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at <= stamp
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
