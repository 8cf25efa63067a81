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
	if in := s.enter(); in != nil {
		s.measure(&st)
		in.other.Add(1)
	}
	return st
}

// measure fills in the sizes.
func (s *Store) measure(st *store.Stats) {
	st.Entries = max(s.live.Load(), 0)
	st.Bytes = s.size.fixed + s.cache.MaxCost() - s.cache.RemainingCost()
	var window float64
	for i := range s.shards {
		sh := &s.shards[i]
		sh.rw.RLock()
		for key := range sh.slots {
			if !s.holds(key) {
				st.Entries++
			}
		}
		st.Bytes += sh.bytes
		window += float64(len(sh.slots))
		sh.rw.RUnlock()
	}
	st.Extra = map[string]float64{"window_entries": window}
}
