package otterstore_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/memorytest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/otterstore"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, opts *otterstore.Options) *otterstore.Store {
	t.Helper()
	s, err := otterstore.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestConformance holds the store to the full contract: with room, nothing may
// be missing.
func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, nil) }, nil)
}

// TestConformanceSmall is the suite under eviction.
func TestConformanceSmall(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		s := open(t, &otterstore.Options{Capacity: otterstore.MinCapacity})
		// Full of what nobody reads, so that everything evicts something. Entries
		// that have expired are listed by no Scan.
		soon := time.Now().Add(50 * time.Millisecond)
		for i := range 4000 {
			if err := s.Set(t.Context(), fmt.Sprint("ballast:", i), store.Entry{Value: make([]byte, 300), Expires: soon}); err != nil {
				t.Fatal(err)
			}
		}
		for time.Now().Before(soon) {
			time.Sleep(time.Until(soon))
		}
		return s
	}, &storetest.Options{Evicts: true})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  otterstore.Options
		field string
	}{
		{otterstore.Options{Capacity: -1}, "Capacity"},
		{otterstore.Options{Capacity: 1000}, "Capacity"},
		{otterstore.Options{MaxEntry: -1}, "MaxEntry"},
		{otterstore.Options{MaxEntry: otterstore.DefaultCapacity + 1}, "MaxEntry"},
		{otterstore.Options{Capacity: 1 << 40, MaxEntry: math.MaxUint32 + 1}, "MaxEntry"},
	} {
		if s, err := otterstore.New(&c.opts); err == nil || s != nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("New(%+v): %v, %v; want an error that names %s", c.opts, s, err, c.field)
		}
	}
	for _, opts := range []*otterstore.Options{nil, {}, {Capacity: otterstore.MinCapacity}, {Capacity: 1 << 22, MaxEntry: 1 << 22}} {
		open(t, opts)
	}
}

func TestTooLarge(t *testing.T) {
	memorytest.TooLarge(t, open(t, &otterstore.Options{Capacity: 1 << 20, MaxEntry: 10_000}))
}

func TestOneKeySpace(t *testing.T) { memorytest.OneKeySpace(t, open(t, nil)) }

func TestScan(t *testing.T) {
	memorytest.Scan(t, open(t, nil))
	s := open(t, nil)
	_ = s.SetObject("anonymous", new(int), 16, time.Time{})
	for key, err := range s.Scan(t.Context(), "anon") { // the engine keeps the keys
		if key == "anonymous" && err == nil {
			return
		}
	}
	t.Error("an object that does not know its key is not listed")
}

// TestOnEvict: what is dropped for room is told, to Options.OnEvict and to who uses
// the store as a tier, and nothing else.
func TestOnEvict(t *testing.T) {
	var evicted, entries, told atomic.Uint64
	s := open(t, &otterstore.Options{Capacity: otterstore.MinCapacity, OnEvict: func(obj any) {
		if _, ok := obj.(*store.Entry); ok {
			entries.Add(1)
		}
		evicted.Add(1)
	}})
	s.NotifyEvictions(func(any) { told.Add(1) })
	for i := range 5000 {
		if i%2 == 0 {
			_ = s.Set(t.Context(), fmt.Sprint(i), store.Entry{Value: make([]byte, 300)})
		} else {
			_ = s.SetObject(fmt.Sprint(i), &i, 300, time.Time{})
		}
	}
	_ = s.Delete(t.Context(), "4999")
	_ = s.Clear(t.Context())
	agree := func() bool { // some evictions, of the sets before Clear, are still on their way
		n := s.Stats().Evictions
		return n > 0 && evicted.Load() == n && told.Load() == n && entries.Load() > 0 && entries.Load() < n
	}
	for end := time.Now().Add(10 * time.Second); !agree() && time.Now().Before(end); {
		runtime.Gosched()
	}
	if !agree() {
		t.Errorf("OnEvict saw %d, %d of them entries, and NotifyEvictions told of %d; Stats = %+v", evicted.Load(), entries.Load(), told.Load(), s.Stats())
	}
	if n := s.Stats().Entries; n != 0 {
		t.Errorf("%d entries after Clear", n)
	}
}

func TestHitAllocations(t *testing.T) { memorytest.HitAllocations(t, open(t, nil), nil) }
