package diskstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// retryAfter is how long sealing waits after a failure, at first; it doubles up
// to retryMax.
const (
	retryAfter = 100 * time.Millisecond
	retryMax   = 5 * time.Second
)

// sealer is the goroutine that seals frozen memtables and revives the journal.
func (s *Store) sealer() {
	defer s.workers.Done()
	wait := retryAfter
	var retry <-chan time.Time
	for {
		select {
		case <-s.stop:
			return
		case <-s.sealWake:
		case <-retry:
		}
		retry = nil
		err := s.revive(s.stopCtx)
		if err == nil {
			err = s.sealAll(s.stopCtx)
		}
		switch {
		case err == nil:
			wait = retryAfter
		case s.stopCtx.Err() == nil:
			s.fault("seal", err)
			retry = time.After(wait)
			wait = min(2*wait, retryMax)
		}
	}
}

// freezeIf freezes the memtable if so many bytes are in it.
func (s *Store) freezeIf(bytes int64) {
	s.freeze.Lock()
	defer s.freeze.Unlock()
	st := s.state.Load()
	if st.mem.bytes.Load() < bytes || len(st.frozen) >= maxFrozen {
		return
	}
	s.freezeLocked()
}

// freezeNow freezes the memtable if anything is in it.
func (s *Store) freezeNow() {
	s.freeze.Lock()
	defer s.freeze.Unlock()
	if s.state.Load().mem.count.Load() > 0 {
		s.freezeLocked()
	}
}

func (s *Store) freezeLocked() {
	end := s.j.Rotate()
	s.publish(func(st *state) {
		st.mem.end = end
		st.frozen = append([]*memtable{st.mem}, st.frozen...)
		st.mem = newMemtable(end)
	})
	wake(s.sealWake)
}

// revive begins a new journal after the journal has failed. What was in memory
// is sealed first, or at least frozen for it: with the failed file nothing is
// known to be durable but what was synced before.
func (s *Store) revive(ctx context.Context) error {
	if err := s.j.Err(); err == nil || errors.Is(err, journal.ErrClosed) {
		return nil
	}
	if len(s.state.Load().frozen) < maxFrozen {
		s.freezeNow()
	}
	err := s.sealAll(ctx)
	if jerr := s.j.Recover(ctx); jerr != nil {
		return fmt.Errorf("journal: %w", jerr)
	}
	return err
}

// sealAll seals the frozen memtables, oldest first.
func (s *Store) sealAll(ctx context.Context) error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	for {
		frozen := s.state.Load().frozen
		if len(frozen) == 0 {
			return nil
		}
		err := s.seal(ctx, frozen[len(frozen)-1])
		if err != nil {
			s.failing.Store(&err)
		} else {
			s.failing.Store(nil)
		}
		s.sealed1.fire()
		if err != nil {
			return err
		}
		s.yield()
		wake(s.compactWake)
	}
}

// seal writes a memtable, the oldest, as a segment and drops its part of the
// journal. The order makes it safe: the segment's files are durable, then the
// manifest names them, and only then the journal goes.
func (s *Store) seal(ctx context.Context, m *memtable) error {
	start := time.Now()
	rows, loading := m.rows(), s.loads.any()
	older := s.hold()
	defer release(older)
	w, err := segment.Create(s.fs, kvDir, segment.WriterOptions{
		ID: s.newID(), Seed: s.seed, Rows: len(rows), Now: start.UnixMicro(), MinSeq: m.first, MaxSeq: m.end - 1,
	})
	if err != nil {
		return err
	}
	dead, err := s.sealRows(ctx, w, rows, older, loading)
	if err != nil {
		w.Abort()
		return err
	}
	added, err := s.finish(w)
	if err != nil {
		return err
	}
	warm(added)
	if err := s.settleTables(ctx, rows); err != nil {
		release(added)
		w.Abort()
		return err
	}
	uncertain, err := s.commitMaybe(m.end, func(segs []*seg) []*seg {
		return append(slices.Clone(added), segs...)
	}, func(st *state) { st.frozen = slices.Clone(st.frozen[:len(st.frozen)-1]) })
	if err != nil {
		release(added)
		if !uncertain {
			w.Abort()
		}
		return err
	}
	for _, d := range dead {
		d.seg.deadRows.Add(1)
		d.seg.deadBytes.Add(d.bytes)
	}
	s.n.sealedBytes.Add(uint64(w.Size()))
	s.opts.Logger.Debug("disk store: sealed", "rows", len(rows), "took", time.Since(start))
	return s.j.TruncateBefore(m.end)
}

// superseded is a row of an older segment that a sealed one replaces.
type superseded struct {
	seg   *seg
	bytes int64
}

