package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/store/diskstore"
)

func (a *app) diskCommand() *cobra.Command {
	ls := &cobra.Command{
		Use: "ls", Short: "List the files of the directory", Args: between(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.diskList() },
	}
	verify := &cobra.Command{
		Use: "verify", Short: "Read every file and check every checksum",
		Long: "Read every file and check every checksum, beside a running program if there is\none. The exit code is 1 if anything is damaged.",
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onDisk("verify", true, func(s *diskstore.Store) error { return a.report(s.Verify(cmd.Context())) })
		},
	}
	repair := &cobra.Command{
		Use: "repair", Short: "Verify, and make good what can be",
		Long: "Verify, rebuild damaged indexes and write damaged segments anew without what is\nlost of them, which become misses. What was damaged is kept under quarantine/. The\nexit code is 1 if anything was damaged.",
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onDisk("repair", false, func(s *diskstore.Store) error { return a.report(s.Repair(cmd.Context())) })
		},
	}
	compact := &cobra.Command{
		Use: "compact", Short: "Drop what is expired or replaced", Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onDisk("compact", false, func(s *diskstore.Store) error { return a.compact(cmd.Context(), s) })
		},
	}
	snapshot := &cobra.Command{
		Use: "snapshot TARGET", Short: "Copy the store to a new or empty directory", Args: between(1, 1, "one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDisk("snapshot", true, func(s *diskstore.Store) error {
				if err := s.Snapshot(cmd.Context(), args[0]); err != nil {
					return fail(err)
				}
				_, err := fmt.Fprintf(a.out, "wrote %s\n", args[0])
				return fail(err)
			})
		},
	}
	return group("disk", "Look after a disk directory", ls, verify, repair, compact, snapshot, a.exportCommand(), a.importCommand())
}

// diskDir returns the directory, which must be there.
func (a *app) diskDir() (string, error) {
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	dir := cfg.Tiers.Disk.Dir
	if dir == "" {
		return "", usage("there is no directory: name one with --dir, or in the configuration")
	}
	switch info, err := os.Stat(dir); {
	case err != nil:
		return "", fail(fmt.Errorf("no cache at %s: %w", dir, errors.Unwrap(err)))
	case !info.IsDir():
		return "", fail(fmt.Errorf("no cache at %s: it is not a directory", dir))
	}
	if !isCache(dir) { // who opens it for writing would make it one
		return "", fail(fmt.Errorf("no cache at %s: it holds none of a cache's files", dir))
	}
	return dir, nil
}

// isCache reports whether a directory holds any of what a disk tier makes there.
func isCache(dir string) bool {
	for _, name := range []string{"MANIFEST", "LOCK", "kv", "journal", "tables"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// onDisk runs f on the store of the directory. What the store itself tells of its
// progress is shown under the name of what, unless that is empty.
func (a *app) onDisk(what string, readOnly bool, f func(*diskstore.Store) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	dir, err := a.diskDir()
	if err != nil {
		return err
	}
	opts := &diskstore.Options{ReadOnly: readOnly, Partitioner: cfg.Policy} // without its rules tables that are there are still read
	if what != "" {
		opts.Progress = a.shown(what)
	}
	s, err := diskstore.Open(dir, opts)
	if err != nil {
		return fail(err)
	}
	err = f(s)
	if closed := s.Close(); err == nil {
		err = fail(closed)
	}
	return err
}

// shown returns a function that shows progress in bytes from its first call to the
// one that says that all is done.
func (a *app) shown(what string) func(done, total int64) {
	var p *progress
	return func(done, total int64) {
		if p == nil {
			p = a.begin(what, total, size)
		}
		if p.set(done, total); done >= total {
			p.end()
			p = nil
		}
	}
}

// fileInfo is a file in JSON.
type fileInfo struct {
	File     string    `json:"file"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
}

func (a *app) diskList() error {
	dir, err := a.diskDir()
	if err != nil {
		return err
	}
	files, total := []fileInfo{}, int64(0)
	rows := [][]string{{"FILE", "SIZE", "MODIFIED"}}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compaction was quicker
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, fileInfo{rel, info.Size(), info.ModTime().UTC()})
		rows = append(rows, []string{rel, size(info.Size()), info.ModTime().UTC().Format(time.DateTime)})
		total += info.Size()
		return nil
	})
	if err != nil {
		return fail(err)
	}
	if a.json {
		return a.printJSON(files)
	}
	if err := a.table(rows); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%d files, %s\n", len(files), size(total))
	return fail(err)
}

// damageInfo is a problem of a directory in JSON.
type damageInfo struct {
	File   string `json:"file"`
	Detail string `json:"detail"`
	Rows   int64  `json:"rows,omitempty"`
}

type diskReport struct {
	Segments int          `json:"segments"`
	Rows     int64        `json:"rows"`
	Tables   int64        `json:"tables"`
	Bytes    int64        `json:"bytes"`
	Problems []damageInfo `json:"problems"`
}

// report prints the outcome of Verify or Repair.
func (a *app) report(r *diskstore.Report, err error) error {
	if err != nil {
		return fail(err)
	}
	out := diskReport{r.Segments, r.Rows, r.Tables, r.Bytes, []damageInfo{}}
	rows := [][]string{{"DAMAGED", "ROWS LOST", "WHAT"}}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, damageInfo{p.File, p.Detail, p.Rows})
		rows = append(rows, []string{p.File, strconv.FormatInt(p.Rows, 10), oneLine(p.Detail)})
	}
	if a.json {
		err = a.printJSON(out)
	} else {
		if len(r.Problems) > 0 {
			err = a.table(rows)
		}
		fmt.Fprintf(a.out, "read %d segments with %d rows, %d tables, %s\n", r.Segments, r.Rows, r.Tables, size(r.Bytes))
	}
	if err == nil && len(r.Problems) > 0 {
		err = fail(fmt.Errorf("%d files are damaged", len(r.Problems)))
	}
	return err
}

func (a *app) compact(ctx context.Context, s *diskstore.Store) error {
	before := s.Stats().Bytes
	if err := s.Compact(ctx); err != nil {
		return fail(err)
	}
	after := s.Stats().Bytes
	if a.json {
		return a.printJSON(map[string]int64{"bytes_before": before, "bytes_after": after})
	}
	_, err := fmt.Fprintf(a.out, "%s before, %s after\n", size(before), size(after))
	return fail(err)
}
