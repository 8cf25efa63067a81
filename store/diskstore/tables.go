package diskstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
	"github.com/stratacache/strata/store/diskstore/internal/table"
)

// tableCodec is the codec of the values that become table files.
const tableCodec = "parquet"

// tables is what a store with table files has besides.
//
// All writers of a key that the Partitioner knows hold the key's stripe from
// before the journal record until the file is in place, and hold off freezing:
// record, file and memtable change together for all but readers, and a reader
// that finds file and reference at odds looks again behind the stripe's lock.
type tables struct {
	dir     *table.Dir
	stripes [memShards]sync.Mutex
	fills   sync.Mutex
	bytes   atomic.Int64

	mu   sync.Mutex
	seen map[string]bool // paths written since Open: the sweep keeps them
}

// openTables opens the table files of the directory.
func (s *Store) openTables() error {
	d, err := table.Open(s.fs, &table.Options{NoSync: s.opts.Sync == SyncNever})
	if err != nil {
		return err
	}
	s.tables = &tables{dir: d, seen: map[string]bool{}}
	return nil
}

// tablePath returns the path of the table of key; ok is false where the policy
// knows none.
func (s *Store) tablePath(key string) (rel string, ok bool) {
	if s.opts.Partitioner == nil {
		return "", false
	}
	name, parts, ok := s.opts.Partitioner.Partition(key)
	if !ok || len(parts) == 0 {
		return "", false
	}
	rel, err := table.Path(name, parts)
	return rel, err == nil
}

// isTable reports whether an entry is to be a table file. Readers of all files
// of a rule would trip over one that is not Parquet.
func isTable(e *store.Entry) bool {
	magic := []byte("PAR1")
	name, _, _ := strings.Cut(e.Codec, "+") // what follows is a fingerprint
	return name == tableCodec && len(e.Value) >= 12 && bytes.HasPrefix(e.Value, magic) && bytes.HasSuffix(e.Value, magic)
}

// lockKey keeps other writers of a key with a table path away.
func (t *tables) lockKey(h segment.Hash) func() {
	mu := &t.stripes[h.Lo%memShards]
	mu.Lock()
	return mu.Unlock
}

func (t *tables) note(rel string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[rel] = true
}

func (t *tables) noted(rel string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[rel]
}

// setTable writes an entry as a table file: the file under a temporary name, the
// journal record, both durable, and then the file gets its name. The caller
// holds the key's stripe.
func (s *Store) setTable(ctx context.Context, h segment.Hash, key, rel string, e *store.Entry) error {
	if err := s.admit(ctx); err != nil {
		return err
	}
	s.tables.note(rel)
	before := s.tableSize(h, key)
	written := s.stamp()
	sum, err := s.tables.dir.Stage(rel, uint64(written), e.Value)
	if err != nil {
		return err
	}
	ref := segment.TableRef{Path: rel, Size: sum.Size, CRC: sum.CRC}
	row := *e
	row.Value = ref.Append(nil)
	if err := s.recordTable(ctx, h, key, rel, &row, written); err != nil {
		_ = s.tables.dir.Abort(rel, uint64(written))
		return err
	}
	s.tables.bytes.Add(sum.Size - before)
	if mem := s.state.Load().mem; mem.bytes.Add(sum.Size) >= s.opts.SegmentSize {
		s.freezeIf(s.opts.SegmentSize)
	}
	return nil
}

// recordTable is the part of setTable during which nothing may be frozen: a
// record must be in the memtable of its part of the journal.
func (s *Store) recordTable(ctx context.Context, h segment.Hash, key, rel string, row *store.Entry, written int64) error {
	s.freeze.RLock()
	defer s.freeze.RUnlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	m := newMemEntry(h, row, written)
	m.kind = segment.KindTable
	if err := s.enqueue(ctx, recTable, key, row, m); err != nil {
		return err
	}
	if err := s.settleRecord(ctx); err != nil {
		return err
	}
	if err := s.tables.dir.Commit(rel, uint64(written)); err != nil {
		return err
	}
	s.remember(key, m)
	return nil
}

