package diskstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// TestFaults makes each call that changes the disk fail once, and then for ever:
// what was acknowledged stays, the store recovers where it can, and nothing
// panics. Half of the writes are tables.
func TestFaults(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for n := int64(1); n < 200; n += 1 + n/24 {
			mem := vfs.Mem()
			faulty := vfs.Faulty(mem, vfs.FailNth(n, vfs.OpChange, syscall.EIO, forever))
			acked := faultRun(faulty)
			for k, keep := range []float64{0, 0.5} {
				opts := Options{fs: mem.CrashClone(rand.New(rand.NewPCG(uint64(n), 1)), keep), Partitioner: histRule{}}
				checkAcked(t, &opts, fmt.Sprintf("fault %d, forever %v, crash %d", n, forever, k), acked)
			}
		}
	}
}

func checkAcked(t *testing.T, opts *Options, what string, acked map[string]string) {
	t.Helper()
	s, err := Open("", opts)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for k, v := range acked {
		if e, err := s.Get(ctx, k); err != nil || string(e.Value) != v {
			t.Errorf("%s: acknowledged %s is %q, %v", what, k, e.Value, err)
		}
	}
	_ = s.Close()
}

// faultRun writes on a failing disk and returns what was acknowledged. A key is
// written once: of a failed write nothing is known.
func faultRun(fsys vfs.FS) map[string]string {
	acked := map[string]string{}
	s, err := Open("", &Options{fs: fsys, Sync: SyncAlways, SegmentSize: 2 << 10, CompactionRate: -1, Partitioner: histRule{}})
	if err != nil {
		return acked
	}
	for i := range 60 {
		k, e := fmt.Sprint("k", i), store.Entry{Value: []byte(strings.Repeat("v", i*5))}
		if i%2 == 0 {
			k, e = fmt.Sprintf("hist:S%d:1d", i), tableEntry(string(e.Value))
		}
		if s.Set(ctx, k, e) == nil {
			acked[k] = string(e.Value)
		}
	}
	_ = s.Flush(ctx)
	_ = s.Compact(ctx)
	for k, v := range acked {
		if e, err := s.Get(ctx, k); err != nil || string(e.Value) != v {
			acked[k] = fmt.Sprintf("not what a Get gave: %.20q, %v", e.Value, err)
		}
	}
	_ = s.Close()
	return acked
}

// syncFaults is where a failing fsync is tried: what it is of, by the name of
// the file.
var syncFaults = map[string]func(c vfs.Call) bool{
	"journal":  func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasSuffix(c.Name, ".wal") },
	"segment":  func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasSuffix(c.Name, ".parquet.tmp") },
	"index":    func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasSuffix(c.Name, ".idx.tmp") },
	"kv":       func(c vfs.Call) bool { return c.Op == vfs.OpSyncDir && c.Name == kvDir },
	"manifest": func(c vfs.Call) bool { return c.Op == vfs.OpSync && c.Name == manifestTemp },
	"top":      func(c vfs.Call) bool { return c.Op == vfs.OpSyncDir && c.Name == "." },
	"table": func(c vfs.Call) bool {
		return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "tables/") && strings.HasSuffix(c.Name, ".tmp")
	},
	"table directory": func(c vfs.Call) bool { return c.Op == vfs.OpSyncDir && strings.HasPrefix(c.Name, "tables/") },
}

