package diskstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
	"github.com/stratacache/strata/store/diskstore/internal/table"
)

// Snapshot writes a copy of the store, as of now, to a new or empty directory:
// one that Open opens and that SQL engines read. Readers and writers go on
// meanwhile; a table that is replaced while it runs is copied old or new.
func (s *Store) Snapshot(ctx context.Context, dir string) error {
	if err := s.check(ctx, "snapshot", ""); err != nil {
		return err
	}
	if !s.opts.ReadOnly {
		if err := s.Flush(ctx); err != nil {
			return err
		}
	}
	if err := s.snapshot(ctx, dir); err != nil {
		return s.error("snapshot", "", s.endedBy(err))
	}
	return nil
}

func (s *Store) snapshot(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		return errors.Join(err, fmt.Errorf("%s is not empty", dir))
	}
	to, err := vfs.OS(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	// With the compactor kept away the files stay where they are.
	s.compaction.Lock()
	defer s.compaction.Unlock()
	segs, err := s.holdOpen()
	if err != nil {
		return err
	}
	defer release(segs)
	if err := to.MkdirAll(kvDir); err != nil {
		return err
	}
	m := s.meter(segs)
	for _, g := range segs {
		names := []string{segment.IndexName(kvDir, g.Meta.ID)}
		if g.lostAt == 0 {
			names = append(names, segment.Name(kvDir, g.Meta.ID))
		}
		for _, name := range names {
			if err := errors.Join(ctx.Err(), copyFile(s.fs, name, to, name)); err != nil {
				return err
			}
		}
		if g.lostAt == 0 {
			m.end(g.Meta.Bytes())
		}
	}
	if err := s.copyTables(ctx, to); err != nil {
		return err
	}
	if err := to.SyncDir(kvDir); err != nil {
		return err
	}
	s.meta.Lock()
	manifest := s.manifest(segs)
	s.meta.Unlock()
	_, err = manifest.write(to)
	return err
}

// copyTables copies the table files.
func (s *Store) copyTables(ctx context.Context, to vfs.FS) error {
	return s.tables.dir.Walk(func(i table.Info) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := to.MkdirAll(i.Rel); err != nil {
			return err
		}
		name := path.Join(i.Rel, table.FileName)
		err := copyFile(s.fs, name, to, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		return err
	})
}

// copyFile copies a file and makes the copy durable.
func copyFile(from vfs.FS, name string, to vfs.FS, as string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Size()
	if err != nil {
		return err
	}
	out, err := to.Create(as)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(in, 0, size))
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
