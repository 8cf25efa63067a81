package gocachestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/codec"
	"github.com/eko/gocache/lib/v4/marshaler"
	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// chainOf returns a strata chain that ends with the test.
func chainOf(t testing.TB, rules string, tiers ...chain.Tier) *chain.Chain {
	t.Helper()
	c, err := chain.New(tiers, policy.MustParse(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// meter is a gocache metrics provider.
type meter struct {
	mu   sync.Mutex
	seen map[string]codec.Stats // by type of store
}

func (m *meter) RecordFromCodec(c codec.CodecInterface) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[c.GetStore().GetType()] = *c.GetStats()
}

func TestWrapUnderGocachesMetric(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		m := &meter{seen: map[string]codec.Stats{}}
		c := cache.NewMetric[string](m, cache.New[string](Wrap(s)))
		noErr(t, c.Set(ctx, "k", "v"))
		for _, key := range []string{"k", "k", "absent"} {
			_, _ = c.Get(ctx, key)
		}
		noErr(t, c.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"none"})))
		noErr(t, c.Delete(ctx, "k"))
		_, _ = c.Get(ctx, "k")
		st := m.seen[StrataType]
		if st.Hits != 2 || st.Miss != 2 || st.SetSuccess != 1 || st.DeleteSuccess != 1 || st.InvalidateSuccess != 1 || st.SetError != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A strata chain is a store of gocache: its rules give the times to live, its
// tiers are filled, and it invalidates tags itself.
func TestChainUnderGocachesCaches(t *testing.T) {
	near, far := mapstore.New(), mapstore.New()
	c := chainOf(t, `rules: [{keys: "price:{symbol}", ttl: 5m}, {keys: "doc:{id}", ttl: 1h}]`,
		chain.Tier{Name: "near", Store: near}, chain.Tier{Name: "far", Store: far})
	g := Wrap(c.Store())
	prices := cache.New[string](g)
	noErr(t, prices.Set(ctx, "price:AAPL", "123.45", lib_store.WithTags([]string{"us"})))
	noErr(t, prices.Set(ctx, "price:SAP", "200"))
	for name, s := range map[string]*mapstore.Store{"near": near, "far": far} {
		e, ok := s.Peek("price:AAPL")
		if left := time.Until(e.Expires); !ok || string(e.Value) != "123.45" || left > 5*time.Minute || left < 4*time.Minute {
			t.Errorf("%s tier: %q with %v left", name, e.Value, left)
		}
	}
	noErr(t, near.Delete(ctx, "price:SAP"))
	if v, err := prices.Get(ctx, "price:SAP"); err != nil || v != "200" {
		t.Errorf("from the far tier: %q, %v", v, err)
	}
	noErr(t, prices.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"us"})))
	if _, err := prices.Get(ctx, "price:AAPL"); !errors.Is(err, lib_store.NotFound{}) {
		t.Errorf("after an invalidation: %v", err)
	}
	m := marshaler.New(cache.New[any](g))
	noErr(t, m.Set(ctx, "doc:1", map[string]int{"a": 1}, lib_store.WithExpiration(time.Minute)))
	var doc map[string]int
	if _, err := m.Get(ctx, "doc:1", &doc); err != nil || doc["a"] != 1 {
		t.Errorf("%v, %v", doc, err)
	}
	if _, left, err := g.GetWithTTL(ctx, "doc:1"); err != nil || left <= 0 || left > time.Minute {
		t.Errorf("an expiration of a minute under a rule of an hour: %v, %v", left, err)
	}
}

