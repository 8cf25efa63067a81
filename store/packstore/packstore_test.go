package packstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/packstore"
	"github.com/stratacache/strata/store/storetest"
)

// thing is an object that can be packed.
type thing struct{ p store.Packed }

func (t *thing) Pack(p *store.Packed) bool { *p = t.p; return true }

func unpack(p *store.Packed) any { return &thing{*p} }

const never = int64(1<<63 - 1)

func thingOf(value string, version uint64) *thing {
	return &thing{store.Packed{Value: []byte(value), Version: version, Hot: never, Fresh: never, Expires: never}}
}

func open(t testing.TB, opts *packstore.Options) *packstore.Store {
	t.Helper()
	s, err := packstore.New(opts)
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

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, nil) }, nil)
}

// TestConformanceSmall is the suite under eviction.
func TestConformanceSmall(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		s := open(t, &packstore.Options{Capacity: packstore.MinCapacity, MaxEntry: packstore.MinCapacity, Unpack: unpack})
		for i := range 2000 {
			if err := s.SetObject(fmt.Sprint("ballast:", i), thingOf(strings.Repeat("x", i%900), 1), 0, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}, &storetest.Options{Evicts: true, Skip: map[string]string{"Scan": "the ballast is listed"}})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  packstore.Options
		field string
	}{
		{packstore.Options{Capacity: -1}, "Capacity"},
		{packstore.Options{Capacity: 1000}, "Capacity"},
		{packstore.Options{MaxEntry: -1}, "MaxEntry"},
	} {
		if _, err := packstore.New(&c.opts); err == nil || !strings.Contains(err.Error(), "Options."+c.field) {
			t.Errorf("New(%+v): %v; want an error that names %s", c.opts, err, c.field)
		}
	}
}

// TestModel compares the store with a map over random operations on values of
// every size, packed and not.
func TestModel(t *testing.T) {
	s := open(t, &packstore.Options{Capacity: 256 << 20, Unpack: unpack})
	rnd := rand.New(rand.NewPCG(1, 2))
	model := map[string]string{}
	ctx := context.Background()
	sizes := []int{0, 1, 7, 40, 400, 3000, 5000, 70000}
	for i := range 50_000 {
		key := fmt.Sprint("key:", rnd.IntN(3000))
		switch op := rnd.IntN(10); {
		case op < 5:
			n := sizes[rnd.IntN(len(sizes)-2)]
			if rnd.IntN(200) == 0 {
				n = sizes[len(sizes)-1]
			}
			v := strings.Repeat(string(rune('a'+i%26)), n)
			if err := s.SetObject(key, thingOf(v, uint64(i)), int64(n), time.Time{}); err != nil {
				t.Fatal(err)
			}
			model[key] = v
		case op < 6:
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			delete(model, key)
		default:
			obj, ok := s.GetObject(key)
			want, there := model[key]
			if ok != there || ok && string(obj.(*thing).p.Value) != want {
				t.Fatalf("step %d: GetObject(%s) = %v, want %v", i, key, ok, there)
			}
			if p, _, ok := s.GetPacked(key, nil); ok && (!there || string(p.Value) != want) {
				t.Fatalf("step %d: GetPacked(%s) is not what was set", i, key)
			}
		}
	}
	listed := map[string]bool{}
	for key, err := range s.Scan(ctx, "") {
		if err != nil || listed[key] {
			t.Fatalf("Scan: %q, %v", key, err)
		}
		listed[key] = true
	}
	if n := s.Count(); n != int64(len(model)) {
		t.Errorf("Count is %d, want %d", n, len(model))
	}
	if len(listed) != len(model) || s.Stats().Entries != int64(len(model)) {
		t.Errorf("%d keys are listed and %d counted, want %d", len(listed), s.Stats().Entries, len(model))
	}
	if st := s.Stats(); st.Extra["log_bytes"] > 2*st.Extra["log_live_bytes"]+64*(128<<10)*4 {
		t.Errorf("the log is mostly garbage: %v", st.Extra)
	}
}

