// Package caches opens strata's memory tier and other libraries' caches in the
// same way, for the workloads that are about memory alone.
//
// Every cache is bounded, has a TTL of an hour for every entry, and gives its
// values out as they were put in. What a library does not do is nil here, and the
// workload leaves the library out: ristretto has no loader.
package caches

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TTL is that of every entry.
const TTL = time.Hour

// Config says what a cache is to be like.
type Config[V any] struct {
	// Entries is how many it may hold.
	Entries int
	// Bytes is the same for caches that count bytes.
	Bytes int64
	// Loader is called for what is not there.
	Loader func(ctx context.Context, key string) (V, error)
}

// Cache is a cache that is open.
type Cache[V any] struct {
	Get func(key string) (V, bool)
	Set func(key string, v V) error
	// Load gets a value, or has Config.Loader load it; nil where the library has
	// nothing of the kind.
	Load func(key string) (V, error)
	// Sync waits until what was set can be read, where the library defers that.
	Sync func()
	// Entries says how many are held; nil where the library does not.
	Entries func() int
}

// Maker is a kind of cache.
type Maker[V any] struct {
	Name string
	Open func(tb testing.TB, cfg *Config[V]) *Cache[V]
}

// All are the caches, strata first.
func All[V any]() []Maker[V] {
	return []Maker[V]{
		{"strata", strataMemory[V]},
		{"strata-otter", strataOtter[V]},
		{"ristretto", openRistretto[V]},
		{"otter", openOtter[V]},
		{"theine", openTheine[V]},
		{"hot", openHot[V]},
		{"ttlcache", openTTLCache[V]},
		{"sturdyc", openSturdyc[V]},
		{"go-redis-cache", openGoRedisCache[V]},
		{"gocache", openGocache[V]},
	}
}

// fillPasses bounds how often a value that is not admitted is set again.
const fillPasses = 100

// Fill sets all keys and waits until each is there: some caches drop sets that
// come too fast.
func Fill[V any](tb testing.TB, c *Cache[V], keys []string, value func(i int) V) {
	tb.Helper()
	missing := make([]int, len(keys))
	for i := range keys {
		missing[i] = i
	}
	for pass := 0; len(missing) > 0; pass++ {
		if pass == fillPasses {
			tb.Fatalf("%d of %d keys are not there after %d passes", len(missing), len(keys), pass)
		}
		for n, i := range missing {
			if err := c.Set(keys[i], value(i)); err != nil {
				tb.Fatal(err)
			}
			if n%1000 == 999 {
				c.sync()
			}
		}
		c.sync()
		var left []int
		for _, i := range missing {
			if _, ok := c.Get(keys[i]); !ok {
				left = append(left, i)
			}
		}
		missing = left
	}
}

func (c *Cache[V]) sync() {
	if c.Sync != nil {
		c.Sync()
	}
}

// Keys are like those of a real program: a prefix and a varying part.
func Keys(n int) []string {
	k := make([]string, n)
	for i := range k {
		k[i] = fmt.Sprintf("price:SYM%06d", i)
	}
	return k
}
