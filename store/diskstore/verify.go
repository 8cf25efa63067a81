package diskstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
	"github.com/stratacache/strata/store/diskstore/internal/table"
)

// Report is what Verify has found.
type Report struct {
	Segments int
	Rows     int64
	Tables   int64
	Bytes    int64 // of the files that were read
	Problems []Problem
}

// Problem is one kind of damage in one file.
type Problem struct {
	File   string // within the store's directory
	Detail string
	Rows   int64 // that cannot be read; 0: none, or not known

	seg   *seg
	index bool   // only the index is damaged
	key   string // of a table
}

func (p Problem) String() string { return p.File + ": " + p.Detail }

// Verify reads every file of the store and checks every checksum. Damage is in
// the report; the error is for what kept Verify from looking.
func (s *Store) Verify(ctx context.Context) (*Report, error) {
	if err := s.check(ctx, "verify", ""); err != nil {
		return nil, err
	}
	ctx, cancel := s.untilClosed(ctx)
	defer cancel()
	segs, err := s.holdOpen()
	if err != nil {
		return nil, s.error("verify", "", err)
	}
	defer release(segs)
	rep, m := &Report{}, s.meter(segs)
	for _, g := range segs {
		if err := s.verifySegment(ctx, g, rep, m); err != nil {
			return rep, s.error("verify", "", s.endedBy(err))
		}
	}
	for _, m := range s.memtables() {
		m.each(func(key string, e *memEntry) {
			if e.kind == segment.KindTable {
				s.verifyTable(key, e.value, rep)
			}
		})
	}
	return rep, nil
}

func (s *Store) memtables() []*memtable {
	st := s.state.Load()
	return append([]*memtable{st.mem}, st.frozen...)
}

func (rep *Report) add(p Problem) { rep.Problems = append(rep.Problems, p) }

func (s *Store) verifySegment(ctx context.Context, g *seg, rep *Report, m *meter) error {
	name := segment.Name(kvDir, g.Meta.ID)
	if g.lostAt != 0 {
		rep.add(Problem{File: name, Detail: "the file is lost; its index hides what is older", Rows: g.Meta.Rows, seg: g})
		return nil
	}
	defer m.end(g.Meta.Bytes())
	rep.Segments++
	rep.Bytes += g.Meta.Size + g.Meta.IndexSize
	if err := protect(g.CheckIndex); err != nil {
		rep.add(Problem{File: segment.IndexName(kvDir, g.Meta.ID), Detail: err.Error(), seg: g, index: true})
		return nil // Repair rebuilds it, and what it says of rows is then worth something
	}
	bad := int64(0)
	err := protect(func() error { return s.verifyRows(ctx, g, rep, m, &bad) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		rep.add(Problem{File: name, Detail: err.Error(), Rows: g.Meta.Rows, seg: g})
		return nil
	}
	pages := 0
	err = protect(func() (err error) {
		pages, err = g.CheckPages()
		return err
	})
	if bad > 0 || pages > 0 || err != nil {
		rep.add(Problem{File: name, Detail: fmt.Sprintf("%d rows and %d pages fail their checksums", bad, pages), Rows: bad, seg: g})
	}
	return nil
}

// protect turns memory faults of fn into an error.
func protect(fn func() error) (err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	return fn()
}

func (s *Store) verifyRows(ctx context.Context, g *seg, rep *Report, m *meter, bad *int64) error {
	for row := range g.Rows() {
		if row%1024 == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m.at(row, g.Rows(), g.Meta.Bytes())
		}
		loc, h, err := g.Row(row)
		if err != nil {
			return err
		}
		rep.Rows++
		var it segment.Item
		err = g.Read(&loc, &it)
		if err != nil || !it.Check(it.Value) || !g.KeyFits(&it, h) {
			*bad++
			continue
		}
		if key, ok := it.Key(); ok && it.Kind == segment.KindTable && !passed(it.Expires) {
			s.verifyTable(key, it.Value, rep)
		}
	}
	return nil
}

// verifyTable checks the file of a reference, unless the key has another one by
// now.
func (s *Store) verifyTable(key string, value []byte, rep *Report) {
	ref, ok := segment.ParseTableRef(value)
	if !ok {
		return
	}
	p := segment.NewProbe(segment.HashKey(s.seed, key))
	defer s.tables.lockKey(p.Hash)()
	if now, ok := s.tableRef(&p, key); !ok || now != ref {
		return
	}
	rep.Tables++
	rep.Bytes += ref.Size
	want := table.Sum{Size: ref.Size, CRC: ref.CRC}
	err := s.tables.dir.View(ref.Path, want, func(data []byte) error {
		if table.SumOf(data) != want { // the mapping was checked when it was made
			return fmt.Errorf("%w: checksum of a table", store.ErrCorrupt)
		}
		return nil
	})
	if err != nil {
		rep.add(Problem{File: ref.Path, Detail: err.Error(), Rows: 1, key: key})
	}
}

// Repair verifies the store and makes good what it can: an index is rebuilt, a
// segment is written anew without the rows that are damaged, which become
// misses, and a damaged table file is dropped. The damaged files go to
// quarantine/. The report is that of Verify.
func (s *Store) Repair(ctx context.Context) (*Report, error) {
	if s.opts.ReadOnly {
		return nil, s.error("repair", "", errReadOnly)
	}
	rep, err := s.Verify(ctx)
	if err != nil {
		return rep, err
	}
	ctx, cancel := s.untilClosed(ctx)
	defer cancel()
	for _, p := range rep.Problems {
		if err := s.repair(ctx, p); err != nil {
			return rep, s.error("repair", "", fmt.Errorf("%s: %w", p.File, err))
		}
	}
	return rep, nil
}

func (s *Store) repair(ctx context.Context, p Problem) error {
	if p.key != "" {
		return s.repairTable(ctx, p)
	}
	s.compaction.Lock()
	defer s.compaction.Unlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	switch {
	case p.index:
		s.heal()
		return nil
	case p.seg.lostAt != 0:
		for run := s.pickPurge(s.state.Load().segs); run != nil; run = s.pickPurge(s.state.Load().segs) {
			if err := s.merge(ctx, run); err != nil {
				return err
			}
		}
		return s.dropLost()
	}
	s.keepCopy(segment.Name(kvDir, p.seg.Meta.ID))
	for _, g := range s.state.Load().segs {
		if g == p.seg {
			return s.merge(ctx, []*seg{g})
		}
	}
	return nil // compacted meanwhile
}

// keepCopy copies a damaged file to quarantine.
func (s *Store) keepCopy(name string) {
	err := func() error {
		if err := s.fs.MkdirAll(quarantineDir); err != nil {
			return err
		}
		return copyFile(s.fs, name, s.fs, path.Join(quarantineDir, path.Base(name)))
	}()
	if err != nil {
		s.fault("repair", err)
	}
}

// repairTable moves a damaged table file away and removes its key.
func (s *Store) repairTable(ctx context.Context, p Problem) error {
	err := s.tables.dir.Move(p.File, path.Join(quarantineDir, fmt.Sprintf("table-%d.parquet", s.newID())))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.Delete(ctx, p.key)
}
