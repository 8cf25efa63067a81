package memstore

import "github.com/stratacache/strata/store"

// Stats implements store.Statser. Hits and Misses count GetObject too. Entries
// and Bytes are those of the moment and may be a few writes apart; after Close
// they are zero.
func (s *Store) Stats() store.Stats {
	st := store.Stats{
		Sets:       s.sets.Load(),
		Deletes:    s.deletes.Load(),
		Evictions:  s.evictions.Load(),
		Rejections: s.rejections.Load(),
		Expired:    s.expired.Load(),
		Capacity:   s.size.main + s.size.window + s.size.fixed,
	}
	for i := range s.stripes {
		st.Hits += s.stripes[i].hits.Load()
		st.Misses += s.stripes[i].misses.Load()
	}
	if !s.closed.Load() {
		s.measure(&st)
	}
	return st
}

// measure fills in the sizes. It has the engine decide on what is in flight, or
// that would be counted twice.
func (s *Store) measure(st *store.Stats) {
	var entries, bytes, window int64
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		if s.closed.Load() {
			sh.mu.Unlock()
			return
		}
		s.land(sh)
		for _, sl := range sh.slots {
			if c := sl.header.Cell(); c == nil || c.Gone() {
				entries++
			}
		}
		bytes += sh.bytes
		window += int64(len(sh.slots))
		sh.mu.Unlock()
	}
	st.Entries = entries + max(s.live.Load(), 0)
	s.budgetMu.Lock()
	defer s.budgetMu.Unlock()
	s.setBudget()
	st.Bytes = bytes + s.size.fixed + s.idle() + s.cache.MaxCost() - s.cache.RemainingCost()
	st.Extra = map[string]float64{"window_entries": float64(window)}
}
