package diskstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// Open opens the store in dir, creating it if it is not there. One process at a
// time may have a directory open for writing: others get store.ErrLocked, with
// the process id of the holder in the message. Opening reads the manifest, the
// footers and the journal, not the segments.
//
// Damage does not keep a store from opening: what is lost becomes misses, and is
// reported to Options.OnError.
func Open(dir string, opts *Options) (*Store, error) {
	s := &Store{
		sealWake: make(chan struct{}, 1), compactWake: make(chan struct{}, 1),
		sealed1: newSignal(), stop: make(chan struct{}),
	}
	if opts != nil {
		s.opts = *opts
	}
	if err := s.opts.defaults(); err != nil {
		return nil, err
	}
	if err := s.openFS(dir); err != nil {
		return nil, s.error("open", "", err)
	}
	if err := s.openTables(); err != nil {
		s.abandonFS()
		return nil, s.error("open", "", err)
	}
	s.stopCtx, s.stopCancel = context.WithCancel(context.Background())
	if err := s.recover(); err != nil {
		s.abandon()
		return nil, s.error("open", "", err)
	}
	if !s.opts.ReadOnly {
		s.workers.Add(2)
		go s.sealer()
		go s.compactor()
		wake(s.sealWake)
		wake(s.compactWake)
	}
	return s, nil
}

