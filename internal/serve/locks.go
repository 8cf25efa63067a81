package serve

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// stripes is the number of locks. Two keys of one stripe wait for each other,
// which costs time and is never wrong.
const stripes = 1024

// locks make commands that read and write one step.
type locks struct {
	seed    maphash.Seed
	stripes [stripes]stripe
	// multi counts the transactions and writes of several keys that are under way,
	// and rounds those that have begun: what reads must not see half of.
	multi  atomic.Int32
	rounds atomic.Uint64
}

type stripe struct {
	mu      sync.Mutex
	watches map[string]map[*conn]struct{} // who watches which keys; nil: nobody
	_       [40]byte
}

func (l *locks) init() { l.seed = maphash.MakeSeed() }

func (l *locks) index(key []byte) int { return int(maphash.Bytes(l.seed, key) % stripes) }

func (l *locks) of(key []byte) *stripe { return &l.stripes[l.index(key)] }

// set is the stripes of several keys, in the order in which all take them.
type set []int

// lockAll takes the stripes of keys. With all, those of every key.
func (l *locks) lockAll(keys [][]byte, all bool) set {
	var s set
	if all {
		s = make(set, stripes)
		for i := range s {
			s[i] = i
		}
	} else {
		s = make(set, len(keys))
		for i, key := range keys {
			s[i] = l.index(key)
		}
		slices.Sort(s)
		s = slices.Compact(s)
	}
	for _, i := range s {
		l.stripes[i].mu.Lock()
	}
	return s
}

func (l *locks) unlockAll(s set) {
	for _, i := range s {
		l.stripes[i].mu.Unlock()
	}
}

// begin takes the stripes of a write of several keys; end gives them back.
func (l *locks) begin(keys [][]byte, all bool) set {
	s := l.lockAll(keys, all)
	l.multi.Add(1)
	l.rounds.Add(1)
	return s
}

func (l *locks) end(s set) {
	l.multi.Add(-1)
	l.unlockAll(s)
}

// touch tells those who watch key that it has changed. The stripe is held.
func (st *stripe) touch(key []byte) {
	if st.watches == nil {
		return
	}
	for c := range st.watches[string(key)] {
		c.tx.dirty.Store(true)
	}
}

// with runs f, which writes key, in one step with what else writes it.
func (c *conn) with(key []byte, f func(st *stripe)) {
	st := c.s.locks.of(key)
	if !c.held {
		st.mu.Lock()
		defer st.mu.Unlock()
	}
	f(st)
}