// A gocache store is a tier of a strata chain: what its own caches get wrong
// across two levels, a chain over it does not.
func TestGocacheStoreInAChain(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"redis": func(t *testing.T) store.Store {
			g, _ := gocacheRedis(t)
			return TierWith(g, &TierOptions{Prefix: redistest.Prefix()})
		},
		"ristretto": func(t *testing.T) store.Store { return Tier(gocacheRistretto[[]byte](t)) },
	} {
		t.Run(name, func(t *testing.T) {
			far := open(t)
			deadline := time.Now().Add(40 * time.Second)
			noErr(t, far.Set(ctx, "n:soon", store.Entry{Value: []byte("1"), Expires: deadline, Codec: "text"}))
			noErr(t, far.Set(ctx, "n:ever", store.Entry{Value: []byte("2"), Codec: "text"}))
			near := mapstore.New()
			c := chainOf(t, `rules: [{keys: "n:{id}", ttl: never}]`, chain.Tier{Name: "near", Store: near}, chain.Tier{Name: "far", Store: far})
			numbers := chain.NewCache[int](c, nil)
			for key, want := range map[string]int{"n:soon": 1, "n:ever": 2} {
				if v, err := numbers.Get(ctx, key); err != nil || v != want {
					t.Fatalf("%s = %d, %v", key, v, err)
				}
			}
			noErr(t, c.Flush(ctx))
			if e, ok := near.Peek("n:soon"); !ok || e.Expires.Sub(deadline).Abs() > time.Millisecond {
				t.Errorf("40 s were promoted as %v, %v", time.Until(e.Expires), ok)
			}
			if e, ok := near.Peek("n:ever"); !ok || !e.Expires.IsZero() {
				t.Errorf("no expiry was promoted as %v, %v", e.Expires, ok)
			}
			// Another type is no zero value: it is a miss that is loaded anew.
			noErr(t, far.Set(ctx, "n:text", store.Entry{Value: []byte("no number"), Codec: "text"}))
			v, err := numbers.GetOrLoad(ctx, "n:text", func(context.Context, string) (int, error) { return 7, nil })
			if err != nil || v != 7 {
				t.Errorf("a value of another type: %d, %v", v, err)
			}
			noErr(t, numbers.Set(ctx, "n:tagged", 3, chain.WriteOptions{Tags: []string{"t"}}))
			noErr(t, c.InvalidateTags(ctx, "t"))
			noErr(t, near.Delete(ctx, "n:tagged"))
			if v, err := numbers.Get(ctx, "n:tagged"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after its tag was invalidated: %d, %v", v, err)
			}
		})
	}
}

// gocache's chain never promotes a Redis key without a time to live when both
// levels are its own stores; with strata's below, it does.
func TestWrapPromotesPersistentKeysOfRedis(t *testing.T) {
	s, prefix := strataRedis(t)
	_, client := gocacheRedis(t)
	noErr(t, client.Set(ctx, prefix+"ever", "v", 0).Err())
	noErr(t, client.Set(ctx, prefix+"soon", "v", 900*time.Millisecond).Err())
	upper := Wrap(mapstore.New())
	c := cache.NewChain[string](cache.New[string](upper), cache.New[string](Wrap(s)))
	for _, key := range []string{"ever", "soon"} {
		if v, err := c.Get(ctx, key); err != nil || v != "v" {
			t.Fatalf("%s = %q, %v", key, v, err)
		}
	}
	promoted := func(key string) (left time.Duration) {
		redistest.Eventually(t, 10*time.Second, key+" is promoted, or over", func() bool {
			_, d, err := upper.GetWithTTL(ctx, key) // the chain fills in the background
			left = d
			return err == nil || key == "soon" && client.Exists(ctx, prefix+key).Val() == 0
		})
		return left
	}
	if left := promoted("soon"); left < 0 || left > 900*time.Millisecond {
		t.Errorf("900 ms were promoted as %v", left)
	}
	if left := promoted("ever"); left != 0 {
		t.Errorf("no expiry was promoted as %v", left)
	}
}

// A loadable cache over a chain: 100 callers, one value, and an error that is no
// miss.
func TestLoadableOverAChain(t *testing.T) {
	c := chainOf(t, `rules: [{keys: "k:{id}", ttl: 1m}]`, chain.Tier{Name: "map", Store: mapstore.New()})
	errDown := errors.New("the API is down")
	l := cache.NewLoadable(func(_ context.Context, key any) (string, []lib_store.Option, error) {
		if key == "k:bad" {
			return "", nil, errDown
		}
		return fmt.Sprint("loaded ", key), []lib_store.Option{lib_store.WithExpiration(30 * time.Second)}, nil
	}, cache.New[string](Wrap(c.Store())))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if v, err := l.Get(ctx, "k:1"); err != nil || v != "loaded k:1" {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
	wg.Wait()
	if _, err := l.Get(ctx, "k:bad"); !errors.Is(err, errDown) {
		t.Errorf("a load that fails: %v", err)
	}
	noErr(t, l.Close())
	if v, err := chain.NewCache[string](c, nil).Get(ctx, "k:1"); err != nil || v != "loaded k:1" {
		t.Errorf("a typed cache of the chain reads %q, %v", v, err)
	}
}
