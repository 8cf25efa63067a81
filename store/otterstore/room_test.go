//go:build !race

// The race detector changes what memory holds, and makes long loops take minutes.

package otterstore_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/otterstore"
)

// TestBurst: a tight loop of new keys into a store that has room loses none, and
// shows each at once.
func TestBurst(t *testing.T) {
	s := open(t, &otterstore.Options{Capacity: 256 << 20})
	const n = 200_000
	for i := range n {
		key := fmt.Sprint("burst:", i)
		if err := s.SetObject(key, &i, 8, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if obj, ok := s.GetObject(key); !ok || obj != any(&i) {
			t.Fatalf("right after SetObject(%s): %v, %v", key, obj, ok)
		}
	}
	if st := s.Stats(); st.Entries != n || st.Hits != n || st.Evictions != 0 {
		t.Errorf("Stats = %+v; want %d entries and hits, no evictions", st, n)
	}
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second empties the pools' victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestHeapWithinCapacity fills stores three times over, writes half of the keys
// anew, and compares the heap's growth with the capacity.
func TestHeapWithinCapacity(t *testing.T) {
	for _, c := range []struct {
		capacity int64
		value    int
	}{
		{8 << 20, 0}, {8 << 20, 10}, {12 << 20, 100}, {16 << 20, 1000}, {16 << 20, 33_000}, {32 << 20, 1 << 20},
	} {
		t.Run(fmt.Sprintf("capacity=%dMiB/value=%d", c.capacity>>20, c.value), func(t *testing.T) {
			before := heap()
			s := open(t, &otterstore.Options{Capacity: c.capacity})
			n := int(c.capacity) * 3 / (c.value + 300)
			for i := range n + n/2 {
				if err := s.Set(t.Context(), fmt.Sprint("key:", i%n), store.Entry{Value: make([]byte, c.value)}); err != nil {
					t.Fatal(err)
				}
			}
			st := s.Stats()
			grown := heap() - before
			ratio := func(n int64) float64 { return float64(n) / float64(c.capacity) }
			t.Logf("heap %.3f of the capacity, counted %.3f, %d entries", ratio(grown), ratio(st.Bytes), st.Entries)
			if ratio(grown) > 1.1 {
				t.Errorf("the heap grew by %d bytes with a capacity of %d", grown, c.capacity)
			}
			if st.Bytes > c.capacity || ratio(st.Bytes) < 0.85 {
				t.Errorf("%d bytes counted in a full store with a capacity of %d", st.Bytes, c.capacity)
			}
		})
	}
}