// sealRows appends the rows that are worth keeping. Tombstones that hide
// nothing, and expired entries, are not, unless a Load that is under way may
// bring something to hide.
//
// An expired table keeps its row, for compaction to remove the file with it.
func (s *Store) sealRows(ctx context.Context, w *segment.Writer, rows []memRow, older []*seg, loading bool) (dead []superseded, err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	now := time.Now().UnixMicro()
	var row segment.Row
	for i := range rows {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m := rows[i]
		p := segment.NewProbe(m.hash)
		hides := s.supersedes(older, &p, &dead)
		gone := m.kind == segment.KindDeleted || m.expires <= now && m.kind != segment.KindTable
		if gone && !hides && !loading {
			continue
		}
		row = segment.Row{
			Hash: m.hash, Kind: m.kind, Value: m.value, Expires: m.expires, Fresh: m.fresh,
			Written: m.written, Version: m.version, Codec: m.codec,
		}
		if gone {
			row.Kind, row.Value = segment.KindDeleted, nil
			row.Expires, row.Fresh = journal.Never, journal.Never
		}
		row.SetKey(rows[i].key, m.tags)
		if err := w.Append(&row); err != nil {
			return nil, err
		}
	}
	return dead, nil
}

// supersedes reports whether an older segment may have a row of the probe's
// key, and notes the newest such row as dead.
func (s *Store) supersedes(older []*seg, p *segment.Probe, dead *[]superseded) (hides bool) {
	for _, g := range older {
		may, err := g.MayHave(p)
		if err != nil {
			hides = true
			continue
		}
		if !may {
			continue
		}
		l, ok, err := g.Has(p.Hash)
		if err != nil {
			hides = true
		}
		if ok {
			*dead = append(*dead, superseded{g, int64(segment.RowBytes(16, l.ValueLen()))})
			return true
		}
	}
	return hides
}

// finish ends a segment and opens it. One without rows is dropped: the result
// is then empty.
func (s *Store) finish(w *segment.Writer) ([]*seg, error) {
	if w.Rows() == 0 {
		w.Abort()
		return nil, nil
	}
	meta, err := w.Finish()
	if err == nil {
		err = s.fs.SyncDir(kvDir)
	}
	var r *segment.Reader
	if err == nil {
		r, err = segment.Open(s.fs, kvDir, meta)
	}
	if err != nil {
		w.Abort()
		return nil, err
	}
	return []*seg{newSeg(r, 0)}, nil
}

// holdOpen is hold for whoever is to say ErrClosed, and not that there is nothing,
// once the store has been closed.
func (s *Store) holdOpen() ([]*seg, error) {
	segs := s.hold()
	if s.closed.Load() { // asked afterwards
		release(segs)
		return nil, store.ErrClosed
	}
	return segs, nil
}

// warm makes the first reads of new segments as fast as later ones: readers that
// were on the old ones do not notice the change. Damage is left to the reads.
func warm(segs []*seg) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			_ = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	for _, g := range segs {
		g.Warm()
	}
}

// hold takes references to the segments of the present state.
func (s *Store) hold() []*seg {
	c := s.guard.enter(0)
	defer leave(c)
	segs := s.state.Load().segs
	for _, g := range segs {
		g.Acquire()
	}
	return segs
}

func release(segs []*seg) {
	for _, g := range segs {
		g.Release()
	}
}

// commit makes the segments that change returns the live ones: first in the
// manifest, then for readers. sealed advances what the segments hold of the
// journal. also changes the rest of the state at the same moment.
func (s *Store) commit(sealed uint64, change func([]*seg) []*seg, also func(*state)) error {
	_, err := s.commitMaybe(sealed, change, also)
	return err
}

// commitMaybe is commit. Where it fails and uncertain is true the new manifest
// may be on the disk: no file that it names may be removed.
func (s *Store) commitMaybe(sealed uint64, change func([]*seg) []*seg, also func(*state)) (uncertain bool, err error) {
	s.meta.Lock()
	defer s.meta.Unlock()
	segs := change(slices.Clone(s.state.Load().segs))
	before := s.sealed
	s.sealed = max(s.sealed, sealed)
	if uncertain, err := s.manifest(segs).write(s.fs); err != nil {
		s.sealed = before
		return uncertain, fmt.Errorf("manifest: %w", err)
	}
	s.publish(func(st *state) {
		st.segs = segs
		if also != nil {
			also(st)
		}
	})
	return false, nil
}

// Sync implements store.Syncer: it puts all that has been written so far on the disk, whatever Options.Sync
// says, where Open finds it again. It costs one sync of the journal.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.check(ctx, "sync", ""); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return nil
	}
	if err := s.j.Sync(ctx); err != nil {
		return s.writeError("sync", "", err)
	}
	return nil
}

// Flush seals all that has been written so far: it is then on the disk, whatever
// Sync says, and visible to other programs.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.check(ctx, "flush", ""); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return nil // nothing was written
	}
	if s.state.Load().mem.count.Load() > 0 {
		if err := s.admit(ctx); err != nil {
			return s.error("flush", "", err)
		}
		s.freezeNow()
	}
	if err := s.sealAll(ctx); err != nil {
		return s.writeError("flush", "", err)
	}
	if s.closed.Load() {
		return s.error("flush", "", store.ErrClosed)
	}
	return nil
}
