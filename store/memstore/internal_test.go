package memstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"pgregory.net/rapid"

	"github.com/stratacache/strata/internal/index"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

// tiny returns a store in which nearly every operation hands over and evicts:
// the engine has room for items entries of cost each, the window for 8.
func tiny(t testing.TB, items, each int64) *Store {
	t.Helper()
	s, err := newSized(sizing{counters: items * 10, main: items * each, window: 8 * each, windowItems: 8, maxEntry: items * each}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformanceTiny(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return tiny(t, 40, 500) },
		&storetest.Options{Evicts: true, Skip: map[string]string{"BigBatch": "the store holds but 40 entries"}})
}

// objectStore shows the objects of a Store as entries, so that the suite checks
// SetObject and GetObject as it does Set and Get.
type objectStore struct{ *Store }

type box struct{ e store.Entry }

func (o objectStore) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := check(ctx, "get", key); err != nil {
		return store.Entry{}, err
	}
	if o.closed.Load() {
		return store.Entry{}, fail("get", key, store.ErrClosed)
	}
	obj, ok := o.GetObject(key)
	if !ok {
		return store.Entry{}, store.ErrNotFound
	}
	b := obj.(*box)
	if b.e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return b.e, nil
}

func (o objectStore) Set(ctx context.Context, key string, e store.Entry) error {
	if err := check(ctx, "set", key); err != nil {
		return err
	}
	return o.SetObject(key, &box{e}, int64(len(e.Value)), e.Expires)
}

// plain hides what else a Store can do.
type plain struct{ store.Store }

func TestConformanceObjects(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		s, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return plain{objectStore{s}}
	}, nil)
	storetest.Run(t, func(t testing.TB) store.Store { return plain{objectStore{tiny(t, 40, 500)}} },
		&storetest.Options{Evicts: true, Skip: map[string]string{"BigBatch": "the store holds but 40 entries"}})
}

// TestModel runs random operations of one goroutine against a map. An entry may
// be lost, but not right after it was written, and what was lost stays lost.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := tiny(t, rapid.Int64Range(1, 30).Draw(rt, "items"), 400)
		defer s.Close()
		m := &modelRun{rt: rt, s: s, want: map[string]any{}}
		for range rapid.IntRange(1, 300).Draw(rt, "operations") {
			m.step()
		}
		for i := range 12 {
			m.check(fmt.Sprint("k", i))
		}
		if st := s.Stats(); st.Entries < 0 || st.Entries > 12+30 {
			rt.Errorf("Stats = %+v", st)
		}
	})
}

type modelRun struct {
	rt   *rapid.T
	s    *Store
	n    int
	want map[string]any // the object, or the value of an entry
}

func (m *modelRun) step() {
	key := fmt.Sprint("k", rapid.IntRange(0, 11).Draw(m.rt, "key"))
	size := rapid.SampledFrom([]int{0, 10, 200, 1000, 3000}).Draw(m.rt, "size")
	m.n++
	e := store.Entry{Value: make([]byte, size+1), Version: uint64(m.n), Codec: fmt.Sprint(m.n)}
	var err error
	switch rapid.SampledFrom([]string{"set", "set", "object", "object", "delete", "fill", "get", "get", "clear"}).Draw(m.rt, "op") {
	case "set":
		err = m.s.Set(context.Background(), key, e)
		m.written(key, e.Codec, err)
	case "object":
		err = m.s.SetObject(key, m.n, int64(size), time.Time{})
		m.written(key, m.n, err)
	case "fill":
		_, err = m.s.Fill(context.Background(), key, e) // always newer
		m.written(key, e.Codec, err)
	case "delete":
		err = m.s.Delete(context.Background(), key)
		m.gone(key, err)
	case "clear":
		if m.n%10 == 0 {
			_ = m.s.Clear(context.Background())
			clear(m.want)
		}
	}
	m.check(key)
}

