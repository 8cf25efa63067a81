package memstore_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
)

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second empties the pools' victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestHeapWithinCapacity fills stores twice over and compares the heap's
// growth with the capacity.
func TestHeapWithinCapacity(t *testing.T) {
	for _, c := range []struct {
		capacity int64
		value    int
	}{
		{2 << 20, 0}, {5 << 20, 10}, {12 << 20, 100}, {16 << 20, 1000}, {2 << 20, 5000}, {16 << 20, 33_000}, {32 << 20, 1 << 20},
	} {
		t.Run(fmt.Sprintf("capacity=%dMiB/value=%d", c.capacity>>20, c.value), func(t *testing.T) {
			before := heap()
			s := open(t, &memstore.Options{Capacity: c.capacity})
			for i := range int(c.capacity) * 2 / (c.value + 400) {
				if err := s.Set(t.Context(), fmt.Sprint("key:", i), store.Entry{Value: make([]byte, c.value)}); err != nil {
					t.Fatal(err)
				}
			}
			grown, st := heap()-before, s.Stats()
			t.Logf("heap %.3f of the capacity, counted %.3f, %d entries", ratio(grown, c.capacity), ratio(st.Bytes, c.capacity), st.Entries)
			if grown > c.capacity*11/10 {
				t.Errorf("the heap grew by %d bytes with a capacity of %d", grown, c.capacity)
			}
			if st.Bytes > c.capacity || ratio(st.Bytes, c.capacity) < 0.9 {
				t.Errorf("%d bytes counted in a full store with a capacity of %d", st.Bytes, c.capacity)
			}
			if st.Capacity != c.capacity {
				t.Errorf("Stats.Capacity = %d, want %d", st.Capacity, c.capacity)
			}
		})
	}
}

// TestHeapOfObjects is the same for objects, whose size the caller states.
func TestHeapOfObjects(t *testing.T) {
	const capacity = 8 << 20
	type object [208]byte
	before := heap()
	s := open(t, &memstore.Options{Capacity: capacity})
	for i := range 50_000 {
		if err := s.SetObject(fmt.Sprint("key:", i), new(object), 208, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heap() - before; grown > capacity*11/10 {
		t.Errorf("the heap grew by %d bytes with a capacity of %d", grown, capacity)
	}
	runtime.KeepAlive(s)
}

// TestGrowingEntries: overwrites that make entries larger are bounded, too, even
// where no new key comes: ristretto by itself evicts when it admits, not when it
// updates.
func TestGrowingEntries(t *testing.T) {
	const capacity = 8 << 20
	before := heap()
	s := open(t, &memstore.Options{Capacity: capacity})
	for size := 10; size <= 100_000; size *= 10 {
		for i := range 4000 {
			if err := s.Set(t.Context(), fmt.Sprint("key:", i), store.Entry{Value: make([]byte, size)}); err != nil {
				t.Fatal(err)
			}
		}
		grown, st := heap()-before, s.Stats()
		t.Logf("%6d bytes: heap %.3f of the capacity, counted %.3f", size, ratio(grown, capacity), ratio(st.Bytes, capacity))
		if grown > capacity*11/10 || st.Bytes > capacity*11/10 {
			t.Errorf("heap %d, counted %d; the capacity is %d", grown, st.Bytes, capacity)
		}
	}
}

// TestFewerLargerEntries: the engine's maps keep the size that many small
// entries gave them, which the large ones that follow must make up for.
func TestFewerLargerEntries(t *testing.T) {
	const capacity = 8 << 20
	before := heap()
	s := open(t, &memstore.Options{Capacity: capacity})
	for i := range capacity / 200 {
		_ = s.Set(t.Context(), fmt.Sprint("small:", i), store.Entry{})
	}
	many := s.Stats().Entries
	for i := range capacity / 2000 {
		_ = s.Set(t.Context(), fmt.Sprint("large:", i), store.Entry{Value: make([]byte, 8000)})
	}
	grown, st := heap()-before, s.Stats()
	t.Logf("heap %.3f of the capacity, counted %.3f, %d entries after %d", ratio(grown, capacity), ratio(st.Bytes, capacity), st.Entries, many)
	if grown > capacity*11/10 {
		t.Errorf("the heap grew by %d bytes with a capacity of %d", grown, capacity)
	}
}

func ratio(a, b int64) float64 { return float64(a) / float64(b) }
