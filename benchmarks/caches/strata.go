package caches

import (
	"context"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/otterstore"
)

func strataMemory[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	tb.Helper()
	s, err := memstore.New(&memstore.Options{Capacity: cfg.Bytes})
	if err != nil {
		tb.Fatal(err)
	}
	return strata(tb, s, cfg)
}

func strataOtter[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	tb.Helper()
	s, err := otterstore.New(&otterstore.Options{Capacity: cfg.Bytes})
	if err != nil {
		tb.Fatal(err)
	}
	return strata(tb, s, cfg)
}

// strata is a chain of one tier, with a rule for the keys.
func strata[V any](tb testing.TB, memory interface {
	store.Store
	store.Statser
}, cfg *Config[V],
) *Cache[V] {
	tb.Helper()
	rules, err := policy.New(policy.Rule{Keys: policy.MustPattern("price:{symbol}"), TTL: TTL})
	if err != nil {
		tb.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}}, rules, nil)
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.Background()
	tb.Cleanup(func() { _ = c.Close(ctx) })
	cache := chain.NewCache[V](c, nil)
	return &Cache[V]{
		Get: func(key string) (V, bool) {
			v, err := cache.Get(ctx, key)
			return v, err == nil
		},
		Set:     func(key string, v V) error { return cache.Set(ctx, key, v) },
		Load:    func(key string) (V, error) { return cache.GetOrLoad(ctx, key, cfg.Loader) },
		Entries: func() int { return int(memory.Stats().Entries) },
	}
}
