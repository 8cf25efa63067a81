package table

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, opts *Options) (*Dir, string) {
	t.Helper()
	root := t.TempDir()
	return openAt(t, root, opts), root
}

func openAt(t testing.TB, root string, opts *Options) *Dir {
	t.Helper()
	fsys, err := vfs.OS(root)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		_ = fsys.Close()
	})
	return d
}

func mustPath(t testing.TB, symbol string) string {
	t.Helper()
	rel, err := Path("hist", hist(symbol, "1d", "1y"))
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

func put(t testing.TB, d *Dir, rel string, version uint64, data []byte) Sum {
	t.Helper()
	sum, err := d.Stage(rel, version, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(rel, version); err != nil {
		t.Fatal(err)
	}
	return sum
}

// content is a value that shows which version it is, all through.
func content(version, size int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%08d", version)), size/8+1)[:size]
}

// tree lists the files and directories below root.
func tree(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != root {
			rel, _ := filepath.Rel(root, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutGetRemove(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "BTC/USDT")
	if _, err := d.Get(nil, rel, Sum{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("get of nothing: %v", err)
	}
	for version := 1; version < 5; version++ {
		for _, size := range []int{0, 1, 12_000, 5000} {
			want := content(version, size)
			sum := put(t, d, rel, uint64(version), want)
			if sum != SumOf(want) {
				t.Fatalf("sum %v", sum)
			}
			got, err := d.Get([]byte("x"), rel, sum)
			if err != nil || string(got) != "x"+string(want) {
				t.Fatalf("version %d, %d bytes: got %d bytes, %v", version, size, len(got), err)
			}
		}
	}
	if got := tree(t, root); got[len(got)-1] != "tables/hist/symbol=BTC%2FUSDT/interval=1d/period=1y/data.parquet" || len(got) != 6 {
		t.Fatalf("tree %q", got)
	}
	for range 2 {
		if err := d.Remove(rel); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree(t, root); len(got) != 1 {
		t.Fatalf("left behind: %q", got)
	}
	if _, err := d.Get(nil, rel, Sum{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("get after remove: %v", err)
	}
}

func TestRemoveKeepsNeighbours(t *testing.T) {
	d, root := open(t, nil)
	a, b := mustPath(t, "A"), mustPath(t, "B")
	sum := put(t, d, a, 1, content(1, 100))
	put(t, d, b, 1, content(1, 100))
	if _, err := d.Stage(b, 2, content(2, 100)); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(b); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(b, 2); err != nil {
		t.Fatalf("commit of what was staged before a remove: %v", err)
	}
	if err := d.Remove(b); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(nil, a, sum); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, root); len(got) != 6 {
		t.Fatalf("tree %q", got)
	}
}

func TestWrongContentIsCorrupt(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "AAPL")
	sum := put(t, d, rel, 1, content(1, 1000))
	file := filepath.Join(root, rel, fileName)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		replace(t, file, bad)
		d.cache.drop(rel)
		if _, err := d.Get(nil, rel, sum); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("flipped bit of byte %d: %v", i, err)
		}
	}
	replace(t, file, data[:999])
	if _, err := d.Get(nil, rel, sum); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("cut file: %v", err)
	}
	replace(t, file, data)
	if _, err := d.Get(nil, rel, sum); err != nil {
		t.Fatalf("mended file: %v", err)
	}
}

// replace puts data in the place of a file as another process would.
func replace(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedByAnotherProcess(t *testing.T) {
	d, root := open(t, nil)
	other := openAt(t, root, nil)
	rel := mustPath(t, "AAPL")
	sum1 := put(t, d, rel, 1, content(1, 500))
	if _, err := other.Get(nil, rel, sum1); err != nil {
		t.Fatal(err)
	}
	sum2 := put(t, d, rel, 2, content(2, 500))
	if got, err := other.Get(nil, rel, sum2); err != nil || !bytes.Equal(got, content(2, 500)) {
		t.Fatalf("new content: %v", err)
	}
	if _, err := other.Get(nil, rel, sum1); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("content that is gone: %v", err)
	}
}

func TestTruncatedUnderMapping(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "AAPL")
	const size = 1 << 20
	sum := put(t, d, rel, 1, content(1, size))
	if _, err := d.Get(nil, rel, sum); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root, rel, fileName), 4096); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := d.Get(nil, rel, sum); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("truncated file: %v", err)
		}
	}
	// A fault elsewhere, or another panic, is not ours to hide.
	put(t, d, rel, 2, content(2, size))
	defer func() {
		if r := recover(); r != "mine" {
			t.Fatalf("recovered %v", r)
		}
	}()
	_ = d.View(rel, Sum{}, func([]byte) error { panic("mine") })
}

