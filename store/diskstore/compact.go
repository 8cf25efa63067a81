package diskstore

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// Segments are compacted in tiers (the size-tiered scheme of Bigtable, Chang et
// al., 2006): four neighbours of one size class become one of the next, so that
// a row is written once per class and at most three segments of a class are in
// a get's way.
const (
	tierWidth = 4
	tierBase  = 256 << 10 // bytes of the smallest class
	// maxInputs bounds what is merged in one go, maxSegment what comes out.
	maxInputs  = 32
	maxSegment = 8 << 30
	// A segment of which so much is dead or expired is written anew.
	garbageShare = 0.4
)

// compactor is the goroutine that compacts, evicts and heals. Expired space is
// looked for every sweepEvery even when nothing is written.
func (s *Store) compactor() {
	defer s.workers.Done()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.compactWake:
		case <-tick.C:
		}
		if err := s.maintain(s.stopCtx); err != nil && s.stopCtx.Err() == nil {
			s.fault("compact", err)
		}
	}
}

const sweepEvery = 30 * time.Second

// maintain does all that there is to do now.
func (s *Store) maintain(ctx context.Context) error {
	s.compaction.Lock()
	defer s.compaction.Unlock()
	s.heal()
	if !s.swept {
		s.swept = true
		s.sweepTables()
	}
	for ctx.Err() == nil {
		if err := s.evict(); err != nil {
			return err
		}
		run := s.pick(time.Now().UnixMicro())
		if len(run) == 0 {
			return nil
		}
		if !s.roomFor(run) {
			return nil
		}
		if err := s.merge(ctx, run); err != nil && !errors.Is(err, errYield) {
			return err
		}
	}
	return ctx.Err()
}

// errYield: a merge was given up, for something has to be evicted first, which
// may be what it merges.
var errYield = errors.New("compaction gave way to eviction")

// yield ends the merge under way, if the store is over its capacity.
func (s *Store) yield() {
	if s.overCapacity() {
		if cancel := s.merging.Load(); cancel != nil {
			(*cancel)(errYield)
		}
	}
}

// maxOutput is the size in bytes beyond which segments are not merged.
func (s *Store) maxOutput() int64 {
	if s.opts.Capacity > 0 {
		return min(maxSegment, s.opts.Capacity/8)
	}
	return maxSegment
}

func tier(bytes int64) int { return (bits.Len64(uint64(bytes/tierBase)) + 1) / 2 }

// garbage is the share of a segment that compaction would drop.
func (g *seg) garbage(now int64) float64 {
	if g.Meta.Rows == 0 || g.lostAt != 0 {
		return 0
	}
	dead := float64(g.deadBytes.Load() + g.Expired(now))
	return dead / float64(max(g.Meta.Size, 1))
}

// pick chooses neighbouring segments to merge; none where all is well.
func (s *Store) pick(now int64) []*seg {
	segs := s.state.Load().segs
	if run := s.pickPurge(segs); run != nil {
		return run
	}
	limit := s.maxOutput()
	for t := 0; t < 64; t++ {
		for i := 0; i < len(segs); {
			j, sum := i, int64(0)
			for j < len(segs) && j-i < maxInputs && segs[j].lostAt == 0 && tier(segs[j].Meta.Bytes()) <= t &&
				sum+segs[j].Meta.Bytes() <= limit && (j == i || !s.loads.between(segs[j-1], segs[j])) {
				sum += segs[j].Meta.Bytes()
				j++
			}
			if j-i >= tierWidth {
				return segs[i:j]
			}
			i = max(j, i+1)
		}
	}
	loading := s.loads.any() // tombstones stay meanwhile
	for i, g := range segs {
		last := i == len(segs)-1 && !loading
		if g.garbage(now) > garbageShare || g.lostAt == 0 && last && float64(g.Meta.Deleted) > garbageShare*float64(g.Meta.Rows) {
			return segs[i : i+1]
		}
	}
	return nil
}

// pickPurge chooses a segment that a lost one still hides rows of.
func (s *Store) pickPurge(segs []*seg) []*seg {
	lostAt := uint64(0)
	for i, g := range segs {
		if g.lostAt == 0 && g.Meta.ID < lostAt {
			return segs[i : i+1]
		}
		lostAt = max(lostAt, g.lostAt)
	}
	return nil
}

// Compact merges all segments into as few as their size limit allows, without
// what is dead or expired. Readers and writers go on meanwhile.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.check(ctx, "compact", ""); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return s.error("compact", "", errReadOnly)
	}
	ctx, cancel := s.untilClosed(ctx)
	defer cancel()
	if err := s.compactAll(ctx); err != nil {
		return s.error("compact", "", s.endedBy(err))
	}
	return nil
}