func (m *modelRun) written(key string, v any, err error) {
	if err != nil { // too large
		m.gone(key, nil)
		return
	}
	m.want[key] = v
	if _, ok := m.s.GetObject(key); !ok {
		m.rt.Fatalf("%s is missing right after it was written", key)
	}
}

func (m *modelRun) gone(key string, err error) {
	if err != nil {
		m.rt.Fatal(err)
	}
	delete(m.want, key)
}

func (m *modelRun) check(key string) {
	obj, ok := m.s.GetObject(key)
	if !ok {
		delete(m.want, key)
		return
	}
	if e, is := obj.(*store.Entry); is {
		obj = e.Codec
	}
	if want, held := m.want[key]; !held || obj != want {
		m.rt.Fatalf("GetObject(%s) = %v; want %v, %v", key, obj, want, held)
	}
}

// TestVisibleUnderContention: writers that evict one another's entries see their
// own last write, whatever size it has.
func TestVisibleUnderContention(t *testing.T) {
	s, err := newSized(sizing{counters: 1000, main: 100_000, window: 64_000, windowItems: 512, maxEntry: 50_000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	var missed atomic.Int64
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(9, uint64(w)))
			for i := range rounds(4_000) {
				key := fmt.Sprint(w, ":", rng.IntN(50))
				cost := int64(rng.IntN(400))
				if rng.IntN(200) == 0 {
					cost = 40_000
				}
				if err := s.SetObject(key, i, cost, time.Time{}); err != nil {
					t.Error(err)
				}
				// Were this goroutine to sleep here, the others could push the
				// entry out of the window. An older one there may never be.
				got, ok := s.GetObject(key)
				if !ok {
					missed.Add(1)
				} else if got != i {
					t.Errorf("GetObject(%s) = %v right after %d was set", key, got, i)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := missed.Load(); n > int64(rounds(4_000))/50 {
		t.Errorf("%d of %d entries were gone right after they were set", n, 4*rounds(4_000))
	}
}

// TestNeverBackwards: in a store of four entries, where each write evicts, the
// values of a key that one goroutine counts up never go down for anybody.
func TestNeverBackwards(t *testing.T) {
	s := tiny(t, 4, 300)
	const writers, keys = 3, 4
	var wg, readers sync.WaitGroup
	var done atomic.Bool
	for r := range 2 {
		readers.Go(func() {
			last := map[string]int{}
			for i := r; !done.Load(); i++ {
				key := fmt.Sprint(i%writers, ":", i%keys)
				if v, ok := s.GetObject(key); ok && v.(int) < last[key] {
					t.Errorf("%s went from %d back to %d", key, last[key], v)
					return
				} else if ok {
					last[key] = v.(int)
				}
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			for i := range rounds(4_000) {
				key := fmt.Sprint(w, ":", i/6%keys) // six times in a row
				if err := s.SetObject(key, i+1, 10, time.Time{}); err != nil {
					t.Error(err)
				}
				if v, ok := s.GetObject(key); ok && v != i+1 {
					t.Errorf("GetObject(%s) = %v right after %d was set", key, v, i+1)
					return
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	readers.Wait()
}

// TestNoMissOnTheWay: an entry on its way from the window to an engine with room
// is found by every read.
func TestNoMissOnTheWay(t *testing.T) {
	s, err := newSized(sizing{counters: 1 << 17, main: 1 << 40, window: 1 << 30, windowItems: 8, maxEntry: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var newest atomic.Int64
	var readers sync.WaitGroup
	n := int64(rounds(8_000))
	for range 3 {
		readers.Go(func() {
			for at := newest.Load(); at < n; at = newest.Load() {
				for i := max(at-6, 1); i <= at; i++ {
					if v, ok := s.GetObject(fmt.Sprint(i)); !ok || v != i {
						t.Errorf("GetObject(%d) = %v, %v in a store with room", i, v, ok)
						return
					}
				}
			}
		})
	}
	for i := int64(1); i <= n; i++ {
		if err := s.SetObject(fmt.Sprint(i), i, 1, time.Time{}); err != nil {
			t.Fatal(err)
		}
		newest.Store(i)
	}
	readers.Wait()
}

// TestCloseWaitsForReads: the engine panics when it is read while it closes.
func TestCloseWaitsForReads(t *testing.T) {
	s := tiny(t, 100, 300)
	read := s.stripe()
	s.enter(read)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for !s.closed.Load() {
		runtime.Gosched()
	}
	if s.enter(s.stripe()) {
		t.Error("a read began after Close")
	}
	for range 2000 {
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait for a read under way")
	default:
	}
	read.leave()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestReplaceOfEvicted: an update of a key that the engine has just evicted
// becomes an insertion, and must be reported as one that is still in the queue.
func TestReplaceOfEvicted(t *testing.T) {
	blocked, free := make(chan struct{}), make(chan struct{})
	s, err := newSized(sizing{counters: 1000, main: 1000, window: 1 << 20, windowItems: 64, maxEntry: 1 << 20}, func(any) {
		close(blocked)
		<-free
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.cache.Set("rejected", 1, 2000) // stops the engine's goroutine
	<-blocked
	sh := s.shard("k")
	sl := sh.put("k", 2, 10)
	if settled := s.replace(sh, sl, nil); settled {
		t.Error("an insertion in the queue was reported as settled")
	}
	close(free)
	s.cache.Wait()
	if v, ok := s.GetObject("k"); !ok || v != 2 {
		t.Errorf("GetObject = %v, %v", v, ok)
	}
	if settled := s.replace(sh, sl, nil); !settled {
		t.Error("an update in place was reported as pending")
	}
}

// TestDropOfWhatIsBeingReplaced: a write that takes its key to be held, because the
// engine has not yet said that it dropped it, is not taken for an update in place.
func TestDropOfWhatIsBeingReplaced(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k := s.index.Key("k")
	older, newer := &indexed{}, &indexed{}
	old := s.index.Put(k, older)
	sh := s.shard("k")
	if settled := s.replace(sh, sh.put("k", newer, 10), old); settled {
		t.Error("an insertion was reported as settled")
	}
	s.cache.Wait()
	header := s.index.Put(k, newer)
	if settled := s.replace(sh, sh.put("k", &indexed{}, 10), header); !settled {
		t.Error("an update in place was reported as pending")
	}
	s.index.DropObject(k.Hash, older)
	if index.Replaced(older); !old.Dropped() || header.Dropped() || !header.Replaced() {
		t.Errorf("what came of the objects: dropped %v, %v; replaced %v", old.Dropped(), header.Dropped(), header.Replaced())
	}
}

// TestWrittenAgainAfterADrop: what the engine has dropped and is given anew is what a
// write looks for there.
func TestWrittenAgainAfterADrop(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sh := s.shard("k")
	sh.mu.Lock()
	defer sh.mu.Unlock()
	k := s.index.Key("k")
	write := func() *indexed {
		o := &indexed{}
		s.write(sh, "k", k, o, 10, false)
		return o
	}
	handOver := func() {
		sh.fly(sh.slots["k"])
		s.send(sh)
	}
	write()
	handOver()
	held := write() // in place, and in the window again
	s.cache.Del("k")
	s.index.DropObject(k.Hash, held) // as the engine does by itself
	handOver()
	if last := write(); s.find(s.stripe(), "k") != any(last) {
		t.Error("the newest object is not what is found")
	}
	if obj, ok := s.cache.Get("k"); ok && obj == any(held) {
		t.Error("the engine holds an object that has been replaced")
	}
}

// TestInBubble: the store works in a synctest bubble that it was made in, where
// deadlines pass at once.
func TestInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range 500 {
			e := store.Entry{Value: []byte("v"), Expires: time.Now().Add(time.Minute)}
			if err := s.Set(t.Context(), fmt.Sprint(i), e); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute - time.Millisecond)
		if _, err := s.Get(t.Context(), "7"); err != nil {
			t.Errorf("a millisecond before the deadline: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := s.Get(t.Context(), "7"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("at the deadline: %v", err)
		}
	})
}

// rounds is n, ten times that for a long run.
func rounds(n int) int {
	if os.Getenv("STRATA_TORTURE") != "" {
		return 10 * n
	}
	return n
}

// TestAccounting: the counts of entries and bytes agree with what is there,
// after a turmoil and at rest.
func TestAccounting(t *testing.T) {
	s := tiny(t, 50, 500)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(w)))
			for i := range rounds(3000) {
				key := fmt.Sprint(rng.IntN(100))
				switch n := rng.IntN(10); {
				case n < 6:
					_ = s.SetObject(key, i, int64(rng.IntN(5000)), time.Time{})
				case n < 8:
					_ = s.Delete(context.Background(), key)
				case n < 9:
					_ = s.Set(context.Background(), key, store.Entry{})
				default:
					s.GetObject(key)
				}
			}
		})
	}
	wg.Wait()
	s.Stats() // has the engine decide on what is in flight
	held := int64(0)
	for i := range 100 {
		if _, ok := s.GetObject(fmt.Sprint(i)); ok {
			held++
		}
	}
	if st := s.Stats(); st.Entries != held || st.Bytes < 0 {
		t.Errorf("Stats = %+v; %d entries are there", st, held)
	}
	for i := range 100 {
		_ = s.Delete(context.Background(), fmt.Sprint(i))
	}
	s.cache.Wait()
	if st := s.Stats(); st.Entries != 0 || st.Bytes != s.peak*perIdleSlot || s.reserved != 0 {
		t.Errorf("emptied: Stats = %+v, %d bytes reserved for large entries", st, s.reserved)
	}
}

// TestHitRatio compares the hit ratio on a zipf trace with that of the engine
// alone, each of whose Sets is waited for. The window must not cost more than
// half a point.
func TestHitRatio(t *testing.T) {
	const keys = 1 << 20
	requests, sizes := 100_000, []int64{10_000}
	if os.Getenv("STRATA_TORTURE") != "" {
		requests, sizes = 1_000_000, []int64{10_000, 100_000}
	}
	for _, items := range sizes {
		z := rand.NewZipf(rand.New(rand.NewPCG(3, 4)), 1.01, 1, keys-1)
		trace := make([]string, requests)
		for i := range trace {
			trace[i] = fmt.Sprint("key:", z.Uint64())
		}
		raw, err := ristretto.NewCache(&ristretto.Config[string, any]{
			NumCounters: items * 10, MaxCost: items, BufferItems: 64, IgnoreInternalCost: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		rawHits := 0
		for i, key := range trace {
			if _, ok := raw.Get(key); ok {
				rawHits++
			} else {
				raw.Set(key, i, 1)
				raw.Wait()
			}
		}
		raw.Close()

		const each = perEntry + 16 // keys of up to 16 bytes
		s, err := newSized(sized(items, each), nil)
		if err != nil {
			t.Fatal(err)
		}
		hits := 0
		for _, key := range trace {
			if _, ok := s.GetObject(key); ok {
				hits++
			} else if err := s.SetObject(key, new(indexed), 0, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		got, want := 100*float64(hits)/float64(requests), 100*float64(rawHits)/float64(requests)
		t.Logf("%d items, %d requests: %.2f %%, the engine alone %.2f %% (window of %d, %+v)", items, requests, got, want, s.size.windowItems, s.Stats().Entries)
		if got < want-0.5 {
			t.Errorf("%d items: hit ratio %.2f %%; the engine alone has %.2f %%", items, got, want)
		}
		_ = s.Close()
	}
}

// indexed is an object that the index can hold.
type indexed struct{ index.Header }

// sized divides room for items entries of one cost as size does a capacity.
func sized(items, each int64) sizing {
	total := items * each
	return sizing{
		counters: items * 10, window: total / 32, main: total - total/32,
		windowItems: min(max(items/64, 64), maxShards*maxShardItems), maxEntry: total / 8,
		index: items / itemsPerBucket,
	}
}
