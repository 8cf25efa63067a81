package diskstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// histRule lays out keys hist:<symbol>:<interval>.
type histRule struct{}

func (histRule) Partition(key string) (string, []store.Part, bool) {
	p := strings.Split(key, ":")
	if len(p) != 3 || p[0] != "hist" {
		return "", nil, false
	}
	return "hist", []store.Part{{Name: "symbol", Value: p[1]}, {Name: "interval", Value: p[2]}}, true
}

// tableEntry has a value that looks like a Parquet file from outside.
func tableEntry(text string) store.Entry {
	return store.Entry{Value: []byte("PAR1" + text + "....PAR1"), Codec: "parquet", Version: 7, Tags: []string{"t"}}
}

func openDir(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	if opts.OnError == nil {
		opts.OnError = func(err error) { t.Error(err) }
	}
	s, err := Open(dir, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustSet(t testing.TB, s *Store, key string, e store.Entry) {
	t.Helper()
	if err := s.Set(ctx, key, e); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t testing.TB, s *Store, key string, want []byte) {
	t.Helper()
	e, err := s.Get(ctx, key)
	if want == nil {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%s: %q, %v; want a miss", key, e.Value, err)
		}
		return
	}
	if err != nil || !bytes.Equal(e.Value, want) {
		t.Fatalf("%s: %.40q, %v; want %.40q", key, e.Value, err, want)
	}
}

func tableFiles(t testing.TB, dir string) (files []string) {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(dir, "tables/*/*/*/*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m {
		rel, _ := filepath.Rel(dir, f)
		files = append(files, filepath.ToSlash(rel))
	}
	return files
}

func TestTableLife(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Partitioner: histRule{}, CompactionRate: -1}
	s := openDir(t, dir, opts)
	key := "hist:AAPL:1d"
	first, second := tableEntry("one"), tableEntry("two")
	mustSet(t, s, key, first)
	wantValue(t, s, key, first.Value)
	mustSet(t, s, key, second)
	wantValue(t, s, key, second.Value)
	if got := tableFiles(t, dir); len(got) != 1 || got[0] != "tables/hist/symbol=AAPL/interval=1d/data.parquet" {
		t.Fatalf("table files %q", got)
	}
	e, _ := s.Get(ctx, key)
	if e.Version != 7 || e.Codec != "parquet" || len(e.Tags) != 1 {
		t.Errorf("entry %+v", e)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key, second.Value)
	if out, _, err := s.Append(ctx, []byte("x"), key); err != nil || string(out) != "x"+string(second.Value) {
		t.Errorf("append %q, %v", out, err)
	}
	if m, err := s.GetMany(ctx, []string{key, "hist:none:1d"}); err != nil || len(m) != 1 || !bytes.Equal(m[key].Value, second.Value) {
		t.Errorf("get many: %v, %v", m, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openDir(t, dir, opts)
	wantValue(t, s, key, second.Value)

	// Not Parquet, whatever the codec says: it must not get among the tables.
	mustSet(t, s, key, store.Entry{Value: []byte("text"), Codec: "parquet"})
	wantValue(t, s, key, []byte("text"))
	if got := tableFiles(t, dir); len(got) != 0 {
		t.Fatalf("files of a key that is no table any more: %q", got)
	}
	mustSet(t, s, key, first)
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key, nil)
	if got := tableFiles(t, dir); len(got) != 0 {
		t.Fatalf("files of a deleted key: %q", got)
	}
	mustSet(t, s, key, first)
	if err := s.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key, nil)
	if got := tableFiles(t, dir); len(got) != 0 {
		t.Fatalf("files after Clear: %q", got)
	}
}