// endedBy returns what ended a long call that failed with err: the store's end, if
// that had come.
func (s *Store) endedBy(err error) error {
	if s.stopCtx.Err() != nil {
		return store.ErrClosed
	}
	return err
}

// untilClosed returns a context that also ends when the store is being closed.
func (s *Store) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.stopCtx, cancel)
	return ctx, func() { stop(); cancel() }
}

func (s *Store) compactAll(ctx context.Context) error {
	s.compaction.Lock()
	defer s.compaction.Unlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	limit, done := s.maxOutput(), s.newID()
	s.progress = s.meter(s.state.Load().segs)
	defer func() { s.progress = nil }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		segs := s.state.Load().segs
		i := slices.IndexFunc(segs, func(g *seg) bool { return g.lostAt == 0 && g.Meta.ID < done })
		if i < 0 {
			return s.dropLost()
		}
		j, sum := i, int64(0)
		for j < len(segs) && segs[j].lostAt == 0 && segs[j].Meta.ID < done &&
			(j == i || sum+segs[j].Meta.Bytes() <= limit && !s.loads.between(segs[j-1], segs[j])) {
			sum += segs[j].Meta.Bytes()
			j++
		}
		err := s.merge(ctx, segs[i:j])
		if err == nil {
			s.progress.end(sum)
		}
		if errors.Is(err, errYield) {
			err = s.evict()
		}
		if err != nil {
			return err
		}
	}
}

// merge replaces a run of neighbouring segments by one. compaction is held, so
// that nobody else removes segments.
func (s *Store) merge(ctx context.Context, run []*seg) error {
	start := time.Now()
	loading := s.loads.any()
	all := s.hold()
	defer release(all)
	at := slices.Index(all, run[0])
	if at < 0 {
		return errors.New("a segment to compact is gone")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.merging.Store(&cancel)
	defer func() {
		s.merging.Store(nil)
		cancel(nil)
	}()
	mg := &merger{s: s, ctx: ctx, in: run, newer: all[:at], older: all[at+len(run):], loading: loading, now: start.UnixMicro()}
	meta, dead := mg.opts()
	w, err := segment.Create(s.fs, kvDir, meta)
	if err != nil {
		return err
	}
	if err := mg.run(ctx, w); err != nil {
		w.Abort()
		return err
	}
	added, err := s.finish(w)
	if err != nil {
		return err
	}
	warm(added)
	uncertain, err := s.commitMaybe(0, func(segs []*seg) []*seg {
		if i := slices.Index(segs, run[0]); i >= 0 {
			segs = slices.Replace(segs, i, i+len(run), added...)
		}
		return segs
	}, nil)
	if err != nil {
		release(added)
		if !uncertain {
			w.Abort()
		}
		return err
	}
	for i, g := range run { // what was superseded while the merge ran
		if len(added) > 0 {
			added[0].deadRows.Add(max(0, g.deadRows.Load()-dead[i][0]))
			added[0].deadBytes.Add(max(0, g.deadBytes.Load()-dead[i][1]))
		}
	}
	s.n.compactedBytes.Add(uint64(w.Size()))
	s.n.expired.Add(mg.expired)
	s.n.compactions.Add(1)
	s.n.lastCompaction.Store(time.Now().UnixMicro())
	s.opts.Logger.Debug("disk store: compacted", "segments", len(run), "rows", w.Rows(), "took", time.Since(start))
	if mg.lost > 0 {
		s.n.corrupt.Add(uint64(mg.lost))
		s.fault("compact", fmt.Errorf("%w: %d rows failed their check and are gone", store.ErrCorrupt, mg.lost))
	}
	s.retire(run)
	s.reap(mg.dropped)
	return s.dropLost()
}

// dropLost removes lost segments that hide nothing any more.
func (s *Store) dropLost() error {
	segs := s.state.Load().segs
	var gone []*seg
	for i, g := range segs {
		if g.lostAt != 0 && !slices.ContainsFunc(segs[i+1:], func(o *seg) bool { return o.Meta.ID < g.lostAt }) {
			gone = append(gone, g)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	err := s.commit(0, func(segs []*seg) []*seg {
		return slices.DeleteFunc(segs, func(g *seg) bool { return slices.Contains(gone, g) })
	}, nil)
	if err == nil {
		s.retire(gone)
	}
	return err
}