// TestCapacity fills the store several times over: it stays within its capacity,
// and keeps what is read again and again.
func TestCapacity(t *testing.T) {
	const capacity = 4 << 20
	s := open(t, &packstore.Options{Capacity: capacity, Unpack: unpack})
	hot := 0
	for i := range 40_000 {
		n := i % 300
		if i%500 == 0 {
			n = 20_000
		}
		if err := s.SetObject(fmt.Sprint("k", i), thingOf(strings.Repeat("v", n), 1), int64(n), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if _, ok := s.GetObject(fmt.Sprint("k", i/1000%10)); ok {
				hot++
			}
		}
		if i%50 != 0 {
			continue
		}
		if b := s.Stats().Bytes; b > capacity+capacity/8 {
			t.Fatalf("%d bytes in use of %d", b, capacity)
		}
	}
	if s.Stats().Evictions == 0 {
		t.Error("nothing was evicted")
	}
	if hot < 3600 {
		t.Errorf("what is read often was there %d times of 4000", hot)
	}
}

// TestExpiry: what has expired is neither listed nor kept, and is swept.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, &packstore.Options{Unpack: unpack})
		ctx := context.Background()
		soon := time.Now().Add(500 * time.Millisecond)
		for i := range 1000 {
			e := store.Entry{Value: []byte("v"), Expires: soon}
			if i%10 == 0 {
				e.Tags = []string{"t"} // kept as it is
			}
			if err := s.Set(ctx, fmt.Sprint("k", i), e); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Until(soon))
		for key := range s.Scan(ctx, "") {
			t.Fatalf("%s is listed past its deadline", key)
		}
		if n := s.Count(); n != 0 {
			t.Errorf("%d keys are counted past their deadline", n)
		}
		if _, err := s.Get(ctx, "k5"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get past the deadline: %v", err)
		}
		s.Sweep()
		if st := s.Stats(); st.Entries != 0 || st.Expired != 1000 {
			t.Errorf("after a sweep: %d entries, %d expired", st.Entries, st.Expired)
		}
	})
}

// TestConcurrent has goroutines write, read and evict at once: a value is whole,
// and its key's own.
func TestConcurrent(t *testing.T) {
	s := open(t, &packstore.Options{Capacity: 2 << 20, Unpack: unpack})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			var buf []byte
			for i := range 4_000 {
				key := fmt.Sprint("key:", rnd.IntN(5000))
				if rnd.IntN(2) == 0 {
					v := strings.Repeat(key+"|", rnd.IntN(60))
					if err := s.SetObject(key, thingOf(v, uint64(i)), 0, time.Time{}); err != nil {
						t.Error(err)
					}
					continue
				}
				var p store.Packed
				var ok bool
				if p, buf, ok = s.GetPacked(key, buf[:0]); ok && strings.ReplaceAll(string(p.Value), key+"|", "") != "" {
					t.Errorf("%s holds %q", key, p.Value)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkGetPacked(b *testing.B) {
	s := open(b, &packstore.Options{Capacity: 512 << 20, Unpack: unpack})
	keys := make([]string, 1<<18)
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%012d", i)
		_ = s.SetObject(keys[i], thingOf("xxx", 1), 3, time.Time{})
	}
	var buf []byte
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		_, buf, _ = s.GetPacked(keys[i&(1<<18-1)], buf[:0])
		i += 7919
	}
}

func BenchmarkSetObject(b *testing.B) {
	s := open(b, &packstore.Options{Capacity: 512 << 20, Unpack: unpack})
	keys := make([]string, 1<<18)
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%012d", i)
	}
	o := thingOf("xxx", 1)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		_ = s.SetObject(keys[i&(1<<18-1)], o, 3, time.Time{})
		i += 7919
	}
}

// TestNotifyEvictions: who uses the store is told of each eviction, with what was
// dropped: packed entries, and those that are too large for that.
func TestNotifyEvictions(t *testing.T) {
	s, err := packstore.New(&packstore.Options{Capacity: packstore.MinCapacity})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	told, large := uint64(0), 0
	s.NotifyEvictions(func(obj any) {
		e, ok := obj.(*store.Entry)
		if !ok || len(e.Value) < 4 || string(e.Value[:4]) != "here" {
			t.Fatalf("told of a %T: %v", obj, obj)
		}
		if told++; len(e.Value) > 5000 {
			large++
		}
	})
	for i := range 5000 {
		value := make([]byte, 500)
		if i%20 == 0 {
			value = make([]byte, 20_000)
		}
		copy(value, "here")
		if err := s.Set(t.Context(), fmt.Sprint("key:", i), store.Entry{Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Evictions; told != n || large == 0 || uint64(large) == told {
		t.Errorf("told %d times, %d of large entries; Stats counts %d", told, large, n)
	}
}
