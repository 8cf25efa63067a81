package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/cmd/strata/internal/transfer"
	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

func (a *app) importCommand() *cobra.Command {
	m := &importer{app: a}
	c := &cobra.Command{
		Use: "import SOURCE", Short: "Read entries of another format into the directory",
		Long: `Read entries that "disk export", or another program, wrote to SOURCE: a file, "-"
for standard input, or for parquet a file or a directory of them. Each replaces what
the directory holds of its key, as if it were written now; deadlines, tags and codec
are the file's, and what has expired is left out. The directory is made if it is not
there, and must not be in use.

The whole of SOURCE is checked first: where anything in it is wrong, the error says
in which line or row, and nothing is imported.`,
		Args: between(1, 1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			m.source = args[0]
			if m.format, err = formatOf(m.format, m.source); err != nil {
				return err
			}
			if m.format == "parquet" && m.source == "-" {
				return usage("parquet cannot be read from standard input: name a file or directory")
			}
			return m.run(cmd.Context())
		},
	}
	c.Flags().StringVar(&m.format, "format", "", "parquet, csv or ndjson (default: by the ending of SOURCE)")
	return c
}

// importInfo is the outcome of disk import in JSON.
type importInfo struct {
	Entries int64 `json:"entries"`
	Expired int64 `json:"expired"`
}

// importer is a run of disk import.
type importer struct {
	*app
	source, format string

	cfg *config.Config
	bar *progress
	now time.Time
	importInfo
}

func (m *importer) run(ctx context.Context) (err error) {
	if m.cfg, err = m.load(); err != nil {
		return err
	}
	if m.cfg.Tiers.Disk.Dir == "" {
		return usage("there is no directory: name one with --dir, or in the configuration")
	}
	if m.source == "-" {
		remove, err := m.spool()
		if err != nil {
			return fail(err)
		}
		defer remove()
	}
	if err := m.transfer(ctx); err != nil {
		return fail(err)
	}
	if m.json {
		return m.printJSON(m.importInfo)
	}
	expired := ""
	if m.Expired > 0 {
		expired = fmt.Sprintf("; %d have expired and were left out", m.Expired)
	}
	_, err = fmt.Fprintf(m.out, "imported %d entries%s\n", m.Entries, expired)
	return fail(err)
}

// transfer reads the source twice: to check it, and to import it.
func (m *importer) transfer(ctx context.Context) error {
	m.now = time.Now()
	bytes, err := bytesOf(m.source)
	if err != nil {
		return err
	}
	m.bar = m.begin("import", 2*bytes, size)
	defer m.bar.end()
	for _, err := range m.entries(ctx) {
		if err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
	}
	m.importInfo = importInfo{}
	d := &m.cfg.Tiers.Disk
	s, err := diskstore.Open(d.Dir, &diskstore.Options{
		Partitioner: m.cfg.Policy, Capacity: d.Capacity, SegmentSize: d.SegmentSize, MaxValue: int(d.MaxValue),
	})
	if err != nil {
		return err
	}
	return errors.Join(m.loadInto(ctx, s), s.Close())
}

// loadInto writes the entries, all or, but for tables, none of them.
func (m *importer) loadInto(ctx context.Context, s *diskstore.Store) error {
	version, err := newest(ctx, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return cause(ctx, s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for in, err := range m.entries(ctx) {
			if err != nil {
				cancel(err) // it was sound a moment ago
				return
			}
			in.entry.Version = version
			if !yield(in.key, in.entry) {
				return
			}
		}
	}))
}

// cause returns why ctx was cancelled, if that is why err came.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// newest returns a version above all that invalidates what the directory holds: an
// import is newer than the Clear that it makes good.
func newest(ctx context.Context, s *diskstore.Store) (uint64, error) {
	var c clock.HLC
	v := c.Next()
	for key, err := range s.Scan(ctx, reservedKeys) {
		if err != nil {
			return 0, err
		}
		e, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return 0, err
		}
		v = max(v, e.Version+1)
	}
	return v, nil
}

// incoming is an entry of the source.
type incoming struct {
	key   string
	entry store.Entry
}

// entries yields what is to be imported, and counts it. An error ends it.
func (m *importer) entries(ctx context.Context) iter.Seq2[incoming, error] {
	return func(yield func(incoming, error) bool) {
		r, closeSource, err := m.open()
		if err != nil {
			yield(incoming{}, err)
			return
		}
		defer closeSource()
		for ctx.Err() == nil {
			key, e, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil {
				if err = m.acceptable(key, &e); err != nil {
					err = fmt.Errorf("%s: %w", r.Where(), err)
				}
			}
			if err != nil {
				yield(incoming{}, err)
				return
			}
			if e.Expired(m.now) {
				m.Expired++
				continue
			}
			m.Entries++
			if !yield(incoming{key, e}, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(incoming{}, context.Cause(ctx))
		}
	}
}

// acceptable says what the directory would not take.
func (m *importer) acceptable(key string, e *store.Entry) error {
	limit := m.maxValue()
	switch {
	case len(key) > diskstore.MaxKey:
		return fmt.Errorf("the key has %d bytes; %d are the most", len(key), diskstore.MaxKey)
	case strings.HasPrefix(key, reservedKeys):
		return fmt.Errorf("keys that begin with %s are strata's own", reservedKeys)
	case int64(len(e.Value)) > limit:
		return fmt.Errorf("the value has %s; %s are the most (tiers.disk.max_value)", size(int64(len(e.Value))), size(limit))
	}
	return nil
}

// maxValue is the largest value that the directory takes.
func (m *importer) maxValue() int64 {
	d := &m.cfg.Tiers.Disk
	if d.Capacity > 0 {
		return min(d.MaxValue, d.Capacity/16) // as diskstore.Options has it
	}
	return d.MaxValue
}

// open opens the source. What is read of it moves the bar.
func (m *importer) open() (r transfer.Reader, closeSource func(), err error) {
	if m.format == "parquet" {
		r, err := transfer.ReadParts(m.source, m.bar.add)
		return r, func() {}, err
	}
	f, err := os.Open(m.source)
	if err != nil {
		return nil, nil, err
	}
	// Text and base64 take up to twice the bytes of a value; keys and tags are small.
	r, err = transfer.NewReader(m.format, counted{f, m.bar}, int(2*m.cfg.Tiers.Disk.MaxValue)+1<<20)
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return r, func() { _ = f.Close() }, nil
}

// counted is a reader that moves a bar.
type counted struct {
	io.Reader
	bar *progress
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bar.add(int64(n))
	return n, err
}

// bytesOf returns the size of a file, or of the files of a directory.
func bytesOf(path string) (n int64, err error) {
	err = filepath.Walk(path, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// spool copies standard input to a file, for it is read twice.
func (m *importer) spool() (remove func(), err error) {
	f, err := os.CreateTemp("", "strata-import-*")
	if err != nil {
		return nil, err
	}
	m.source = f.Name()
	_, err = io.Copy(f, m.in)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return nil, err
	}
	return func() { _ = os.Remove(f.Name()) }, nil
}
