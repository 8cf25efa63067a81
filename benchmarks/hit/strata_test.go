package hit

import (
	"context"
	"errors"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/otterstore"
)

// subjects are all caches that are measured, strata first.
func subjects[V any]() []subject[V] {
	return append([]subject[V]{{"strata", openStrata[V]}, {"strata-getorload", openStrataLoad[V]}, {"strata-otter", openStrataOtter[V]}}, peers[V]()...)
}

// newStrata returns a chain with a memory tier that holds all keys.
func newStrata[V any](tb testing.TB, value func(int) V) *chain.Cache[V] {
	tb.Helper()
	return fill(tb, chain.Opened(memstore.New(&memstore.Options{Capacity: 256 << 20})), value)
}

// fill puts all keys into a chain of one tier.
func fill[V any](tb testing.TB, memory chain.Tier, value func(int) V) *chain.Cache[V] {
	tb.Helper()
	rules, err := policy.New(policy.Rule{Keys: policy.MustPattern("price:{symbol}"), TTL: ttl})
	if err != nil {
		tb.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{memory.As("memory")}, rules, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	cache := chain.NewCache[V](c, nil)
	for i, k := range keys() {
		if err := cache.Set(context.Background(), k, value(i)); err != nil {
			tb.Fatal(err)
		}
	}
	return cache
}

func openStrata[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	return getter(newStrata(tb, value))
}

func openStrataOtter[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	return getter(fill(tb, chain.Opened(otterstore.New(&otterstore.Options{Capacity: 256 << 20})), value))
}

func getter[V any](c *chain.Cache[V]) func(string) (V, bool) {
	ctx := context.Background()
	return func(key string) (V, bool) {
		v, err := c.Get(ctx, key)
		return v, err == nil
	}
}

var errLoad = errors.New("nothing should have to be loaded")

func openStrataLoad[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	c := newStrata(tb, value)
	ctx := context.Background()
	load := func(context.Context, string) (v V, err error) { return v, errLoad }
	return func(key string) (V, bool) {
		v, err := c.GetOrLoad(ctx, key, load)
		return v, err == nil
	}
}

// TestHitAllocatesNothing: a hit costs no allocation, with and without a loader,
// whatever the value.
func TestHitAllocatesNothing(t *testing.T) {
	t.Run("string", func(t *testing.T) { checkAllocations(t, stringValue) })
	t.Run("struct64", func(t *testing.T) { checkAllocations(t, quoteValue) })
}

func checkAllocations[V any](t *testing.T, value func(int) V) {
	for _, s := range []subject[V]{{"get", openStrata[V]}, {"getorload", openStrataLoad[V]}} {
		get := s.open(t, value)
		k, i := keys(), 0
		n := testing.AllocsPerRun(10_000, func() {
			if _, ok := get(k[i%len(k)]); !ok {
				t.Error("a miss")
			}
			i++
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per hit", s.name, n)
		}
	}
}
