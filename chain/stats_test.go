package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

func TestStatsPerRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newMap()
		c := newChain(t, two(newObjects(100), disk), `rules: [{name: prices, keys: "price:{symbol}", ttl: 1m}, {name: info, keys: "info:{symbol}", ttl: 1h}]`, nil)
		cache, ctx := chain.NewCache[string](c, nil), t.Context()
		for _, key := range []string{"price:A", "price:A", "price:B", "other"} { // the second A is a hit in memory
			v, err := cache.GetOrLoad(ctx, key, loads("v"))
			want(t, v, err, "v")
		}
		if _, err := cache.GetOrLoad(ctx, "info:A", fails[string](errBoom)); err == nil {
			t.Fatal("no error")
		}
		_, _ = cache.GetOrLoad(ctx, "info:B", fails[string](store.ErrNotFound))
		_, err := cache.GetOrLoadMany(ctx, []string{"info:C", "info:D"}, func(context.Context, []string) (map[string]string, error) {
			return map[string]string{"info:C": "c", "info:D": "d"}, nil
		})
		noErr(t, err)
		disk.Plant("info:E", store.Entry{Value: []byte("e")})
		v, err := cache.Get(ctx, "info:E")
		want(t, v, err, "e")
		got := map[string]chain.RuleStats{}
		var order []string
		for _, r := range c.Stats().Rules {
			if r.LoadTime.Count != r.Loads {
				t.Errorf("%s: %d loads, %d of them timed", r.Name, r.Loads, r.LoadTime.Count)
			}
			if r.Tiers[0].Name != "disk" || r.Tiers[0].Hits != r.Hits {
				t.Errorf("%s: tiers %+v; want the %d hits in disk", r.Name, r.Tiers, r.Hits)
			}
			r.LoadTime, r.Tiers = chain.Latency{}, nil
			got[r.Name], order = r, append(order, r.Name)
		}
		for _, r := range []chain.RuleStats{
			{Name: "prices", Misses: 2, Loads: 2},
			{Name: "info", Hits: 1, Misses: 4, Loads: 4, LoadErrors: 1},
			{Name: "default", Misses: 1, Loads: 1},
		} {
			if fmt.Sprint(got[r.Name]) != fmt.Sprint(r) {
				t.Errorf("%+v; want %+v", got[r.Name], r)
			}
		}
		if fmt.Sprint(order) != "[prices info default]" {
			t.Errorf("the order is %v", order)
		}
	})
}

// evicting is a memory tier that tells of evictions.
type evicting struct {
	*objectStore
	f func(any)
}

func (s *evicting) NotifyEvictions(f func(any)) { s.f = f }

type evictions struct {
	chain.NopObserver
	log []string
}

func (e *evictions) Evict(tier string, bytes int64) {
	e.log = append(e.log, fmt.Sprint(tier, " ", bytes > 5))
}

// What memory drops for room reaches the observer.
func TestObserverIsToldOfEvictions(t *testing.T) {
	memory, seen := &evicting{objectStore: newObjects(10)}, &evictions{}
	c := newChain(t, two(memory, newMap()), "", &chain.Options{Observer: seen})
	noErr(t, chain.NewCache[string](c, nil).Set(t.Context(), "k", "value"))
	obj, ok := memory.GetObject("k")
	if !ok {
		t.Fatal("memory has nothing")
	}
	memory.f(obj)
	memory.f(&store.Entry{Value: []byte("x")})
	memory.f(7)
	if fmt.Sprint(seen.log) != "[memory true memory false memory false]" {
		t.Errorf("%q", seen.log)
	}
}

// bulkStore is a tier that is filled many keys at a time.
type bulkStore struct {
	*mapStore
	mu    sync.Mutex
	bulks []int
	gate  chan struct{}
}

func (s *bulkStore) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	<-s.gate
	return s.mapStore.Fill(ctx, key, e)
}

func (s *bulkStore) FillMany(ctx context.Context, entries map[string]store.Entry) error {
	s.mu.Lock()
	s.bulks = append(s.bulks, len(entries))
	s.mu.Unlock()
	for key, e := range entries {
		if _, err := s.mapStore.Fill(ctx, key, e); err != nil {
			return err
		}
	}
	return nil
}

// Promotions that wait for a slow tier go there together.
func TestPromotionsShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := &bulkStore{mapStore: newMap(), gate: make(chan struct{})}, newMap()
		c := newChain(t, []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: far}}, "", nil)
		cache := chain.NewCache[string](c, nil)
		for i := range 51 {
			key := fmt.Sprint("k", i)
			far.Plant(key, store.Entry{Value: []byte("v"), Version: 5})
			v, err := cache.Get(t.Context(), key)
			want(t, v, err, "v")
			synctest.Wait()
		}
		close(near.gate)
		flush(t, c)
		for i := range 51 {
			if e, ok := near.Peek(fmt.Sprint("k", i)); !ok || e.Version != 5 {
				t.Errorf("k%d was not promoted", i)
			}
		}
		if fmt.Sprint(near.bulks) != "[50]" {
			t.Errorf("calls with %v keys; want one with 50", near.bulks)
		}
	})
}