// openFS opens the directory and takes the lock.
func (s *Store) openFS(dir string) (err error) {
	if s.fs = s.opts.fs; s.fs == nil {
		if !s.opts.ReadOnly {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if s.fs, err = vfs.OS(dir); err != nil {
			return err
		}
	}
	if s.opts.ReadOnly {
		return nil
	}
	s.lock, err = s.fs.Lock(lockName)
	var held *vfs.LockedError
	if errors.As(err, &held) {
		err = fmt.Errorf("%w: %w", store.ErrLocked, held)
	}
	if err == nil {
		err = s.fs.MkdirAll(kvDir)
	}
	if err != nil {
		s.abandonFS()
	}
	return err
}

func (s *Store) abandonFS() {
	if s.lock != nil {
		_ = s.lock.Close()
	}
	_ = s.fs.Close()
}

// abandon releases what a failed Open has taken.
func (s *Store) abandon() {
	s.stopCancel()
	if st := s.state.Load(); st != nil {
		release(st.segs)
	}
	if s.j != nil {
		_ = s.j.Close()
	}
	s.tables.dir.Close()
	s.abandonFS()
}

// recover brings the store back to what was acknowledged.
func (s *Store) recover() error {
	segs, m, changed, err := s.openSegments()
	if err != nil {
		return err
	}
	s.seed, s.nextID, s.sealed = m.HashSeed, m.NextID, m.Sealed
	s.written.Store(m.Written)
	s.state.Store(&state{mem: newMemtable(m.Sealed), segs: segs})
	if !s.opts.ReadOnly {
		if changed {
			if _, err := s.manifest(segs).write(s.fs); err != nil {
				return err
			}
		}
		s.removeOrphans(segs)
	}
	return s.openJournal()
}

// openSegments reads the manifest and opens the segments in it. changed is true
// where the manifest on the disk is not what the store goes on with.
func (s *Store) openSegments() (segs []*seg, m *manifest, changed bool, err error) {
	for try := 0; ; try++ {
		m, changed, err = s.loadManifest()
		if err != nil {
			return nil, nil, false, err
		}
		segs, lost, err := s.openAll(m)
		if err != nil {
			return nil, nil, false, err
		}
		if !lost || !s.opts.ReadOnly || try == 5 {
			return segs, m, changed || lost, nil
		}
		// The writer may have replaced the segments since the manifest was read.
		release(segs)
		time.Sleep(time.Millisecond << try)
	}
}

func (s *Store) loadManifest() (m *manifest, changed bool, err error) {
	m, err = readManifest(s.fs)
	switch {
	case err == nil && m != nil:
		return m, false, nil
	case errors.Is(err, errManifestVersion):
		return nil, false, err
	case err != nil && !errors.Is(err, errManifest):
		return nil, false, err
	case err != nil:
		s.fault("open", err)
		if !s.opts.ReadOnly {
			s.quarantine(manifestName)
		}
	}
	m, err = s.salvage()
	return m, true, err
}

// openAll opens the segments of a manifest. A segment that is damaged beyond
// its index hides what is older: by its index where that is whole. Where both
// are lost nothing is known of what was replaced or deleted in it, and all that
// is older goes too: a miss is right where an old value would be wrong.
func (s *Store) openAll(m *manifest) (segs []*seg, lost bool, err error) {
	for i, ms := range m.Segments {
		g, err := s.openSegment(ms, m.NextID)
		if err != nil && !errors.Is(err, segment.ErrData) && !errors.Is(err, segment.ErrIndex) {
			release(segs) // not damage: nothing is to be given up
			return nil, false, err
		}
		if err != nil {
			s.fault("open", fmt.Errorf("segment %d and %d older ones are lost: %w", ms.ID, len(m.Segments)-i-1, err))
			s.discard(m.Segments[i:])
			return segs, true, nil
		}
		lost = lost || g.lostAt != ms.LostAt || g.Meta != ms.Meta
		segs = append(segs, g)
	}
	return segs, lost, nil
}

// discard moves the files of segments to quarantine.
func (s *Store) discard(segs []manifestSeg) {
	if s.opts.ReadOnly {
		return
	}
	for _, ms := range segs {
		s.quarantine(segment.Name(kvDir, ms.ID))
		s.quarantine(segment.IndexName(kvDir, ms.ID))
	}
}

func (s *Store) openSegment(ms manifestSeg, nextID uint64) (*seg, error) {
	if ms.LostAt != 0 {
		r, err := segment.OpenIndex(s.fs, kvDir, ms.Meta)
		if err != nil {
			return nil, err
		}
		return newSeg(r, ms.LostAt), nil
	}
	r, err := segment.Open(s.fs, kvDir, ms.Meta)
	switch {
	case err == nil:
		return newSeg(r, 0), nil
	case errors.Is(err, segment.ErrVersion):
		return nil, err
	case errors.Is(err, segment.ErrIndex):
		return s.rebuild(ms, err)
	case errors.Is(err, segment.ErrData):
		r, ixErr := segment.OpenIndex(s.fs, kvDir, ms.Meta)
		if ixErr != nil && !errors.Is(ixErr, segment.ErrIndex) {
			return nil, ixErr
		}
		if ixErr != nil {
			return nil, errors.Join(err, ixErr)
		}
		s.fault("open", fmt.Errorf("segment %d is lost: %w", ms.ID, err))
		if !s.opts.ReadOnly {
			s.quarantine(segment.Name(kvDir, ms.ID))
		}
		return newSeg(r, nextID), nil
	}
	return nil, err
}

// rebuild writes the index of a segment anew.
func (s *Store) rebuild(ms manifestSeg, cause error) (*seg, error) {
	if s.opts.ReadOnly {
		return nil, cause
	}
	s.opts.Logger.Warn("disk store: rebuilding an index", "segment", ms.ID, "err", cause)
	meta, err := segment.Rebuild(s.fs, kvDir, ms.Meta)
	if err != nil {
		return nil, err
	}
	meta.DeadRows, meta.DeadBytes = ms.DeadRows, ms.DeadBytes
	r, err := segment.Open(s.fs, kvDir, meta)
	if err != nil {
		return nil, err
	}
	if meta.Poisoned > ms.Poisoned {
		s.fault("open", fmt.Errorf("segment %d: %d rows are lost", ms.ID, meta.Poisoned))
	}
	return newSeg(r, 0), nil
}

// removeOrphans removes files that a crash has left.
func (s *Store) removeOrphans(segs []*seg) {
	live := map[uint64]bool{}
	for _, g := range segs {
		live[g.Meta.ID] = true
	}
	entries, err := s.fs.ReadDir(kvDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if id, kind, ok := segment.ParseName(e.Name()); ok && (kind == segment.TempSuffix || !live[id]) {
			_ = s.fs.Remove(path.Join(kvDir, e.Name()))
		}
	}
	_ = s.fs.Remove(manifestTemp)
}

// journalOptions translates the store's options.
func (s *Store) journalOptions() *journal.Options {
	const fileSize = 8 << 20
	return &journal.Options{
		Sync: map[Sync]journal.Sync{
			SyncInterval: journal.SyncInterval, SyncAlways: journal.SyncAlways, SyncNever: journal.SyncNever,
		}[s.opts.Sync],
		Interval:  s.opts.Interval,
		FileSize:  min(fileSize, max(s.opts.SegmentSize/4, 64<<10)),
		MaxRecord: s.opts.MaxValue + MaxKey + maxTags + journal.MaxCodec + 1024,
		Spares:    4,
		ReadOnly:  s.opts.ReadOnly,
		FS:        s.fs,
		OnError: func(err error) {
			s.fault("journal", err)
			wake(s.sealWake)
		},
	}
}

// openJournal replays what is not in segments into the memtable.
func (s *Store) openJournal() (err error) {
	if s.j, err = journal.Open(journalDir, s.journalOptions()); err != nil {
		return err
	}
	rep, err := s.j.Replay(s.replay)
	if err != nil {
		return err
	}
	for _, d := range rep.Damage {
		s.fault("open", fmt.Errorf("journal: %s", d))
	}
	s.finishTables()
	if !s.opts.ReadOnly {
		next := s.sealed
		for _, g := range s.state.Load().segs {
			next = max(next, g.Meta.MaxSeq+1)
		}
		s.j.SkipTo(next)
	}
	if s.state.Load().mem.bytes.Load() >= s.opts.SegmentSize {
		s.freezeNow()
	}
	return nil
}

// replay applies one record of the journal. It runs before anybody else has the
// store.
func (s *Store) replay(r journal.Record) error {
	if r.Seq < s.sealed {
		return nil
	}
	if r.Kind == recClear {
		segs := s.state.Load().segs
		s.state.Store(&state{mem: newMemtable(s.sealed)})
		release(segs)
		return nil
	}
	key, e, written, err := journal.ParseEntry(r.Payload)
	if err != nil || r.Kind != recSet && r.Kind != recDelete && r.Kind != recTable {
		s.fault("open", fmt.Errorf("journal: record %d: kind %d, %w", r.Seq, r.Kind, errors.Join(err, store.ErrCorrupt)))
		return nil
	}
	m := newMemEntry(segment.HashKey(s.seed, key), &e, written)
	switch r.Kind {
	case recDelete:
		m.kind = segment.KindDeleted
	case recTable:
		m.kind = segment.KindTable
	}
	s.remember(key, m)
	s.written.Store(max(s.written.Load(), written))
	return nil
}