// TestTableComesBack: a power failure undoes the removal of a file that was not
// synced. The key's older row does not keep it.
func TestTableComesBack(t *testing.T) {
	mem := vfs.Mem()
	opts := Options{Sync: SyncAlways, Partitioner: histRule{}}
	s := open(t, mem, opts)
	key := "hist:AAPL:1d"
	mustSet(t, s, key, tableEntry("x"))
	if err := errors.Join(s.Flush(ctx), s.Delete(ctx, key)); err != nil {
		t.Fatal(err)
	}
	crashed := mem.CrashClone(rand.New(rand.NewPCG(1, 1)), 0)
	file := "tables/hist/symbol=AAPL/interval=1d/data.parquet"
	if _, err := crashed.Stat(file); err != nil {
		t.Fatalf("the crash was to bring the file back: %v", err)
	}
	r := open(t, crashed, opts)
	if err := r.maintain(ctx); err != nil {
		t.Fatal(err)
	}
	wantValue(t, r, key, nil)
	if _, err := crashed.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a deleted key: %v", err)
	}
}

// TestTableView borrows a table: no copy, no allocation, and what was borrowed
// stays as it was when the table is replaced, removed, and the store closed.
func TestTableView(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{Partitioner: histRule{}, CompactionRate: -1})
	key, first := "hist:AAPL:1d", tableEntry(strings.Repeat("one", 5000))
	mustSet(t, s, key, first)
	for _, where := range []string{"journal", "segment"} {
		v, err := s.View(ctx, key)
		if err != nil || !bytes.Equal(v.Value, first.Value) || v.Version != 7 || len(v.Tags) != 1 {
			t.Fatalf("%s: view %.20q, %v", where, v.Value, err)
		}
		w, err := s.View(ctx, key)
		if err != nil || &w.Value[0] != &v.Value[0] {
			t.Errorf("%s: a view is a copy: %v", where, err)
		}
		w.Release()
		v.Release()
		v.Release()
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	v, err := s.View(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, key, tableEntry("two"))
	if err := errors.Join(s.Delete(ctx, key), s.Flush(ctx), s.Compact(ctx), s.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.Value, first.Value) {
		t.Error("a view changed")
	}
	v.Release()
}

// TestTableReplacedByValue: the file of a table goes only when the value in its
// place is on the disk.
func TestTableReplacedByValue(t *testing.T) {
	mem := vfs.Mem()
	failing := errors.New("no sync")
	var fail atomic.Bool
	fsys := vfs.Faulty(mem, func(c vfs.Call) error {
		if fail.Load() && c.Op == vfs.OpSync { // of segments too: what is in memory would be sealed
			return failing
		}
		return nil
	})
	key, table := "hist:AAPL:1d", tableEntry("acknowledged")
	for _, sync := range []Sync{SyncAlways, SyncInterval} {
		fail.Store(false)
		s := open(t, fsys, Options{Sync: sync, Interval: time.Hour, Partitioner: histRule{}})
		mustSet(t, s, key, table)
		fail.Store(true)
		if err := s.Set(ctx, key, store.Entry{Value: []byte("text")}); !errors.Is(err, failing) {
			t.Fatalf("set with a failing sync: %v", err)
		}
		crashed := mem.CrashClone(rand.New(rand.NewPCG(1, 1)), 0)
		wantValue(t, open(t, crashed, Options{Partitioner: histRule{}}), key, table.Value)
		fail.Store(false)
		_ = s.Close()
	}
}

