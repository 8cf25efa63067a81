package gocachestore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/gocachestore"
	"github.com/stratacache/strata/store/redisstore"
)

// A program that uses gocache gets its values from a strata store: here Redis,
// shared with strata programs, under one prefix that Clear keeps to.
func ExampleWrap() {
	tier, err := redisstore.Open("redis://localhost:6379/0", &redisstore.Options{Prefix: "bot:"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tier.Close() }()

	prices := cache.New[string](gocachestore.Wrap(tier))
	ctx := context.Background()
	err = prices.Set(ctx, "price:AAPL", "123.45",
		lib_store.WithExpiration(400*time.Millisecond), lib_store.WithTags([]string{"market:us"}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := prices.Get(ctx, "price:MSFT"); errors.Is(err, store.ErrNotFound) {
		fmt.Println("not cached")
	}
}

// A gocache store becomes a tier, with deadlines, versions and tags.
func ExampleTier() {
	client, err := ristretto.NewCache(&ristretto.Config[string, []byte]{NumCounters: 1e4, MaxCost: 1 << 20, BufferItems: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	tier := gocachestore.Tier(ristretto_store.NewRistretto(client))
	ctx := context.Background()
	err = tier.Set(ctx, "price:AAPL", store.Entry{Value: []byte("123.45"), Version: 7, Tags: []string{"market:us"}})
	if err != nil {
		log.Fatal(err)
	}
	e, err := tier.Get(ctx, "price:AAPL")
	fmt.Println(string(e.Value), e.Version, e.Tags, err)
	// Output: 123.45 7 [market:us] <nil>
}
