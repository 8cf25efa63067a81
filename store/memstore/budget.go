package memstore

// This file is what the engine may spend: its share of the capacity, less what large
// entries in the window and emptied places of its maps take.

// reserve takes the bytes of a large entry in the window from the engine's
// budget; the others have a budget of their own.
func (s *Store) reserve(bytes int64) {
	s.budgetMu.Lock()
	defer s.budgetMu.Unlock()
	s.reserved += bytes
	s.setBudget()
}

// adjust follows the number of entries with the engine's budget, and returns what is
// left of it.
func (s *Store) adjust() (left int64) {
	s.budgetMu.Lock()
	defer s.budgetMu.Unlock()
	return s.setBudget()
}

// setBudget sets what the engine may spend on entries, and returns what is left. The
// caller holds budgetMu.
func (s *Store) setBudget() (left int64) {
	live := s.live.Load()
	s.peak = max(s.peak, live)
	s.ticks.Store(ticksFor(live))
	s.cache.UpdateMaxCost(max(s.size.main-s.reserved-s.idle(), 1))
	left = s.cache.RemainingCost()
	s.tight.Store(left < 0)
	// Until this is called again, the engine is sent a window at most, and a large
	// entry; as much may be in its queue.
	s.roomy.Store(left >= 2*(s.size.window+s.size.maxEntry))
	return left
}

// idle is the memory that entries leave behind in the engine: Go's maps never
// shrink. The caller holds budgetMu.
func (s *Store) idle() int64 { return max(s.peak-s.live.Load(), 0) * perIdleSlot }

// release gives back what was reserved for sl.
func (s *Store) release(sl *slot) {
	if sl.large {
		sl.large = false
		s.reserve(-sl.cost)
	}
}