func TestTableExpires(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{Partitioner: histRule{}, CompactionRate: -1})
	e := tableEntry("soon")
	e.Expires = time.Now().Add(30 * time.Millisecond)
	mustSet(t, s, "hist:A:1d", e)
	mustSet(t, s, "hist:B:1d", tableEntry("stays"))
	for deadline := e.Expires.Add(time.Millisecond); time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	wantValue(t, s, "hist:A:1d", nil)
	if err := errors.Join(s.Flush(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	if got := tableFiles(t, dir); len(got) != 1 || !strings.Contains(got[0], "symbol=B") {
		t.Fatalf("files after expiry: %q", got)
	}
	wantValue(t, s, "hist:B:1d", tableEntry("stays").Value)
}

// TestTableCrash leaves the directory as a crash between the journal record and
// the rename does.
func TestTableCrash(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Partitioner: histRule{}}
	s := openDir(t, dir, opts)
	key, e := "hist:AAPL:1d", tableEntry("staged")
	mustSet(t, s, key, e)
	rows := s.state.Load().mem.rows()
	file := filepath.Join(dir, "tables/hist/symbol=AAPL/interval=1d/data.parquet")
	image := t.TempDir()
	if err := s.j.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(image, os.DirFS(dir)); err != nil { // before Close seals
		t.Fatal(err)
	}
	inImage := filepath.Join(image, "tables/hist/symbol=AAPL/interval=1d")
	staged := filepath.Join(inImage, fmt.Sprintf(".strata-%016x.tmp", rows[0].written))
	if err := os.Rename(filepath.Join(inImage, filepath.Base(file)), staged); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(image, "tables/hist/symbol=ORPHAN/interval=1d/data.parquet")
	if err := errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o755), os.WriteFile(orphan, e.Value, 0o644)); err != nil {
		t.Fatal(err)
	}
	r := openDir(t, image, opts)
	wantValue(t, r, key, e.Value)
	if err := r.maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if got := tableFiles(t, image); len(got) != 1 {
		t.Fatalf("files after recovery: %q", got)
	}
	wantValue(t, r, key, e.Value)
}

func TestTableDamage(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{Partitioner: histRule{}})
	key, e := "hist:AAPL:1d", tableEntry("value")
	mustSet(t, s, key, e)
	file := filepath.Join(dir, "tables/hist/symbol=AAPL/interval=1d/data.parquet")
	if err := os.WriteFile(file+".new", []byte("PAR1vaXue....PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
	s = openDir(t, dir, Options{Partitioner: histRule{}})
	if _, err := s.Get(ctx, key); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a changed table: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key, nil)
	mustSet(t, s, key, e)
	wantValue(t, s, key, e.Value)
}

// TestRepairTable: Repair keeps a damaged table file aside and makes its key a miss;
// another key's is left alone, and the key can be set again.
func TestRepairTable(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{Partitioner: histRule{}, CompactionRate: -1})
	bad, good := "hist:AAPL:1d", "hist:MSFT:1d"
	mustSet(t, s, bad, tableEntry("bad"))
	mustSet(t, s, good, tableEntry("good"))
	damaged := []byte("PAR1vaXue....PAR1")
	file := filepath.Join(dir, "tables/hist/symbol=AAPL/interval=1d/data.parquet")
	if err := os.WriteFile(file+".new", damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
	s = openDir(t, dir, Options{Partitioner: histRule{}, CompactionRate: -1})
	rep, err := s.Repair(ctx)
	if err != nil || len(rep.Problems) != 1 {
		t.Fatalf("repair: %+v, %v; want one problem", rep, err)
	}
	wantValue(t, s, bad, nil)
	wantValue(t, s, good, tableEntry("good").Value)
	kept, err := filepath.Glob(filepath.Join(dir, quarantineDir, "table-*.parquet"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("in quarantine: %q, %v", kept, err)
	}
	if data, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(data, damaged) {
		t.Errorf("%s: %q, %v; want what was damaged", kept[0], data, err)
	}
	mustSet(t, s, bad, tableEntry("new"))
	wantValue(t, s, bad, tableEntry("new").Value)
	if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 {
		t.Errorf("after the repair: %+v, %v", rep, err)
	}
}

// TestTableRace replaces tables while others read them: a reader gets one
// version or the next, never an error.
func TestTableRace(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{Partitioner: histRule{}, Sync: SyncNever, SegmentSize: 4 << 10, CompactionRate: -1})
	const keys = 3
	for k := range keys {
		mustSet(t, s, fmt.Sprintf("hist:K%d:1d", k), tableEntry("0"))
	}
	var wg, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprintf("hist:K%d:1d", i%keys)
				if e, err := s.Get(ctx, key); err != nil || !bytes.HasSuffix(e.Value, []byte("PAR1")) {
					t.Errorf("%s: %q, %v", key, e.Value, err)
					return
				}
			}
		})
	}
	for w := range 2 {
		wg.Go(func() {
			for i := range 200 {
				mustSet(t, s, fmt.Sprintf("hist:K%d:1d", (i+w)%keys), tableEntry(strings.Repeat("x", i)))
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
}
