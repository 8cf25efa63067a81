package diskstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// passTime waits until a deadline has passed.
func passTime(deadline time.Time) {
	for !time.Now().After(deadline.Add(time.Millisecond)) {
		time.Sleep(time.Millisecond)
	}
}

func dirSize(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			n += fi.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOptions(t *testing.T) {
	for field, opts := range map[string]Options{
		"Sync":        {Sync: 9},
		"Interval":    {Interval: -1},
		"Capacity":    {Capacity: 5},
		"SegmentSize": {SegmentSize: -1},
		"MaxValue":    {MaxValue: -1},
	} {
		if _, err := Open(t.TempDir(), &opts); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestLimits(t *testing.T) {
	s := open(t, vfs.Mem(), Options{MaxValue: 100})
	for what, err := range map[string]error{
		"value": s.Set(ctx, "k", store.Entry{Value: make([]byte, 101)}),
		"key":   s.Set(ctx, strings.Repeat("k", MaxKey+1), store.Entry{}),
		"codec": s.Set(ctx, "k", store.Entry{Codec: strings.Repeat("c", 256)}),
		"tags":  s.Set(ctx, "k", store.Entry{Tags: []string{strings.Repeat("t", maxTags)}}),
	} {
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %v", what, err)
		}
	}
	mustSet(t, s, strings.Repeat("k", MaxKey), store.Entry{Value: []byte("v")})
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, strings.Repeat("k", MaxKey), []byte("v"))
}

func TestSecondProcessIsLocked(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{})
	_, err := Open(dir, nil)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openDir(t, dir, Options{})
}

