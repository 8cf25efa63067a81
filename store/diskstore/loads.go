package diskstore

import (
	"slices"
	"sync"
)

// loads are the Loads under way, by the sequence that each has taken: its rows
// will come in between those that are older and those that are newer. Until then
// the two must not be merged, and tombstones hide what is not there yet.
type loads struct {
	mu   sync.Mutex
	seqs []uint64
}

func (l *loads) begin(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seqs = append(l.seqs, seq)
}

func (l *loads) end(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.seqs, seq); i >= 0 {
		l.seqs = slices.Delete(l.seqs, i, i+1)
	}
}

// any reports whether a Load is under way. Who asks before looking at the state
// sees either that or what the Load has written.
func (l *loads) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seqs) > 0
}

// between reports whether a Load's rows will come between two segments.
func (l *loads) between(newer, older *seg) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.seqs, func(seq uint64) bool {
		return older.Meta.MaxSeq < seq && seq < newer.Meta.MinSeq
	})
}
