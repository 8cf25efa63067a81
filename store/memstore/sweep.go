package memstore

import "github.com/stratacache/strata/internal/index"

// This file is what the engine's policy lacks. It has to be told of reads, which costs
// more than they do, and it knows how often a key was read, but not when: what was read
// often a while ago keeps out what is read now, until its counters have been halved
// often enough. So, as the hand of a clock does, each hand-over passes over a part of
// the index, tells the policy of the reads it finds there, and removes what nobody has
// read for some time, where room is needed.

const (
	// sweepPerEntry is how many objects are looked at for each entry that is handed
	// over.
	sweepPerEntry = 8

	// idleEpochs is for how long nobody has read an entry that is removed before the
	// policy chooses among the others: between eight and ten reads of each entry, on
	// average. Entries about which the policy is right are read more often; with less,
	// it loses more on steady frequencies than it gains where they shift (decision 017).
	idleEpochs = 5

	// tellings is how often the policy is told of the reads of an entry in an epoch. It
	// admits a new key where two are read alike; twice keeps what is there.
	tellings = 2
)

// sweep makes ready for the entries in flight: room is what the engine has left. The
// caller holds sh.mu.
func (s *Store) sweep(sh *shard, room int64) {
	if s.roomy.Load() {
		return // nothing will be dropped: who is read how often can wait
	}
	need := sh.flightBytes - room
	for n, left := sweepPerEntry*len(sh.flight), s.index.Buckets(); n > 0 && left > 0; left-- {
		s.index.Look(s.hand.Add(1), func(h *index.Header, idle uint64) {
			n--
			c := h.Cell()
			if c == nil {
				return // in the window; send tells
			}
			if h.Untold() {
				for range tellings {
					s.cache.Get(c.Hash())
				}
			}
			if need > 0 && idle >= idleEpochs && s.removeIdle(sh, c, h) {
				sh.sent++
				need -= c.Cost()
			}
		})
	}
}

// removeIdle removes what the engine holds in c, if that is still h's object. It is an
// eviction, but for who decides on it. The caller holds own.mu; if another writer has
// the key's shard, the object stays.
func (s *Store) removeIdle(own *shard, c *index.Cell, h *index.Header) bool {
	// The lock keeps the key from being inserted again before it is removed here.
	if sh := s.shardOf(index.Key{Hash: c.Hash()}); sh != own {
		if !sh.mu.TryLock() {
			return false
		}
		defer sh.mu.Unlock()
	}
	if !c.DropOnly(h) {
		return false
	}
	s.dropped(&s.evictions, c.Hash(), h)
	s.cache.Del(c.Hash())
	return true
}
