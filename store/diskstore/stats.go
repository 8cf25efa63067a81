package diskstore

import (
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/store"
)

// counters are what Stats reports.
type counters struct {
	reads [guardSlots]readCounters

	sets, deletes, rejections   atomic.Uint64
	evictions, expired          atomic.Uint64
	corrupt, errors             atomic.Uint64
	sealedBytes, compactedBytes atomic.Uint64
	compactions                 atomic.Uint64
	lastCompaction              atomic.Int64 // microseconds
}

// readCounters are spread over cache lines, as the guard's slots are.
type readCounters struct {
	hits, misses atomic.Uint64
	_            [112]byte
}

func (c *counters) hit(spread uint64)  { c.reads[spread%guardSlots].hits.Add(1) }
func (c *counters) miss(spread uint64) { c.reads[spread%guardSlots].misses.Add(1) }

// Stats returns the counters and sizes, without looking anything up. Entries is
// exact once all is sealed and compacted. Until then a key that was replaced in
// memory counts twice, one that was deleted there still counts, and expired
// entries count until compaction has dropped them; Scan counts exactly. Extra
// holds:
//
//	segments             live segments
//	memory_entries       entries that are not yet sealed
//	journal_bytes        size of the journal
//	live_bytes, dead_bytes, expired_bytes
//	                     what the segments hold, about
//	write_amplification  bytes written to segments / bytes sealed
//	compactions          since Open
//	last_compaction      Unix seconds; 0: none since Open
//	table_bytes          size of the table files
//	lost_segments        segments of which only the index is left
func (s *Store) Stats() store.Stats {
	c := s.guard.enter(0)
	defer leave(c)
	st := s.state.Load()
	now := time.Now().UnixMicro()
	out := store.Stats{
		Sets: s.n.sets.Load(), Deletes: s.n.deletes.Load(), Rejections: s.n.rejections.Load(), Evictions: s.n.evictions.Load(),
		Expired: s.n.expired.Load(), Corrupt: s.n.corrupt.Load(), Errors: s.n.errors.Load(), Capacity: s.opts.Capacity,
	}
	for i := range s.n.reads {
		out.Hits += s.n.reads[i].hits.Load()
		out.Misses += s.n.reads[i].misses.Load()
	}
	memory := st.mem.live.Load()
	for _, m := range st.frozen {
		memory += m.live.Load()
	}
	var size, dead, expired, lost int64
	for _, g := range st.segs {
		if g.lostAt != 0 {
			lost++
			continue
		}
		out.Entries += max(0, g.Meta.Rows-g.Meta.Deleted-g.deadRows.Load())
		size += g.Meta.Size + g.Meta.IndexSize
		dead += g.deadBytes.Load()
		expired += g.Expired(now)
	}
	out.Entries += memory
	journal := int64(0)
	if !s.closed.Load() {
		journal = s.j.Size()
	}
	files := s.tables.bytes.Load()
	out.Bytes = size + journal + files
	amp := 1.0
	if sealed := s.n.sealedBytes.Load(); sealed > 0 {
		amp = float64(sealed+s.n.compactedBytes.Load()) / float64(sealed)
	}
	out.Extra = map[string]float64{
		"segments": float64(len(st.segs)), "memory_entries": float64(memory), "journal_bytes": float64(journal),
		"live_bytes": float64(max(0, size-dead-expired)), "dead_bytes": float64(dead), "expired_bytes": float64(expired),
		"write_amplification": amp, "compactions": float64(s.n.compactions.Load()),
		"table_bytes": float64(files), "last_compaction": float64(s.n.lastCompaction.Load() / 1e6), "lost_segments": float64(lost),
	}
	return out
}
