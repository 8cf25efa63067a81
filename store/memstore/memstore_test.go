package memstore_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/memorytest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, opts *memstore.Options) *memstore.Store {
	t.Helper()
	s, err := memstore.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// TestConformance holds the store to the full contract: with room, nothing may
// be missing. The default capacity would be no more of a test: most of the time goes
// into engines that are made and cleared, and by their capacity.
func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, &memstore.Options{Capacity: 16 << 20}) }, nil)
}

// TestConformanceSmall is the suite under eviction.
func TestConformanceSmall(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		s := open(t, &memstore.Options{Capacity: memstore.MinCapacity})
		// Full of what nobody reads, so that everything evicts something.
		for i := range 4000 {
			if err := s.SetObject(fmt.Sprint("ballast:", i), &i, 300, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}, &storetest.Options{Evicts: true})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  memstore.Options
		field string
	}{
		{memstore.Options{Capacity: -1}, "Capacity"},
		{memstore.Options{Capacity: 1000}, "Capacity"},
		{memstore.Options{Items: -1}, "Items"},
		{memstore.Options{MaxEntry: -1}, "MaxEntry"},
		{memstore.Options{MaxEntry: memstore.DefaultCapacity + 1}, "MaxEntry"},
	} {
		s, err := memstore.New(&c.opts)
		if err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("New(%+v): %v; want an error that names %s", c.opts, err, c.field)
		}
		if s != nil {
			t.Errorf("New(%+v) returned a store with its error", c.opts)
		}
	}
	for _, opts := range []*memstore.Options{nil, {}, {Items: 1}, {Capacity: memstore.MinCapacity}, {Capacity: 1 << 22, MaxEntry: 1 << 22}} {
		open(t, opts)
	}
	open(t, &memstore.Options{Capacity: memstore.MinCapacity, Items: math.MaxInt64})
}