func TestCrashBetweenStageAndCommit(t *testing.T) {
	d, root := open(t, nil)
	rel, other := mustPath(t, "AAPL"), mustPath(t, "MSFT")
	old := put(t, d, rel, 1, content(1, 300))
	sum, err := d.Stage(rel, 2, content(2, 300))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stage(other, 7, content(7, 300)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(nil, rel, old); err != nil {
		t.Fatalf("a staged file shows: %v", err)
	}
	d.Close()

	d = openAt(t, root, nil)
	if done, err := d.FinishStaged(rel, 2); !done || err != nil {
		t.Fatalf("finish: %v, %v", done, err)
	}
	if done, err := d.FinishStaged(rel, 2); done || err != nil {
		t.Fatalf("second finish: %v, %v", done, err)
	}
	if got, err := d.Get(nil, rel, sum); err != nil || !bytes.Equal(got, content(2, 300)) {
		t.Fatalf("after finish: %v", err)
	}
	swept, err := d.Sweep(func(r string) bool { return r == rel })
	if err != nil || swept != (Swept{Temps: 1, Bytes: 300}) {
		t.Fatalf("sweep: %+v, %v", swept, err)
	}
	if got := tree(t, root); len(got) != 6 {
		t.Fatalf("tree %q", got)
	}
}

func TestSweep(t *testing.T) {
	d, root := open(t, nil)
	if swept, err := d.Sweep(func(string) bool { return true }); err != nil || swept != (Swept{}) {
		t.Fatalf("sweep of nothing: %+v, %v", swept, err)
	}
	for i := range 20 {
		put(t, d, mustPath(t, fmt.Sprintf("S%d", i)), 1, content(i, 100))
	}
	staged := mustPath(t, "NEW")
	if _, err := d.Stage(staged, 3, content(3, 50)); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(root, "tables/hist/notes.txt")
	if err := os.WriteFile(mine, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "tables/hist/symbol=EMPTY/interval=1d"), 0o777); err != nil {
		t.Fatal(err)
	}
	swept, err := d.Sweep(func(rel string) bool { return strings.Contains(rel, "symbol=S1") })
	if err != nil || swept != (Swept{Tables: 9, Bytes: 900}) {
		t.Fatalf("sweep: %+v, %v", swept, err)
	}
	left := 0
	if err := d.Walk(func(i Info) error { left++; return nil }); err != nil || left != 11 {
		t.Fatalf("%d tables left, %v", left, err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Fatalf("a foreign file was removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "tables/hist/symbol=EMPTY")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty directory stayed: %v", err)
	}
	if err := d.Commit(staged, 3); err != nil {
		t.Fatalf("sweep took a staged file: %v", err)
	}
}

func TestAbortAndMove(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "AAPL")
	if _, err := d.Stage(rel, 1, content(1, 10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Abort(rel, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Commit(rel, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("commit after abort: %v", err)
	}
	put(t, d, rel, 2, content(2, 10))
	if err := d.Move(rel, "quarantine/hist-AAPL.parquet"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tree(t, root), " "); got != "quarantine quarantine/hist-AAPL.parquet tables" {
		t.Fatalf("tree %q", got)
	}
	if err := d.Move(rel, "../x"); err == nil {
		t.Fatal("moved out of the directory")
	}
}

func TestBadPaths(t *testing.T) {
	d, _ := open(t, nil)
	for _, rel := range []string{"", "tables", "tables/", "kv", "kv/1", "../tables/x", "tables/../x", "tables/x/../../y", "/tables/x", "tables//x", "tables/./x"} {
		if _, err := d.Stage(rel, 1, nil); err == nil {
			t.Errorf("staged at %q", rel)
		}
		if _, err := d.Get(nil, rel, Sum{}); err == nil {
			t.Errorf("read from %q", rel)
		}
		for _, err := range []error{d.Commit(rel, 1), d.Abort(rel, 1), d.Remove(rel), d.Move(rel, "q")} {
			if err == nil {
				t.Errorf("used %q", rel)
			}
		}
		if _, err := d.FinishStaged(rel, 1); err == nil {
			t.Errorf("finished %q", rel)
		}
	}
}

func TestOptions(t *testing.T) {
	for field, opts := range map[string]*Options{"MaxOpen": {MaxOpen: -1}, "MaxBytes": {MaxBytes: -1}} {
		if _, err := Open(vfs.Mem(), opts); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestClosed(t *testing.T) {
	d, _ := open(t, nil)
	rel := mustPath(t, "AAPL")
	sum := put(t, d, rel, 1, content(1, 5000))
	held, err := d.Hold(rel, sum)
	if err != nil {
		t.Fatal(err)
	}
	err = d.View(rel, sum, func(data []byte) error {
		d.Close()
		if !bytes.Equal(data, content(1, 5000)) { // still mapped
			return errors.New("the mapping changed")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(held.Data(), content(1, 5000)) {
		t.Fatal("what is held changed")
	}
	held.Release()
	if _, err := d.Get(nil, rel, sum); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("get after close: %v", err)
	}
	if _, err := d.Stage(rel, 2, nil); err == nil {
		t.Fatal("stage after close succeeded")
	}
}

func TestCacheBounds(t *testing.T) {
	d, _ := open(t, &Options{MaxOpen: 8, MaxBytes: 100_000})
	sums := map[string]Sum{}
	for i := range 40 {
		rel := mustPath(t, fmt.Sprintf("S%d", i))
		size := 1000
		if i%10 == 0 {
			size = 60_000
		}
		if i == 25 {
			size = 200_000 // more than the cache may hold
		}
		sums[rel] = put(t, d, rel, 1, content(i, size))
	}
	before := openFiles(t)
	for range 3 {
		for rel, sum := range sums {
			if _, err := d.Get(nil, rel, sum); err != nil {
				t.Fatal(err)
			}
			if n, bytes := d.Stats(); n > 8 || bytes > 100_000 {
				t.Fatalf("%d mappings of %d bytes are kept", n, bytes)
			}
		}
	}
	if after := openFiles(t); after > before+2 {
		t.Fatalf("%d open files, before %d", after, before)
	}
}

// openFiles counts the process's file descriptors; 0 where that is not possible.
func openFiles(t testing.TB) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestReadersDuringReplacement(t *testing.T) {
	d, root := open(t, &Options{NoSync: true, MaxOpen: 2})
	rels := []string{mustPath(t, "A"), mustPath(t, "B"), mustPath(t, "C")}
	const versions, size = 150, 9000
	var current [3]atomic.Int64
	for i, rel := range rels {
		put(t, d, rel, 1, content(1, size))
		current[i].Store(1)
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for i, rel := range rels {
		wg.Go(func() {
			for v := 2; v <= versions; v++ {
				if _, err := d.Stage(rel, uint64(v), content(v, size)); err != nil {
					t.Error(err)
					return
				}
				if err := d.Commit(rel, uint64(v)); err != nil {
					t.Error(err)
					return
				}
				current[i].Store(int64(v))
				// Read your own write.
				if got, err := d.Get(nil, rel, Sum{}); err != nil || !bytes.Equal(got, content(v, size)) {
					t.Errorf("version %d of %s is not what was committed: %v", v, rel, err)
					return
				}
			}
		})
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; !stop.Load(); i = (i + 1) % 3 {
				least := current[i].Load()
				got, err := d.Get(nil, rels[i], Sum{})
				if err != nil {
					t.Error(err)
					return
				}
				var v int
				if _, err := fmt.Sscanf(string(got[:8]), "%d", &v); err != nil || !bytes.Equal(got, content(v, size)) {
					t.Errorf("mixed content: %v", err)
					return
				}
				if int64(v) < least {
					t.Errorf("version %d after %d was committed", v, least)
					return
				}
				// A glob sees one file for each key, at any moment.
				if files, err := filepath.Glob(filepath.Join(root, "tables/hist/*/*/*/*.parquet")); err != nil || len(files) != 3 {
					t.Errorf("glob: %q, %v", files, err)
					return
				}
			}
		})
	}
	wg.Wait()
	stop.Store(true)
	readers.Wait()
}

// TestStageWhileRemoving proves that pruning directories never takes one away
// from a writer.
func TestStageWhileRemoving(t *testing.T) {
	d, root := open(t, &Options{NoSync: true})
	rels := []string{mustPath(t, "A"), mustPath(t, "B")}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rel := rels[w%2]
			for i := range 300 {
				version := uint64(w*1000 + i)
				if _, err := d.Stage(rel, version, content(i, 64)); err != nil {
					t.Errorf("stage: %v", err)
					return
				}
				if i%3 == 0 {
					if err := d.Abort(rel, version); err != nil {
						t.Errorf("abort: %v", err)
						return
					}
					continue
				}
				if err := d.Commit(rel, version); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				if err := d.Remove(rel); err != nil {
					t.Errorf("remove: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := tree(t, root); len(got) != 1 {
		t.Fatalf("left behind: %q", got)
	}
}

func BenchmarkGet(b *testing.B) {
	d, root := open(b, nil)
	for _, size := range []int{12_748, 1 << 20} {
		rel := mustPath(b, fmt.Sprintf("S%d", size))
		sum := put(b, d, rel, 1, content(1, size))
		b.Run(fmt.Sprintf("size=%d/way=get", size), func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = d.Get(dst[:0], rel, sum); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("size=%d/way=view", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := d.View(rel, sum, func([]byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		file := filepath.Join(root, rel, fileName)
		b.Run(fmt.Sprintf("size=%d/way=readfile", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := os.ReadFile(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		b.Run(fmt.Sprintf("nosync=%v", noSync), func(b *testing.B) {
			d, _ := open(b, &Options{NoSync: noSync})
			rel, data := mustPath(b, "AAPL"), content(1, 12_748)
			for version := uint64(1); b.Loop(); version++ {
				put(b, d, rel, version, data)
			}
		})
	}
}
