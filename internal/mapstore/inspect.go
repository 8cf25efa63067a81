package mapstore

import "github.com/stratacache/strata/store"

// What follows looks into a store behind its contract.

// Peek returns the entry of key, expired or not, without counting a read.
func (s *Store) Peek(key string) (store.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	return e, ok
}

// Plant puts an entry into the store as it is, without counting a write.
func (s *Store) Plant(key string, e store.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = map[string]store.Entry{}
	}
	s.entries[key] = e
}

// Wipe removes all entries, as a server that was emptied behind one's back.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.entries)
}

// Len returns the number of entries, expired ones included.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// Reads returns how often key was asked for, by itself and in batches.
func (s *Store) Reads(key string) int { return s.counted(&s.reads, key) }

// Fills returns how many fills of key were stored.
func (s *Store) Fills(key string) int { return s.counted(&s.fills, key) }

// Writes returns how many sets and fills of key were stored.
func (s *Store) Writes(key string) int { return s.counted(&s.writes, key) }

func (s *Store) counted(n *map[string]int, key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (*n)[key]
}

// TakeBatches returns the number of GetMany since the last call.
func (s *Store) TakeBatches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.batches
	s.batches = 0
	return n
}
