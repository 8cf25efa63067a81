package chain_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
)

// newExample returns a chain of memory only. In front of Redis or the disk, it
// would have more tiers, nearest first.
func newExample() *chain.Chain {
	memory, err := memstore.New(nil)
	if err != nil {
		panic(err)
	}
	rules, err := policy.Parse([]byte(`
rules:
  - {keys: "price:{symbol}", ttl: 5m, jitter: 0.1, stale_if_error: 1h, negative_ttl: 10s}
`))
	if err != nil {
		panic(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}}, rules, nil)
	if err != nil {
		panic(err)
	}
	return c
}

func ExampleNew() {
	memory, err := memstore.New(&memstore.Options{Capacity: 16 << 20})
	if err != nil {
		panic(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}}, policy.MarketData(), nil)
	fmt.Println(c != nil, err)
	// The market data rules name tiers of their own choice only where they must.
	if c != nil {
		fmt.Println(c.Close(context.Background()))
	}
	// Output:
	// true <nil>
	// <nil>
}

func ExampleNewCache() {
	c, ctx := newExample(), context.Background()
	defer c.Close(ctx)
	prices := chain.NewCache[float64](c, nil)
	if err := prices.Set(ctx, "price:AAPL", 191.25); err != nil {
		panic(err)
	}
	fmt.Println(prices.Get(ctx, "price:AAPL"))
	_, err := prices.Get(ctx, "price:MSFT")
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	// 191.25 <nil>
	// true
}

func ExampleCache_GetOrLoad() {
	c, ctx := newExample(), context.Background()
	defer c.Close(ctx)
	prices := chain.NewCache[float64](c, nil)
	load := func(_ context.Context, key string) (float64, error) {
		fmt.Println("asking the exchange for", key)
		return 191.25, nil
	}
	for range 2 {
		fmt.Println(prices.GetOrLoad(ctx, "price:AAPL", load))
	}
	// Output:
	// asking the exchange for price:AAPL
	// 191.25 <nil>
	// 191.25 <nil>
}

func ExampleCache_Fetch() {
	c, ctx := newExample(), context.Background()
	defer c.Close(ctx)
	pages := chain.NewCache[string](c, nil)
	v, err := pages.Fetch(ctx, "page", func(_ context.Context, r chain.Request[string]) (chain.Loaded[string], error) {
		if r.HasStale { // ask the origin whether it has changed since r.Written
			return chain.Loaded[string]{NotModified: true}, nil
		}
		return chain.Loaded[string]{
			Value:        "<html>",
			WriteOptions: chain.WriteOptions{TTL: 30 * time.Second, Tags: []string{"site"}},
		}, nil
	})
	fmt.Println(v, err)
	fmt.Println(c.InvalidateTags(ctx, "site"))
	_, err = pages.Get(ctx, "page")
	fmt.Println(err)
	// Output:
	// <html> <nil>
	// <nil>
	// strata: not found
}

func ExampleCache_GetOrLoadMany() {
	c, ctx := newExample(), context.Background()
	defer c.Close(ctx)
	prices := chain.NewCache[float64](c, nil)
	if err := prices.Set(ctx, "price:AAPL", 191.25); err != nil {
		panic(err)
	}
	r, err := prices.GetOrLoadMany(ctx, []string{"price:AAPL", "price:MSFT", "price:NONE"},
		func(_ context.Context, missing []string) (map[string]float64, error) {
			fmt.Println("loading", len(missing))
			return map[string]float64{"price:MSFT": 402.5}, nil
		})
	fmt.Println(r["price:AAPL"].Value, r["price:MSFT"].Value, r["price:NONE"].Err, err)
	// Output:
	// loading 2
	// 191.25 402.5 strata: not found <nil>
}