// TestSyncFails: for each kind of fsync that fails for a while, what was
// acknowledged before and after is there after a power failure, what was not is
// an error, and the store works again by itself once the disk does.
func TestSyncFails(t *testing.T) {
	for what, match := range syncFaults {
		t.Run(what, func(t *testing.T) {
			mem := vfs.Mem()
			var mu sync.Mutex
			failing, failed := false, 0
			fsys := vfs.Faulty(mem, func(c vfs.Call) error {
				mu.Lock()
				defer mu.Unlock()
				if failing && match(c) {
					failed++
					return syscall.EIO
				}
				return nil
			})
			set := func(on bool) { mu.Lock(); failing = on; mu.Unlock() }
			opts := Options{fs: fsys, Sync: SyncAlways, CompactionRate: -1, Partitioner: histRule{}}
			s, err := Open("", &opts)
			if err != nil {
				t.Fatal(err)
			}
			acked := map[string]string{}
			write := func(round int) (failures int) {
				for i := range 4 {
					for k, e := range map[string]store.Entry{
						fmt.Sprintf("k%d:%d", round, i):         {Value: []byte(fmt.Sprint(round))},
						fmt.Sprintf("hist:R%dS%d:1d", round, i): tableEntry(fmt.Sprint(round)),
					} {
						if err := s.Set(ctx, k, e); err == nil {
							acked[k] = string(e.Value)
						} else if !errors.Is(err, syscall.EIO) {
							t.Errorf("%s: %v", k, err)
						} else {
							failures++
						}
					}
				}
				if s.Flush(ctx) != nil {
					failures++
				}
				return failures
			}
			if n := write(0); n > 0 {
				t.Fatalf("%d failures on a good disk", n)
			}
			set(true)
			failures := write(1)
			mu.Lock()
			if failures == 0 || failed == 0 {
				t.Error("no write noticed")
			}
			mu.Unlock()
			crash := func(when string) {
				t.Helper()
				for seed := range uint64(3) {
					image := mem.CrashClone(rand.New(rand.NewPCG(seed, 7)), float64(seed)/2)
					checkAcked(t, &Options{fs: image, Partitioner: histRule{}}, when, acked)
				}
			}
			crash("while it fails")
			set(false)
			for i := 0; s.Set(ctx, "works", store.Entry{}) != nil; i++ { // the sealer retries in the background
				if i > 2000 {
					t.Fatal("the store never takes writes again")
				}
				time.Sleep(5 * time.Millisecond)
			}
			if n := write(2); n > 0 {
				t.Errorf("%d failures after the disk works again", n)
			}
			crash("after it works again")
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			checkAcked(t, &Options{fs: mem, Partitioner: histRule{}}, "closed", acked)
		})
	}
}

// TestJournalRevives: after a failed sync the store writes its memory to a
// segment, begins a new journal and takes writes again.
func TestJournalRevives(t *testing.T) {
	mem := vfs.Mem()
	var mu sync.Mutex
	failing := false
	set := func(v bool) { mu.Lock(); failing = v; mu.Unlock() }
	fsys := vfs.Faulty(mem, func(c vfs.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if failing && c.Op == vfs.OpSync && strings.HasSuffix(c.Name, ".wal") {
			return syscall.EIO
		}
		return nil
	})
	s := open(t, fsys, Options{Sync: SyncAlways})
	mustSet(t, s, "a", store.Entry{Value: []byte("1")})
	set(true)
	if err := s.Set(ctx, "b", store.Entry{Value: []byte("2")}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("write with a failing sync: %v", err)
	}
	wantValue(t, s, "a", []byte("1"))
	set(false)
	for i := 0; ; i++ { // the sealer retries in the background
		if err := s.Set(ctx, "c", store.Entry{Value: []byte("3")}); err == nil {
			break
		}
		if i > 2000 {
			t.Fatal("the store never takes writes again")
		}
		time.Sleep(5 * time.Millisecond)
	}
	crashed := mem.CrashClone(rand.New(rand.NewPCG(1, 1)), 0)
	r := open(t, crashed, Options{})
	wantValue(t, r, "a", []byte("1"))
	wantValue(t, r, "c", []byte("3"))
}

func TestFullDisk(t *testing.T) {
	mem := vfs.Mem()
	s := open(t, vfs.Faulty(mem, vfs.FullAfter(600<<10)), Options{Sync: SyncAlways, SegmentSize: 64 << 10})
	var last int
	var err error
	for i := range 5000 {
		if err = s.Set(ctx, fmt.Sprint(i), store.Entry{Value: make([]byte, 1000)}); err != nil {
			break
		}
		last = i
	}
	if !errors.Is(err, syscall.ENOSPC) || last < 50 {
		t.Fatalf("after %d writes: %v", last, err)
	}
	for i := range last + 1 {
		wantValue(t, s, fmt.Sprint(i), make([]byte, 1000))
	}
	_ = s.Close()
	entries, _ := mem.ReadDir(kvDir)
	for _, e := range entries {
		if _, kind, _ := segment.ParseName(e.Name()); kind == segment.TempSuffix {
			t.Errorf("%s is left", e.Name())
		}
	}
	r := open(t, mem, Options{})
	for i := range last + 1 {
		wantValue(t, r, fmt.Sprint(i), make([]byte, 1000))
	}
}
