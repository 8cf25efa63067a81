package otterstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

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
	s := open(t, &otterstore.Options{Capacity: 1 << 20, MaxEntry: 10_000})
	ctx := t.Context()
	small, big := store.Entry{Value: make([]byte, 100)}, store.Entry{Value: make([]byte, 10_000)}
	for name, set := range map[string]func() error{
		"Set":             func() error { return s.Set(ctx, "k", big) },
		"SetObject":       func() error { return s.SetObject("k", &big, 1<<21, time.Time{}) },
		"SetObject, most": func() error { return s.SetObject("k", &big, math.MaxInt64, time.Time{}) },
		"Fill":            func() error { _, err := s.Fill(ctx, "k", big); return err },
	} {
		if err := s.Set(ctx, "k", small); err != nil {
			t.Fatal(err)
		}
		if err := set(); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %v; want ErrTooLarge", name, err)
		}
		if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s left the older value: %v", name, err)
		}
	}
}

// TestOneKeySpace: entries and objects replace one another.
func TestOneKeySpace(t *testing.T) {
	s := open(t, nil)
	ctx := t.Context()
	noErr := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	noErr(s.Set(ctx, "k", store.Entry{Value: []byte("v"), Version: 3}))
	obj, ok := s.GetObject("k")
	if e, is := obj.(*store.Entry); !ok || !is || string(e.Value) != "v" || e.Version != 3 {
		t.Errorf("GetObject of an entry: %v, %v; want it as a *store.Entry", obj, ok)
	}
	noErr(s.SetObject("k", map[string]int{}, 8, time.Time{})) // not comparable
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of an object: %v; want a miss", err)
	}
	if stored, err := s.Fill(ctx, "k", store.Entry{Value: []byte("w"), Version: 1}); !stored || err != nil {
		t.Errorf("Fill over an object: %v, %v", stored, err)
	}
	noErr(s.SetObject("k", &store.Entry{Value: []byte("as an object")}, 12, time.Time{}))
	if got, err := s.Get(ctx, "k"); err != nil || string(got.Value) != "as an object" {
		t.Errorf("Get of a *store.Entry object: %v, %v", got, err)
	}
	noErr(s.SetObject("k", s, 8, time.Now().Add(-time.Second)))
	if obj, ok := s.GetObject("k"); ok {
		t.Errorf("an expired SetObject left %v", obj)
	}
	if s.SetObject("k", nil, 8, time.Time{}) == nil {
		t.Error("SetObject of nil: no error")
	}
	if err := s.SetObject("", s, 8, time.Time{}); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("SetObject of the empty key: %v", err)
	}
}

// TestScan: both kinds are listed, and a context that is over ends the loop.
func TestScan(t *testing.T) {
	s := open(t, nil)
	for i := range 300 {
		_ = s.SetObject(fmt.Sprint("obj:", i), &i, 16, time.Time{})
		_ = s.Set(t.Context(), fmt.Sprint("entry:", i), store.Entry{})
	}
	count := map[string]int{}
	for key, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(key, ":")
		count[kind]++
	}
	if count["obj"] != 300 || count["entry"] != 300 || len(count) != 2 {
		t.Errorf("Scan found %v; want 300 of obj and entry each", count)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range s.Scan(ctx, "") {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if n != 11 || !errors.Is(last, context.Canceled) {
		t.Errorf("a Scan whose context ended after 10 keys gave %d, and %v", n, last)
	}
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

// TestHitAllocations: neither a hit nor a miss allocates.
func TestHitAllocations(t *testing.T) {
	s := open(t, nil)
	ctx := t.Context()
	_ = s.Set(ctx, "never", store.Entry{Value: []byte("v")})
	_ = s.Set(ctx, "soon", store.Entry{Value: []byte("v"), Expires: time.Now().Add(time.Hour)})
	_ = s.SetObject("object", s, 8, time.Time{})
	for name, f := range map[string]func(){
		"GetObject":         func() { s.GetObject("object") },
		"GetObject, absent": func() { s.GetObject("absent") },
		"Get":               func() { _, _ = s.Get(ctx, "never") },
		"Get, deadline":     func() { _, _ = s.Get(ctx, "soon") },
		"Get, absent":       func() { _, _ = s.Get(ctx, "absent") },
	} {
		if n := testing.AllocsPerRun(1000, f); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