// settleRecord makes the journal durable before a table file is replaced or
// removed, or where nothing is synced at least hands it to the system: a crash
// must not leave an older record without its file.
func (s *Store) settleRecord(ctx context.Context) error {
	if s.opts.Sync == SyncNever {
		return s.j.Drain(ctx)
	}
	return s.j.Sync(ctx)
}

// settleTables makes the table files of a memtable durable under their names,
// before the journal records that would do so after a crash go.
func (s *Store) settleTables(ctx context.Context, rows []memRow) error {
	for i := range rows {
		if rows[i].kind != segment.KindTable {
			continue
		}
		ref, ok := segment.ParseTableRef(rows[i].value)
		if !ok {
			continue
		}
		if err := errors.Join(ctx.Err(), s.tables.dir.Settle(ref.Path)); err != nil {
			return fmt.Errorf("table of %q: %w", rows[i].key, err)
		}
	}
	return nil
}

// tableSize returns the size of the table file that key has now.
func (s *Store) tableSize(h segment.Hash, key string) int64 {
	p := segment.NewProbe(h)
	ref, ok := s.tableRef(&p, key)
	if !ok {
		return 0
	}
	return ref.Size
}

// tableRef returns the reference that the newest row of key has, if it is one to
// a table, expired or not.
func (s *Store) tableRef(p *segment.Probe, key string) (ref segment.TableRef, ok bool) {
	var err error
	c := s.guard.enter(p.Hi)
	func() {
		defer s.leave(c, debug.SetPanicOnFault(true), &err)
		f, found, ferr := s.state.Load().find(p, key)
		if ferr != nil || !found {
			return
		}
		if f.mem != nil {
			if f.mem.kind == segment.KindTable {
				ref, ok = segment.ParseTableRef(f.mem.value)
			}
			return
		}
		var it segment.Item
		if f.loc.Kind() == segment.KindTable && f.seg.Read(&f.loc, &it) == nil && it.Check(it.Value) {
			ref, ok = segment.ParseTableRef(it.Value)
		}
	}()
	return ref, ok && err == nil
}

// errTable: the file of a reference is not the one it refers to.
var errTable = errors.New("the table file is another one")

// tableError marks errors that say so; others are faults of the system.
func tableError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("%w: %w", errTable, err)
	}
	return err
}

// loadTable reads the file of a reference into e.
func (s *Store) loadTable(e *store.Entry, value []byte, m mode, dst []byte) (out []byte, hold holder, err error) {
	ref, ok := segment.ParseTableRef(value)
	if !ok {
		return dst, nil, fmt.Errorf("%w: not a reference to a table", segment.ErrData)
	}
	want := table.Sum{Size: ref.Size, CRC: ref.CRC}
	if m == borrowed {
		held, err := s.tables.dir.Hold(ref.Path, want)
		if err != nil {
			return dst, nil, tableError(err)
		}
		data := held.Data()
		e.Value = data[:len(data):len(data)]
		return dst, held, nil
	}
	from := 0
	buf := make([]byte, 0, cond(m == owned, int(min(ref.Size, int64(s.opts.MaxValue)))))
	if m == appended {
		from, buf = len(dst), dst
	}
	if buf, err = s.tables.dir.Get(buf, ref.Path, want); err != nil {
		return dst, nil, tableError(err)
	}
	e.Value = buf[from:len(buf):len(buf)]
	if m == appended {
		dst = buf
	}
	return dst, nil, nil
}

// retryTable reads again, behind the writer that may have replaced the file
// since its reference was read.
func (s *Store) retryTable(p *segment.Probe, key string, m mode, dst []byte) (e store.Entry, out []byte, hold holder, err error) {
	defer s.tables.lockKey(p.Hash)()
	e, out, hold, err = s.readOnce(p, key, m, dst)
	switch {
	case !errors.Is(err, errTable):
	case errors.Is(err, fs.ErrNotExist): // somebody removed it
		s.n.corrupt.Add(1)
		s.opts.Logger.Warn("disk store: a table file is missing", "key", key, "err", err)
		err = store.ErrNotFound
	case errors.Is(err, store.ErrCorrupt):
		err = fmt.Errorf("%w: %w", segment.ErrData, err)
	}
	return e, out, hold, err
}