// TestBurst: a tight loop of new keys into a store that has room loses none, and
// shows each at once.
func TestBurst(t *testing.T) {
	s := open(t, &memstore.Options{Capacity: 256 << 20})
	n := 200_000
	if raceEnabled {
		n = 40_000
	}
	keys := make([]string, n)
	objs := make([]int, n)
	for i := range n {
		keys[i] = fmt.Sprint("burst:", i)
	}
	for i, key := range keys {
		if err := s.SetObject(key, &objs[i], 64, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if obj, ok := s.GetObject(key); !ok || obj != &objs[i] {
			t.Fatalf("right after SetObject(%s): %v, %v", key, obj, ok)
		}
	}
	missing := 0
	for i, key := range keys {
		if obj, ok := s.GetObject(key); !ok || obj != &objs[i] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d objects were lost in a store with room", missing, n)
	}
	st := s.Stats()
	if st.Entries != int64(n) || st.Evictions+st.Rejections > 0 {
		t.Errorf("Stats = %+v; want %d entries, none evicted or rejected", st, n)
	}
}

// TestBurstIntoFullStore: where admission rejects newcomers, the newest write is
// visible all the same.
func TestBurstIntoFullStore(t *testing.T) {
	s := open(t, &memstore.Options{Capacity: memstore.MinCapacity})
	hot := make([]string, 500)
	for i := range hot {
		hot[i] = fmt.Sprint("hot:", i)
		_ = s.SetObject(hot[i], &hot[i], 1000, time.Time{})
	}
	for range 20 {
		for _, key := range hot {
			s.GetObject(key)
		}
	}
	v := new(int)
	for i := range 20_000 {
		key := fmt.Sprint("cold:", i)
		size := int64(500)
		if i%100 == 0 {
			size = 100_000
		}
		if err := s.SetObject(key, v, size, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if obj, ok := s.GetObject(key); !ok || obj != v {
			t.Fatalf("right after SetObject(%s): %v, %v", key, obj, ok)
		}
	}
	if st := s.Stats(); st.Rejections+st.Evictions == 0 || st.Bytes > st.Capacity {
		t.Errorf("Stats = %+v; want rejections and no more bytes than the capacity", st)
	}
}

func TestTooLarge(t *testing.T) {
	memorytest.TooLarge(t, open(t, &memstore.Options{Capacity: 1 << 20, MaxEntry: 10_000}))
}

// TestLargeEntries: entries of an eighth of the capacity are visible when set,
// and never hold more than the capacity together.
func TestLargeEntries(t *testing.T) {
	s := open(t, &memstore.Options{Capacity: 16 << 20})
	ctx := t.Context()
	for i := range 60 {
		key := fmt.Sprint("large:", i%23)
		v := make([]byte, 1<<20+i)
		if err := s.Set(ctx, key, store.Entry{Value: v}); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Get(ctx, key); err != nil || len(e.Value) != len(v) {
			t.Fatalf("right after Set(%s): %d bytes, %v", key, len(e.Value), err)
		}
		if i%7 == 0 {
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		if st := s.Stats(); st.Bytes > st.Capacity*11/10 {
			t.Fatalf("%d bytes in a capacity of %d", st.Bytes, st.Capacity)
		}
	}
}

func TestOneKeySpace(t *testing.T) {
	s := open(t, nil)
	memorytest.OneKeySpace(t, s)
	_ = s.SetObject("k", s, 8, time.Time{})
	before := s.Stats().Misses
	if _, err := s.Get(t.Context(), "k"); err == nil || s.Stats().Misses != before+1 {
		t.Errorf("Get of an object: %v, %d misses; want one", err, s.Stats().Misses-before)
	}
}

// TestScan: objects that do not know their key are not listed, for the engine keeps
// none.
func TestScan(t *testing.T) {
	s := open(t, nil)
	for i := range 300 {
		_ = s.SetObject(fmt.Sprint("anonymous:", i), &i, 16, time.Time{})
	}
	memorytest.Scan(t, s)
}

// TestReadRemovesExpired: what a read finds expired frees its room.
func TestReadRemovesExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		ctx := t.Context()
		deadline := time.Now().Add(20 * time.Millisecond)
		for i := range 300 {
			_ = s.Set(ctx, fmt.Sprint(i), store.Entry{Value: []byte("v"), Expires: deadline})
		}
		time.Sleep(time.Until(deadline))
		if n := s.Stats().Entries; n != 300 {
			t.Fatalf("%d entries before they were read, want 300", n)
		}
		for i := range 300 {
			if _, err := s.Get(ctx, fmt.Sprint(i)); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if st := s.Stats(); st.Entries != 0 || st.Expired != 300 {
			t.Errorf("Stats = %+v; want no entries, 300 expired", st)
		}
	})
}

func TestOnEvict(t *testing.T) {
	var evicted, entries uint64
	s := open(t, &memstore.Options{Capacity: memstore.MinCapacity, OnEvict: func(obj any) {
		evicted++
		if _, ok := obj.(*store.Entry); ok {
			entries++
		}
	}})
	for i := range 5000 {
		if i%2 == 0 {
			_ = s.Set(t.Context(), fmt.Sprint(i), store.Entry{Value: make([]byte, 300)})
		} else {
			_ = s.SetObject(fmt.Sprint(i), &i, 300, time.Time{})
		}
	}
	_ = s.Clear(t.Context()) // orders the counts before the reads below
	st := s.Stats()
	if evicted == 0 || evicted != st.Evictions+st.Rejections || entries == 0 || entries == evicted {
		t.Errorf("OnEvict saw %d, %d of them entries; Stats = %+v", evicted, entries, st)
	}
	if st.Entries != 0 {
		t.Errorf("%d entries after Clear", st.Entries)
	}
}

func TestHitAllocations(t *testing.T) {
	s := open(t, nil)
	memorytest.HitAllocations(t, s, func() { flush(s) })
}

// flush writes until what was there has been handed over to the engine.
func flush(s *memstore.Store) {
	for i := range 10_000 {
		_ = s.SetObject(fmt.Sprint("flush:", i), s, 8, time.Time{})
	}
}

// Options.OnEvict and who uses the store as a tier are both told of evictions.
func TestNotifyEvictions(t *testing.T) {
	var first, second atomic.Int64
	s := open(t, &memstore.Options{Capacity: memstore.MinCapacity, OnEvict: func(any) { first.Add(1) }})
	s.NotifyEvictions(func(obj any) {
		if _, ok := obj.(*store.Entry); !ok {
			t.Errorf("told of a %T", obj)
		}
		second.Add(1)
	})
	for i := range 5000 {
		if err := s.Set(t.Context(), fmt.Sprint("key:", i), store.Entry{Value: make([]byte, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	s.Stats() // the engine has decided on all
	if n := first.Load(); n == 0 || second.Load() != n {
		t.Errorf("told %d and %d times", n, second.Load())
	}
}

// TestHalfFull: of a key that is overwritten or deleted, nothing older is there
// afterwards, in a store with room, whether it was just written or often read.
func TestHalfFull(t *testing.T) {
	const keys = 1000
	s := open(t, &memstore.Options{Capacity: 8 << 20})
	ctx := t.Context()
	set := func(i, version int) {
		t.Helper()
		if err := s.Set(ctx, fmt.Sprint("key:", i), store.Entry{Value: make([]byte, 1000), Version: uint64(version)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range keys {
		set(i, 1)
		for range i % 10 {
			if e, err := s.Get(ctx, fmt.Sprint("key:", i)); err != nil || e.Version != 1 {
				t.Fatalf("key %d: %d, %v", i, e.Version, err)
			}
		}
	}
	for i := range keys {
		set(i, 2)
		if i%2 == 0 {
			if err := s.Delete(ctx, fmt.Sprint("key:", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		for i := range keys {
			e, err := s.Get(ctx, fmt.Sprint("key:", i))
			if gone := i%2 == 0; gone != (err != nil) || !gone && e.Version != 2 {
				t.Fatalf("key %d: version %d, %v", i, e.Version, err)
			}
		}
		flush(s)
	}
}

// TestPeekIsNoRead: looking without reading sees the newest value wherever it lies,
// and counts nowhere.
func TestPeekIsNoRead(t *testing.T) {
	s := open(t, nil)
	const n = 5000 // more than the window holds
	for i := range n {
		key := fmt.Sprint("k", i)
		for v := range 2 {
			if err := s.SetObject(key, [2]int{i, v}, 8, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		if obj, ok := s.PeekObject(key); !ok || obj != [2]int{i, 1} {
			t.Fatalf("%s: %v, %v right after it was set", key, obj, ok)
		}
	}
	held := 0
	for i := range n {
		peeked, ok := s.PeekObject(fmt.Sprint("k", i))
		if ok && peeked != [2]int{i, 1} {
			t.Errorf("k%d: peeked %v", i, peeked)
		}
		if ok {
			held++
		}
	}
	if _, ok := s.PeekObject("absent"); ok || held < n/2 {
		t.Errorf("absent %v, %d of %d are held", ok, held, n)
	}
	if st := s.Stats(); st.Hits != 0 || st.Misses != 0 {
		t.Errorf("%d hits and %d misses were counted", st.Hits, st.Misses)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.PeekObject("k1"); ok {
		t.Error("a closed store holds something")
	}
}
