package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/cmd/strata/internal/transfer"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// reservedKeys are the chain's own in a tier.
const reservedKeys = "__strata:"

// formatOf returns the format that --format names, or else the name of the file.
func formatOf(flag, path string) (string, error) {
	if flag != "" {
		if !slices.Contains(transfer.Formats(), flag) {
			return "", usage("there is no format %q: give --format %s", flag, strings.Join(transfer.Formats(), ", "))
		}
		return flag, nil
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ndjson", ".jsonl":
		return "ndjson", nil
	case ".csv":
		return "csv", nil
	case ".parquet":
		return "parquet", nil
	}
	return "", usage("the name %q does not say the format: give --format %s", path, strings.Join(transfer.Formats(), ", "))
}

func (a *app) exportCommand() *cobra.Command {
	x := &export{app: a}
	c := &cobra.Command{
		Use: "export TARGET", Short: "Write what the directory holds to a file of another format",
		Long: `Write every entry that counts to TARGET, beside a running program if there is
one: what has expired or was invalidated is left out. ndjson and csv are written
to a file, or to standard output for "-"; parquet to a new directory of files, for
an entry's value is bytes there and a part is written at a time. An entry is one
line or row with its key, value, deadlines, tags and codec, as they are stored;
what is not text is in base64. docs/operations.md has the fields.

"disk import" reads it back. For a backup, "disk snapshot" is quicker.`,
		Args: between(1, 1, "one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			x.target = args[0]
			if x.format, err = formatOf(x.format, x.target); err != nil {
				return err
			}
			if x.format == "parquet" && x.target == "-" {
				return usage("parquet is a directory of files: name one")
			}
			return a.onDisk("", true, func(s *diskstore.Store) error { return x.run(cmd.Context(), s) })
		},
	}
	c.Flags().StringVar(&x.format, "format", "", "parquet, csv or ndjson (default: by the ending of TARGET)")
	c.Flags().StringVar(&x.prefix, "prefix", "", "only keys that begin with this `text`")
	c.Flags().BoolVar(&x.force, "force", false, "replace TARGET if it is there")
	return c
}

// export is a run of disk export.
type export struct {
	*app
	target, format, prefix string
	force                  bool

	entries, damaged int64
}

// exportInfo is its outcome in JSON.
type exportInfo struct {
	Target  string `json:"target"`
	Format  string `json:"format"`
	Entries int64  `json:"entries"`
	Damaged int64  `json:"damaged"`
}

func (x *export) run(ctx context.Context, s *diskstore.Store) error {
	if err := x.write(ctx, s); err != nil {
		return fail(err)
	}
	var err error
	switch {
	case x.target == "-": // the entries are the output
	case x.json:
		err = x.printJSON(exportInfo{x.target, x.format, x.entries, x.damaged})
	default:
		_, err = fmt.Fprintf(x.out, "wrote %d entries to %s\n", x.entries, x.target)
	}
	if err == nil && x.damaged > 0 {
		err = fmt.Errorf("%d entries are damaged and were left out: see \"strata disk verify\"", x.damaged)
	}
	return fail(err)
}

// write writes to a temporary place beside the target, which takes the target's
// name when it is whole.
func (x *export) write(ctx context.Context, s *diskstore.Store) (err error) {
	if x.target == "-" {
		w, err := transfer.NewWriter(x.format, x.out)
		if err != nil {
			return err
		}
		return x.entriesTo(ctx, s, w)
	}
	if err := x.mayReplace(); err != nil {
		return err
	}
	dir, name := filepath.Split(filepath.Clean(x.target))
	tmp, err := os.MkdirTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	made := filepath.Join(tmp, name)
	if x.format == "parquet" {
		err = x.toParts(ctx, s, made)
	} else {
		err = x.toFile(ctx, s, made)
	}
	if err != nil {
		return err
	}
	if x.force {
		if err := os.RemoveAll(x.target); err != nil {
			return err
		}
	}
	return os.Rename(made, x.target)
}

// mayReplace is an error unless nothing is at the target, or --force is given and what
// is there looks like an export of the format: a typing error must not cost anybody a
// folder.
func (x *export) mayReplace() error {
	info, err := os.Lstat(x.target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !x.force:
		return fmt.Errorf("%s is there already: give --force to replace it", x.target)
	case x.format != "parquet":
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file: remove it yourself, or name another", x.target)
		}
		return nil
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: remove it yourself, or name another", x.target)
	}
	files, err := os.ReadDir(x.target)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() || filepath.Ext(f.Name()) != ".parquet" {
			return fmt.Errorf("%s holds %s, which no export made: remove it yourself, or name another directory", x.target, f.Name())
		}
	}
	return nil
}

func (x *export) toParts(ctx context.Context, s *diskstore.Store, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	w, err := transfer.NewParts(dir)
	if err != nil {
		return err
	}
	return x.entriesTo(ctx, s, w)
}

func (x *export) toFile(ctx context.Context, s *diskstore.Store, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // what is in a cache is nobody else's business
	if err != nil {
		return err
	}
	w, err := transfer.NewWriter(x.format, f)
	if err == nil {
		err = x.entriesTo(ctx, s, w)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// entriesTo writes the entries that count.
func (x *export) entriesTo(ctx context.Context, s *diskstore.Store, w transfer.Writer) error {
	counts, done, err := counter(ctx, s)
	if err != nil {
		return err
	}
	defer done()
	p := x.begin("export", s.Stats().Entries, amount)
	defer p.end()
	for key, err := range s.Scan(ctx, x.prefix) {
		if err != nil {
			return err
		}
		p.add(1)
		if strings.HasPrefix(key, reservedKeys) {
			continue
		}
		if err := x.entry(ctx, s, key, counts, w); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return w.Close()
}

func (x *export) entry(ctx context.Context, s *diskstore.Store, key string, counts func(string) (bool, error), w transfer.Writer) error {
	e, err := s.Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound): // it has expired since
		return nil
	case errors.Is(err, store.ErrCorrupt):
		x.damaged++
		return nil
	case err != nil:
		return err
	}
	if ok, err := counts(key); err != nil || !ok {
		return err
	}
	x.entries++
	return w.Write(key, &e)
}

// unclosed keeps a chain from closing a store that is not its own.
type unclosed struct{ *diskstore.Store }

func (unclosed) Close() error { return nil }

// counter returns a function that says whether an entry counts, or was invalidated
// by a tag or a Clear. done is to be called when it is not needed any more.
func counter(ctx context.Context, s *diskstore.Store) (counts func(key string) (bool, error), done func(), err error) {
	barriers := false
	for _, err := range s.Scan(ctx, reservedKeys) {
		if err != nil {
			return nil, nil, err
		}
		barriers = true
		break
	}
	if !barriers {
		return func(string) (bool, error) { return true, nil }, func() {}, nil
	}
	c, err := chain.New([]chain.Tier{{Name: "disk", Store: unclosed{s}}}, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	return func(key string) (bool, error) {
		ex, err := c.Explain(ctx, key)
		if err != nil {
			return false, err
		}
		t := ex.Tiers[0]
		return t.Present && !t.Covered, t.Err
	}, func() { _ = c.Close(ctx) }, nil
}