// dropTable removes the table file of key after its row has been replaced by
// something else. The caller holds the key's stripe.
func (s *Store) dropTable(ref segment.TableRef) {
	if err := s.tables.dir.Remove(ref.Path); err != nil {
		s.fault("table", err)
		return
	}
	s.tables.bytes.Add(-ref.Size)
}

// reap removes the table files of rows that compaction or eviction has dropped,
// unless the key has one again.
func (s *Store) reap(dropped []droppedTable) {
	for _, d := range dropped {
		func() {
			p := segment.NewProbe(segment.HashKey(s.seed, d.key))
			defer s.tables.lockKey(p.Hash)()
			if now, ok := s.tableRef(&p, d.key); !ok || now.Path != d.ref.Path {
				s.dropTable(d.ref)
			}
		}()
	}
}

// droppedTable is a row that is gone from the segments.
type droppedTable struct {
	key string
	ref segment.TableRef
}

// finishTables gives the files whose journal records were replayed their names,
// where a crash came between the two.
func (s *Store) finishTables() {
	if s.opts.ReadOnly {
		return
	}
	s.state.Load().mem.each(func(key string, e *memEntry) {
		if e.kind != segment.KindTable {
			return
		}
		ref, ok := segment.ParseTableRef(e.value)
		if !ok {
			return
		}
		s.tables.note(ref.Path)
		if _, err := s.tables.dir.FinishStaged(ref.Path, uint64(e.written)); err != nil {
			s.fault("open", fmt.Errorf("table of %q: %w", key, err))
		}
	})
}

// sweepTables removes what crashes have left among the table files, and counts
// their bytes. It runs once, in the background.
func (s *Store) sweepTables() {
	live := map[string]bool{}
	segs := s.hold()
	defer release(segs)
	for _, g := range segs {
		if g.lostAt != 0 || g.Meta.Tables == 0 {
			continue
		}
		err := s.eachTable(g, func(d droppedTable) {
			p := segment.NewProbe(segment.HashKey(s.seed, d.key))
			if ref, ok := s.tableRef(&p, d.key); ok && ref.Path == d.ref.Path {
				live[ref.Path] = true // else the row was replaced since
			}
		})
		if err != nil {
			s.fault("sweep", err)
			return
		}
	}
	_, err := s.tables.dir.Sweep(func(rel string) bool { return live[rel] || s.tables.noted(rel) })
	if err != nil {
		s.fault("sweep", err)
	}
	var total int64
	err = s.tables.dir.Walk(func(i table.Info) error { total += i.Size; return nil })
	if err == nil {
		s.tables.bytes.Store(total)
	}
}

// eachTable calls fn for the rows of a segment that refer to tables.
func (s *Store) eachTable(g *seg, fn func(droppedTable)) (err error) {
	if g.Meta.Tables == 0 {
		return nil
	}
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	for row := range g.Rows() {
		loc, _, err := g.Row(row)
		if err != nil {
			return err
		}
		if loc.Kind() != segment.KindTable {
			continue
		}
		var it segment.Item
		if err := g.Read(&loc, &it); err != nil {
			return err
		}
		key, ok1 := it.Key()
		if ref, ok2 := segment.ParseTableRef(it.Value); ok1 && ok2 {
			fn(droppedTable{key, ref})
		}
	}
	return nil
}

// fillTable is Fill for a key that may be a table.
func (s *Store) fillTable(ctx context.Context, p *segment.Probe, key string, e *store.Entry) (stored bool, err error) {
	s.tables.fills.Lock() // set takes the key's stripe itself
	defer s.tables.fills.Unlock()
	if v, ok := s.versionOf(p, key); ok && !store.Newer(e.Version, v) {
		return false, nil
	}
	if err := s.Set(ctx, key, *e); err != nil {
		return false, err
	}
	return true, nil
}

// clearTables removes the table files of what has been cleared.
func (s *Store) clearTables() {
	s.tables.mu.Lock()
	s.tables.seen = map[string]bool{}
	s.tables.mu.Unlock()
	s.sweepTables()
}