func TestExpiredSpaceComesBack(t *testing.T) {
	s := open(t, vfs.Mem(), Options{CompactionRate: -1})
	deadline := time.Now().Add(time.Second)
	err := s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for i := range 2000 {
			e := store.Entry{Value: make([]byte, 500), Expires: deadline}
			if i%10 == 0 {
				e.Expires = time.Time{}
			}
			if !yield(fmt.Sprint("k", i), e) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 { st := s.Stats(); return st.Bytes - int64(st.Extra["journal_bytes"]) }
	before := size()
	passTime(deadline.Add(500 * time.Millisecond)) // what has expired is counted in steps
	if e := s.Stats().Extra["expired_bytes"]; e < 1800*500 {
		t.Errorf("%v bytes counted as expired", e)
	}
	if err := s.maintain(ctx); err != nil {
		t.Fatal(err)
	}
	after := s.Stats()
	if size() > before/4 || after.Entries != 200 || after.Expired != 1800 {
		t.Errorf("%d bytes before, %d after, %d entries, %d expired", before, size(), after.Entries, after.Expired)
	}
	wantValue(t, s, "k10", make([]byte, 500))
	wantValue(t, s, "k11", nil)
}

func TestOverwrittenSpaceComesBack(t *testing.T) {
	s := open(t, vfs.Mem(), Options{CompactionRate: -1, SegmentSize: 64 << 10})
	value := make([]byte, 1000)
	for round := range 40 {
		for k := range 100 {
			mustSet(t, s, fmt.Sprint("k", k), store.Entry{Value: value, Version: uint64(round)})
		}
	}
	if err := errors.Join(s.Flush(ctx), s.maintain(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Bytes > 1<<20 || st.Entries != 100 || st.Extra["segments"] != 1 {
		t.Errorf("%d bytes, %d entries, %v segments for 100 kB of live data", st.Bytes, st.Entries, st.Extra["segments"])
	}
}

func TestFewSegments(t *testing.T) {
	s := open(t, vfs.Mem(), Options{CompactionRate: -1, SegmentSize: 16 << 10})
	for i := range 6000 {
		mustSet(t, s, fmt.Sprint("k", i), store.Entry{Value: make([]byte, 200)})
	}
	if err := errors.Join(s.Flush(ctx), s.maintain(ctx)); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Extra["segments"]; n > 12 {
		t.Errorf("%v segments", n)
	}
	for i := range 6000 {
		wantValue(t, s, fmt.Sprint("k", i), make([]byte, 200))
	}
}

func TestCapacity(t *testing.T) {
	dir := t.TempDir()
	const capacity = 4 << 20
	s := openDir(t, dir, Options{Capacity: capacity, CompactionRate: -1, Sync: SyncNever})
	const n = 12_000
	for i := range n {
		mustSet(t, s, fmt.Sprintf("k%06d", i), store.Entry{Value: make([]byte, 1000)})
		if i%500 == 0 {
			if size := dirSize(t, dir); size > capacity*11/10 {
				t.Fatalf("%d bytes on the disk after %d writes, capacity %d", size, i, capacity)
			}
		}
	}
	if err := errors.Join(s.Flush(ctx), s.maintain(ctx)); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Evictions == 0 || st.Bytes > capacity {
		t.Errorf("%d evictions, %d bytes", st.Evictions, st.Bytes)
	}
	// The declared order: what was written longest ago went first.
	first := -1
	for i := range n {
		_, err := s.Get(ctx, fmt.Sprintf("k%06d", i))
		if err == nil && first < 0 {
			first = i
		}
		if first >= 0 && err != nil {
			t.Fatalf("key %d is gone, though %d is there", i, first)
		}
	}
	if first < 0 || n-first < 1500 {
		t.Errorf("only %d of %d keys are left", n-first, n)
	}
}

// TestEvictionDoesNotWaitForCompaction: a merge that its budget makes last for
// minutes gives way when the store is full.
func TestEvictionDoesNotWaitForCompaction(t *testing.T) {
	dir := t.TempDir()
	const capacity = 2 << 20
	s := openDir(t, dir, Options{Capacity: capacity, CompactionRate: 4 << 10, Sync: SyncNever})
	for i := range 6000 {
		mustSet(t, s, fmt.Sprint(i), store.Entry{Value: make([]byte, 1000)})
		if i%250 == 0 {
			if size := dirSize(t, dir); size > capacity*5/4 {
				t.Fatalf("%d bytes on the disk after %d writes", size, i)
			}
		}
	}
	if s.Stats().Evictions == 0 {
		t.Error("nothing was evicted")
	}
}

func TestTombstoneSurvivesCompaction(t *testing.T) {
	fsys := vfs.Mem()
	s := open(t, fsys, Options{CompactionRate: -1})
	mustSet(t, s, "k", store.Entry{Value: []byte("old")})
	mustSet(t, s, "other", store.Entry{Value: []byte("x")})
	if err := errors.Join(s.Flush(ctx), s.Delete(ctx, "k"), s.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	// Rewrite the newer segment alone: its tombstone must stay.
	if err := s.merge(ctx, s.state.Load().segs[:1]); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "k", nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fsys, Options{CompactionRate: -1})
	wantValue(t, s, "k", nil)
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "k", nil)
	if st := s.Stats(); st.Entries != 1 || s.state.Load().segs[0].Meta.Deleted != 0 {
		t.Errorf("%d entries, %d tombstones after a full compaction", st.Entries, s.state.Load().segs[0].Meta.Deleted)
	}
}

func TestViewOutlivesCompaction(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{CompactionRate: -1})
	value := []byte(strings.Repeat("v", 5000))
	mustSet(t, s, "k", store.Entry{Value: value})
	mustSet(t, s, "l", store.Entry{Value: value})
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	v, err := s.View(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Delete(ctx, "k"), s.Flush(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	if string(v.Value) != string(value) {
		t.Error("a view changed when its segment was compacted away")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if string(v.Value) != string(value) {
		t.Error("a view changed when the store was closed")
	}
	v.Release()
	v.Release()
}

// TestReadersAndCompaction reads while segments come and go.
func TestReadersAndCompaction(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{SegmentSize: 32 << 10, CompactionRate: -1, Sync: SyncNever})
	const keys = 200
	value := func(k int) []byte { return []byte(fmt.Sprintf("%d:%s", k, strings.Repeat("x", 300))) }
	for k := range keys {
		mustSet(t, s, fmt.Sprint(k), store.Entry{Value: value(k)})
	}
	var readers, writers sync.WaitGroup
	done := make(chan struct{})
	for r := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 1))
			for {
				select {
				case <-done:
					return
				default:
				}
				k := rng.IntN(keys)
				if e, err := s.Get(ctx, fmt.Sprint(k)); err != nil || string(e.Value) != string(value(k)) {
					t.Errorf("key %d: %.20q, %v", k, e.Value, err)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 600 {
				k := (i*7 + w) % keys
				mustSet(t, s, fmt.Sprint(k), store.Entry{Value: value(k)})
			}
		})
	}
	writers.Go(func() {
		for range 5 {
			if err := s.Compact(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func TestReadOnlyLive(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, Options{Sync: SyncAlways, Partitioner: histRule{}, CompactionRate: -1})
	mustSet(t, s, "sealed", store.Entry{Value: []byte("1")})
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "journal", store.Entry{Value: []byte("2")})
	mustSet(t, s, "hist:A:1d", tableEntry("t"))
	r := openDir(t, dir, Options{ReadOnly: true, Partitioner: histRule{}})
	wantValue(t, r, "sealed", []byte("1"))
	wantValue(t, r, "journal", []byte("2"))
	wantValue(t, r, "hist:A:1d", tableEntry("t").Value)
	if err := r.Set(ctx, "x", store.Entry{}); err == nil {
		t.Error("a read-only store took a write")
	}
	for _, err := range []error{r.Delete(ctx, "x"), r.Clear(ctx), r.Compact(ctx)} {
		if err == nil {
			t.Error("a read-only store took a change")
		}
	}
	if err := errors.Join(r.Flush(ctx), r.Sync(ctx)); err != nil {
		t.Errorf("a read-only store has nothing to flush: %v", err)
	}
	// What the reader has mapped stays, whatever the writer does.
	if err := errors.Join(s.Delete(ctx, "sealed"), s.Flush(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	wantValue(t, r, "sealed", []byte("1"))
	wantValue(t, s, "sealed", nil)
	if _, err := Open(filepath.Join(dir, "none"), &Options{ReadOnly: true}); err == nil {
		t.Error("a missing directory opened")
	}
}

func TestSnapshot(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{Partitioner: histRule{}})
	mustSet(t, s, "a", store.Entry{Value: []byte("1")})
	mustSet(t, s, "hist:A:1d", tableEntry("t"))
	dir := filepath.Join(t.TempDir(), "copy")
	if err := s.Snapshot(ctx, dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(ctx, dir); err == nil {
		t.Error("a snapshot into a directory that is not empty")
	}
	mustSet(t, s, "a", store.Entry{Value: []byte("2")})
	c := openDir(t, dir, Options{Partitioner: histRule{}})
	wantValue(t, c, "a", []byte("1"))
	wantValue(t, c, "hist:A:1d", tableEntry("t").Value)
	mustSet(t, c, "a", store.Entry{Value: []byte("3")})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, openDir(t, dir, Options{}), "a", []byte("3"))
}
