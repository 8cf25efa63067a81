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
		if rapid.Bool().Draw(rt, "small only") { // the engine may then have room
			s.size.maxEntry = 600
		}
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

// header makes obj one of the store's, for key.
func (s *Store) header(key string, obj any) *index.Header { return s.claim(s.index.Key(key), obj) }

// give gives the engine an object as a hand-over does, and waits for it.
func (s *Store) give(key string, obj any, cost int64) *index.Cell {
	hash := s.index.Key(key).Hash
	c := index.NewCell(s.header(key, obj), hash, cost)
	s.live.Add(1)
	s.cache.Set(hash, c, cost)
	s.cache.Wait()
	return c
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
	k, other := s.index.Key("k"), s.index.Key("rejected").Hash
	gone := index.NewCell(s.header("k", 1), k.Hash, 10)                           // the engine has not said so yet
	s.cache.Set(other, index.NewCell(s.header("rejected", 1), other, 2000), 2000) // stops the engine's goroutine
	<-blocked
	sh := s.shard("k")
	sl := sh.put("k", s.index.Key("k").Hash, s.header("k", 2), 20)
	if settled := s.replace(sh, sl, gone); settled {
		t.Error("an insertion in the queue was reported as settled")
	}
	close(free)
	s.cache.Wait()
	if v, ok := s.GetObject("k"); !ok || v != 2 {
		t.Errorf("GetObject = %v, %v", v, ok)
	}
	old := sl.header.Cell()
	if settled := s.replace(sh, sh.put("k", s.index.Key("k").Hash, s.header("k", 3), 30), old); !settled {
		t.Error("an update by the engine was reported as pending")
	}
	if v, _ := s.cache.Get(k.Hash); v == old || v.Held().(*foreign).obj != 3 {
		t.Errorf("the engine has %v", v)
	}
}

// TestExchange: a write of a held key of about the same cost does not bother the
// engine, one of another cost does.
func TestExchange(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k, sh := s.index.Key("k"), s.shard("k")
	cell := s.give("k", "first", 800)
	for _, c := range []struct {
		cost int64
		same bool
	}{{800, true}, {720, true}, {801, false}, {100, false}, {100, true}} {
		older := cell
		v, _ := s.cache.Get(k.Hash)
		if v != older {
			t.Fatalf("before a write of %d the engine has another cell", c.cost)
		}
		sent := sh.sent
		s.write(sh, "k", s.index.Key("k"), c.cost, c.cost, false)
		s.cache.Wait()
		cell, _ = s.cache.Get(k.Hash)
		if (cell == older) != c.same || (sh.sent == sent) != c.same || cell.Held().(*foreign).obj != c.cost {
			t.Errorf("cost %d: the same cell %v, %d items sent, holds %v", c.cost, cell == older, sh.sent-sent, cell.Held())
		}
	}
	s.tight.Store(true) // over its budget: the new value has to be admitted
	s.write(sh, "k", s.index.Key("k"), "tight", 100, false)
	if c, ok := s.cache.Get(k.Hash); ok {
		t.Errorf("a full engine still has %v", c.Held())
	}
	if v, ok := s.GetObject("k"); !ok || v != "tight" {
		t.Errorf("GetObject = %v, %v", v, ok)
	}
}

// TestWindowIsForAFullEngine: where the engine has room, a write of a held key does
// not pass through the window; where it has not, the window protects what was written.
func TestWindowIsForAFullEngine(t *testing.T) {
	s, err := newSized(sizing{counters: 1000, main: 10_000, window: 1000, windowItems: 64, maxEntry: 1000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sh := s.shard("k")
	s.give("k", 0, 100)
	write := func(n int) (inWindow bool) {
		s.write(sh, "k", s.index.Key("k"), n, 100, false)
		if obj := s.inEngine(s.index.Key("k")); public(obj) != n {
			t.Errorf("the engine has %v after %d was written", public(obj), n)
		}
		_, inWindow = sh.slots["k"]
		return inWindow
	}
	s.adjust()
	if write(1) {
		t.Error("a write in place went into the window of a store with room")
	}
	s.give("other", 0, 5901) // leaves 3999, less than two windows and two large entries
	s.adjust()
	if !write(2) {
		t.Error("the window passed by in a store without much room")
	}
	if v, ok := s.GetObject("k"); !ok || v != 2 {
		t.Errorf("GetObject = %v, %v", v, ok)
	}
}

// TestDropOfWhatIsBeingReplaced: a write that takes its key to be held, because the
// engine has not yet said that it dropped it, loses nothing, and is not taken for an
// update in place where it is none.
func TestDropOfWhatIsBeingReplaced(t *testing.T) {
	for _, cost := range []int64{10, 20} {
		s, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		k, sh := s.index.Key("k"), s.shard("k")
		// A cell that has left the engine's map, and nobody was told yet.
		doomed := index.NewCell(s.header("k", "older"), k.Hash, 10)
		s.index.Put(k, s.index.Claim(k, &indexed{}), 1)
		s.live.Add(1)
		sl := sh.put("k", s.index.Key("k").Hash, s.header("k", "newer"), cost)
		settled := s.replace(sh, sl, doomed)
		if settled != doomed.Suits(cost) {
			t.Errorf("cost %d: settled = %v", cost, settled)
		}
		s.cache.Wait()
		s.evicted(&s.evictions, &ristretto.Item[*index.Cell]{Key: k.Hash, Value: doomed})
		s.left(doomed)
		if v, ok := s.PeekObject("k"); !ok && v != "newer" {
			t.Errorf("cost %d: %v, %v", cost, v, ok)
		}
		sh.fly(sl)
		s.send(sh)
		s.land(sh)
		if obj := s.inEngine(s.index.Key("k")); obj == nil || public(obj) != "newer" {
			t.Errorf("cost %d: the engine has %v", cost, obj)
		}
		if n := s.live.Load(); n != 1 {
			t.Errorf("cost %d: %d cells are alive", cost, n)
		}
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
	cost := int64(10)
	write := func() *indexed {
		o := &indexed{}
		cost *= 2
		s.write(sh, "k", k, o, cost, false)
		return o
	}
	handOver := func() {
		sh.fly(sh.slots["k"])
		s.send(sh)
	}
	write()
	handOver()
	held := write() // in the engine, and in the window again
	cell := held.Cell()
	s.evicted(&s.evictions, &ristretto.Item[*index.Cell]{Key: k.Hash, Value: cell}) // as the engine does by itself
	s.cache.Del(k.Hash)
	handOver()
	if held.Cell() == cell {
		t.Error("what was dropped is not given anew")
	}
	if last := write(); s.find(s.stripe(), "k") != any(last) {
		t.Error("the newest object is not what is found")
	}
	if obj := s.inEngine(s.index.Key("k")); obj == any(held) {
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
