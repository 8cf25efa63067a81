package diskstore

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stratacache/strata/store"
)

// TestReadsAllocateNothing: Append into a buffer with room, a View and a miss
// allocate nothing, Get its owned copy; of what is sealed and of what is not yet.
func TestReadsAllocateNothing(t *testing.T) {
	s := openDir(t, t.TempDir(), Options{CompactionRate: -1})
	value := bytes.Repeat([]byte("v"), 1000)
	mustSet(t, s, "sealed", store.Entry{Value: value})
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "journalled", store.Entry{Value: value})
	buf := make([]byte, 0, len(value))
	for _, key := range []string{"sealed", "journalled"} {
		for what, c := range map[string]struct {
			most float64
			read func() error
		}{
			"Append": {0, func() error { _, _, err := s.Append(ctx, buf, key); return err }},
			"View": {0, func() error {
				v, err := s.View(ctx, key)
				v.Release()
				return err
			}},
			"Get": {1, func() error { _, err := s.Get(ctx, key); return err }},
			"a miss": {0, func() error {
				if _, err := s.Get(ctx, "absent"); !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("%w, want a miss", err)
				}
				return nil
			}},
		} {
			n := testing.AllocsPerRun(1000, func() {
				if err := c.read(); err != nil {
					t.Fatal(err)
				}
			})
			if n > c.most {
				t.Errorf("%s, %s: %v allocations, want %v", what, key, n, c.most)
			}
		}
	}
}

// TestNoHeapPerKey: what is sealed is in files, whose index is mapped. An index in
// memory would take some 36 bytes a key.
func TestNoHeapPerKey(t *testing.T) {
	const keys = 100_000
	dir := t.TempDir()
	s := openDir(t, dir, Options{CompactionRate: -1})
	if err := s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for k := range keys {
			if !yield(fmt.Sprint("key:", k), store.Entry{Value: []byte("v")}) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := liveHeap()
	s = openDir(t, dir, Options{CompactionRate: -1})
	for k := range keys {
		if _, err := s.Get(ctx, fmt.Sprint("key:", k)); err != nil {
			t.Fatal(err)
		}
	}
	if n := liveHeap() - before; n > 4*keys {
		t.Errorf("%d keys, opened and read, take %d bytes of heap", keys, n)
	}
	runtime.KeepAlive(s)
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
