package diskstore

import (
	"slices"

	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// swap puts one segment in the place of another that has the same rows.
func (s *Store) swap(old, fresh *seg) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.publish(func(st *state) {
		st.segs = slices.Clone(st.segs)
		if i := slices.Index(st.segs, old); i >= 0 {
			st.segs[i] = fresh
		}
	})
}

// used returns the bytes that the store takes on the disk.
func (s *Store) used() int64 { return s.j.Size() + s.segBytes() }

func (s *Store) segBytes() (n int64) {
	for _, g := range s.state.Load().segs {
		n += g.Meta.Bytes()
	}
	return n
}

// reserve is what is kept free of the capacity: for the journal to grow and for
// the memtables that wait to be written.
func (s *Store) reserve() int64 { return 3 * s.opts.SegmentSize }

func (s *Store) overCapacity() bool {
	return s.opts.Capacity > 0 && s.segBytes()+max(s.j.Size(), s.reserve()) > s.opts.Capacity
}

// evict drops the oldest segments until the store fits its capacity. Nothing is
// older than the last segment, so that it can go as a whole.
func (s *Store) evict() error {
	if s.opts.Capacity == 0 {
		return nil
	}
	for s.overCapacity() {
		segs := s.state.Load().segs
		if len(segs) == 0 {
			return nil
		}
		last := segs[len(segs)-1]
		var dropped []droppedTable
		if err := s.eachTable(last, func(d droppedTable) { dropped = append(dropped, d) }); err != nil {
			s.fault("evict", err)
		}
		live := max(0, last.Meta.Rows-last.Meta.Deleted-last.deadRows.Load())
		err := s.commit(0, func(segs []*seg) []*seg {
			return slices.DeleteFunc(segs, func(g *seg) bool { return g == last })
		}, nil)
		if err != nil {
			return err
		}
		s.n.evictions.Add(uint64(live))
		s.retire([]*seg{last})
		s.reap(dropped)
	}
	return nil
}

// roomFor reports whether a merge's output fits beside its inputs.
func (s *Store) roomFor(run []*seg) bool {
	if s.opts.Capacity == 0 {
		return true
	}
	sum := int64(0)
	for _, g := range run {
		sum += g.Meta.Bytes()
	}
	return s.used()+sum <= s.opts.Capacity
}

// heal rebuilds the indexes in which damage was found.
func (s *Store) heal() {
	for _, g := range s.state.Load().segs {
		if g.lostAt != 0 || !g.IndexDamaged() {
			continue
		}
		s.opts.Logger.Warn("disk store: rebuilding an index", "segment", g.Meta.ID)
		meta, err := segment.Rebuild(s.fs, kvDir, g.Meta)
		var r *segment.Reader
		if err == nil {
			r, err = segment.Open(s.fs, kvDir, meta)
		}
		if err != nil {
			s.fault("rebuild", err)
			continue
		}
		s.swap(g, newSeg(r, 0))
		s.guard.wait()
		g.Release()
	}
}
