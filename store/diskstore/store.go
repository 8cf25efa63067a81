package diskstore

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// The directories of a store.
const (
	journalDir    = "journal"
	kvDir         = "kv"
	quarantineDir = "quarantine"
	lockName      = "LOCK"
)

// Journal record kinds. Their numbers are part of the format.
const (
	recSet    = 1
	recDelete = 2
	recClear  = 3
	recTable  = 4
)

// Store is a disk tier. Create with Open. Safe for concurrent use.
type Store struct {
	opts Options
	fs   vfs.FS
	lock io.Closer
	j    *journal.Journal
	seed uint64

	guard      guard
	publishing sync.Mutex
	state      atomic.Pointer[state]

	// Writers hold freeze for reading and the stripe of their key while they
	// append to the journal and to the memtable, so that both agree on the
	// order of writes of a key, and on where one memtable ends.
	freeze  sync.RWMutex
	stripes [memShards]sync.Mutex
	written atomic.Int64 // the last written_at, in microseconds

	// meta guards changes of the state's segments and the manifest.
	meta    sync.Mutex
	nextID  uint64
	sealed  uint64
	failing atomic.Pointer[error] // why sealing fails; nil while it works

	sealWake    chan struct{}
	compactWake chan struct{}
	sealed1     *signal    // fires when a memtable was sealed or sealing failed
	compaction  sync.Mutex // held while segments are compacted or evicted
	cleared     uint64     // sequence of the last Clear; guarded by compaction
	sealing     sync.Mutex // held while a memtable is sealed
	merging     atomic.Pointer[context.CancelCauseFunc]
	stop        chan struct{}
	stopCtx     context.Context
	stopCancel  context.CancelFunc
	workers     sync.WaitGroup
	closed      atomic.Bool
	closeOnce   sync.Once

	tables   *tables
	swept    bool   // table files have been swept; compaction is held
	progress *meter // of the Compact under way; compaction is held
	loads    loads
	n        counters
}

// state is what readers see. It is replaced, never modified.
type state struct {
	mem    *memtable
	frozen []*memtable // newest first
	segs   []*seg      // newest first
}

// seg is a segment of a state.
type seg struct {
	*segment.Reader
	lostAt    uint64 // not 0: only the index is left, and hides what is older
	deadRows  *atomic.Int64
	deadBytes *atomic.Int64
}

func newSeg(r *segment.Reader, lostAt uint64) *seg {
	s := &seg{Reader: r, lostAt: lostAt, deadRows: new(atomic.Int64), deadBytes: new(atomic.Int64)}
	s.deadRows.Store(r.Meta.DeadRows)
	s.deadBytes.Store(r.Meta.DeadBytes)
	return s
}

var (
	_ store.Store        = (*Store)(nil)
	_ store.BatchGetter  = (*Store)(nil)
	_ store.BatchSetter  = (*Store)(nil)
	_ store.BatchDeleter = (*Store)(nil)
	_ store.Filler       = (*Store)(nil)
	_ store.Scanner      = (*Store)(nil)
	_ store.Clearer      = (*Store)(nil)
	_ store.Syncer       = (*Store)(nil)
	_ store.Statser      = (*Store)(nil)
)

// signal lets many wait for the next of a series of events.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (s *Store) error(op, key string, err error) error {
	return &store.Error{Op: op, Tier: s.opts.Name, Key: key, Err: err}
}

// fault reports what no caller sees.
func (s *Store) fault(op string, err error) {
	s.n.errors.Add(1)
	err = s.error(op, "", err)
	s.opts.Logger.Error("disk store", "op", op, "err", err)
	s.opts.OnError(err)
}

// check refuses calls that cannot be made.
func (s *Store) check(ctx context.Context, op, key string) error {
	if s.closed.Load() {
		return s.error(op, key, store.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return s.error(op, key, err)
	}
	return nil
}

func (s *Store) checkKey(ctx context.Context, op, key string) error {
	if err := s.check(ctx, op, key); err != nil {
		return err
	}
	if key == "" {
		return s.error(op, key, store.ErrInvalidKey)
	}
	if len(key) > MaxKey {
		return s.error(op, key, store.ErrTooLarge)
	}
	return nil
}

// stamp returns the time of a write, in microseconds: later than all before it.
func (s *Store) stamp() int64 { return s.stamps(1) }

// stamps returns the first of n consecutive times for n writes.
func (s *Store) stamps(n int) int64 {
	now := time.Now().UnixMicro()
	for {
		last := s.written.Load()
		next := max(now, last+1)
		if s.written.CompareAndSwap(last, next+int64(n)-1) {
			return next
		}
	}
}

// publish replaces the state by what change makes of a copy of it.
func (s *Store) publish(change func(*state)) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	st := *s.state.Load()
	change(&st)
	s.state.Store(&st)
}

// retire drops segments that are in no state any more, once no reader uses
// them, and removes their files.
func (s *Store) retire(segs []*seg) {
	if len(segs) == 0 {
		return
	}
	for _, g := range segs {
		_ = s.fs.Remove(segment.Name(kvDir, g.Meta.ID))
		_ = s.fs.Remove(segment.IndexName(kvDir, g.Meta.ID))
	}
	s.guard.wait()
	for _, g := range segs {
		g.Release()
	}
}

// manifest returns the manifest that describes segs. meta is held.
func (s *Store) manifest(segs []*seg) *manifest {
	m := &manifest{
		Format: formatVersion, HashSeed: s.seed, NextID: s.nextID, Sealed: s.sealed, Written: s.written.Load(),
		Segments: make([]manifestSeg, 0, len(segs)),
	}
	for _, g := range segs {
		meta := g.Meta
		meta.DeadRows, meta.DeadBytes = g.deadRows.Load(), g.deadBytes.Load()
		m.Segments = append(m.Segments, manifestSeg{meta, g.lostAt})
	}
	return m
}

// newID returns the id of a new segment.
func (s *Store) newID() uint64 {
	s.meta.Lock()
	defer s.meta.Unlock()
	id := s.nextID
	s.nextID++
	return id
}

// Close seals what is in memory, so that other programs see all of it, and
// releases the directory. Where sealing fails the journal keeps the entries, and
// Close returns the error. A second Close is nil.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	s.stopCancel()
	close(s.stop)
	s.workers.Wait()
	s.freeze.Lock() // no writer is between its check and the journal
	s.closed.Store(true)
	s.freeze.Unlock()
	s.sealed1.fire()
	s.compaction.Lock() // a Compact, Load or Clear that runs has seen stopCtx end
	defer s.compaction.Unlock()
	var errs []error
	if !s.opts.ReadOnly {
		s.freezeNow()
		errs = append(errs, s.sealAll(context.Background()))
	}
	errs = append(errs, s.j.Close())
	segs := s.state.Load().segs
	s.publish(func(st *state) { *st = state{mem: newMemtable(0)} }) // who comes now finds nothing, and closed
	s.guard.wait()
	release(segs)
	s.tables.dir.Close()
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	errs = append(errs, s.fs.Close())
	if err := errors.Join(errs...); err != nil {
		return s.error("close", "", err)
	}
	return nil
}

// quarantine moves a file to where people can look at it.
func (s *Store) quarantine(name string) {
	if err := s.fs.MkdirAll(quarantineDir); err == nil {
		to := path.Join(quarantineDir, strings.ReplaceAll(name, "/", "-"))
		_ = s.fs.Rename(name, to)
		_ = s.fs.SyncDir(quarantineDir)
		_ = s.fs.SyncDir(path.Dir(name))
	}
}
