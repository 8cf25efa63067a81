package diskstore

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

var golden = flag.Bool("golden", false, "write testdata/format-1 anew")

const goldenDir = "testdata/format-1"

// goldenEntries are in the golden directory: some sealed, some in the journal,
// one a table.
func goldenEntries() (sealed, unsealed map[string]store.Entry) {
	at := time.Date(2150, 1, 2, 3, 4, 5, 6000, time.UTC)
	sealed = map[string]store.Entry{
		"plain":         {Value: []byte("value")},
		"empty":         {},
		"\xff\x00":      {Value: []byte("a key that is no text"), Tags: []string{"t", "\xfe"}},
		"deadlines":     {Value: []byte("x"), Expires: at, Fresh: at.Add(-time.Hour), Version: 1<<63 + 7, Codec: "json"},
		"hist:AAPL:1d":  tableEntry("table"),
		"replaced":      {Value: []byte("old")},
		"deleted":       {Value: []byte("gone")},
		"large":         {Value: []byte(strings.Repeat("0123456789", 3000)), Codec: "text"},
		"hist:none:1wk": {Value: []byte("not a table"), Codec: "parquet"},
	}
	unsealed = map[string]store.Entry{
		"replaced": {Value: []byte("new"), Version: 3},
		"journal":  {Value: []byte("only here"), Expires: at, Tags: []string{"a"}},
	}
	return sealed, unsealed
}

// writeGolden makes the directory, as a kill leaves it.
func writeGolden(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{Partitioner: histRule{}, Sync: SyncAlways})
	sealed, unsealed := goldenEntries()
	if err := s.SetMany(ctx, sealed); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMany(ctx, unsealed); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "deleted"); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(goldenDir)
	if err := os.CopyFS(goldenDir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(goldenDir, lockName))
}

// TestGolden reads a directory that the first version of the format wrote. It is
// never written anew: a later format gets a directory of its own.
func TestGolden(t *testing.T) {
	if *golden {
		writeGolden(t)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(goldenDir)); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store) {
		t.Helper()
		sealed, unsealed := goldenEntries()
		delete(sealed, "deleted")
		wantValue(t, s, "deleted", nil)
		for key, want := range sealed {
			if w, ok := unsealed[key]; ok {
				want = w
			}
			checkGolden(t, s, key, want)
		}
		for key, want := range unsealed {
			checkGolden(t, s, key, want)
		}
	}
	check(openDir(t, dir, Options{Partitioner: histRule{}, ReadOnly: true}))
	s := openDir(t, dir, Options{Partitioner: histRule{}})
	check(s)
	if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 {
		t.Errorf("verify: %v, %v", rep, err)
	}
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	check(s)
}

func checkGolden(t *testing.T, s *Store, key string, want store.Entry) {
	t.Helper()
	got, err := s.Get(ctx, key)
	if err != nil {
		t.Errorf("%q: %v", key, err)
		return
	}
	a := fmt.Sprintf("%q %d %d %d %s", got.Value, got.Expires.UnixMicro(), got.Fresh.UnixMicro(), got.Version, got.Codec)
	b := fmt.Sprintf("%q %d %d %d %s", want.Value, want.Expires.UnixMicro(), want.Fresh.UnixMicro(), want.Version, want.Codec)
	if a != b || !slices.Equal(got.Tags, want.Tags) {
		t.Errorf("%q: %.200s %q\nwant %.200s %q", key, a, got.Tags, b, want.Tags)
	}
}
