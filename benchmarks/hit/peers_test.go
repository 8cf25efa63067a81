package hit

import (
	"context"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	gocache_store "github.com/eko/gocache/lib/v4/store"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	redis_cache "github.com/go-redis/cache/v9"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"
)

// ttl is that of every entry.
const ttl = time.Hour

// subject is a cache that is measured.
type subject[V any] struct {
	name string
	// open returns the get of a cache that holds all keys.
	open func(tb testing.TB, value func(i int) V) (get func(key string) (V, bool))
}

// peers are the caches that strata is compared with.
func peers[V any]() []subject[V] {
	return []subject[V]{
		{"ristretto-ttl", func(tb testing.TB, value func(int) V) func(string) (V, bool) {
			return openRistretto(tb, value, ttl)
		}},
		{"ristretto", func(tb testing.TB, value func(int) V) func(string) (V, bool) {
			return openRistretto(tb, value, 0)
		}},
		{"ristretto-object", openRistrettoObject[V]},
		{"otter", openOtter[V]},
		{"sturdyc", openSturdyc[V]},
		{"go-redis-cache", openGoRedisCache[V]},
		{"gocache", openGocache[V]},
	}
}

func newRistretto[V any](tb testing.TB) *ristretto.Cache[string, V] {
	tb.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, V]{
		NumCounters: 10 * int64(keyCount()), // as its documentation advises
		MaxCost:     4 * int64(keyCount()),
		BufferItems: 64,
		// Cost is the number of entries here.
		IgnoreInternalCost: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// fillRistretto sets every key. Ristretto drops sets in a burst, so each is
// waited for and repeated until it is there.
func fillRistretto[V any](c *ristretto.Cache[string, V], value func(int) V, ttl time.Duration) {
	for i, k := range keys() {
		for {
			c.SetWithTTL(k, value(i), 1, ttl)
			c.Wait()
			if _, ok := c.Get(k); ok {
				break
			}
		}
	}
}

func openRistretto[V any](tb testing.TB, value func(int) V, ttl time.Duration) func(string) (V, bool) {
	c := newRistretto[V](tb)
	fillRistretto(c, value, ttl)
	return c.Get
}

// object is about what a chain keeps in memory for a value.
type object[V any] struct {
	hot   int64
	_     uint64
	value V
	_     [5]int64
}

// openRistrettoObject is the floor of what strata does on this engine: ristretto
// without a TTL, and behind its any an object with a deadline, which the reader has
// to look into.
func openRistrettoObject[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	c := newRistretto[any](tb)
	fillRistretto(c, func(i int) any { return &object[V]{hot: 1, value: value(i)} }, 0)
	return func(key string) (v V, ok bool) {
		x, ok := c.Get(key)
		if !ok {
			return v, false
		}
		o, ok := x.(*object[V])
		if !ok || o.hot == 0 {
			return v, false
		}
		return o.value, true
	}
}

func openOtter[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	c, err := otter.New(&otter.Options[string, V]{
		MaximumSize:      4 * keyCount(),
		ExpiryCalculator: otter.ExpiryWriting[string, V](ttl),
	})
	if err != nil {
		tb.Fatal(err)
	}
	for i, k := range keys() {
		c.Set(k, value(i))
	}
	tb.Cleanup(func() { c.StopAllGoroutines() })
	return c.GetIfPresent
}

func openSturdyc[V any](_ testing.TB, value func(int) V) func(string) (V, bool) {
	// No continuous evictions: that goroutine has no way to be stopped.
	c := sturdyc.New[V](4*keyCount(), 64, ttl, 10, sturdyc.WithNoContinuousEvictions())
	for i, k := range keys() {
		c.Set(k, value(i))
	}
	return c.Get
}

// openGoRedisCache opens the local part of go-redis/cache. A hit there never
// reaches Redis, so there is none; values are kept encoded, as it does always.
func openGoRedisCache[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	c := redis_cache.New(&redis_cache.Options{LocalCache: redis_cache.NewTinyLFU(4*keyCount(), ttl)})
	for i, k := range keys() {
		if err := c.Set(&redis_cache.Item{Key: k, Value: value(i), TTL: ttl}); err != nil {
			tb.Fatal(err)
		}
	}
	ctx := context.Background()
	return func(key string) (v V, ok bool) {
		err := c.Get(ctx, key, &v)
		return v, err == nil
	}
}

// openGocache opens gocache's chain over two ristretto stores; every read finds
// its key in the first.
func openGocache[V any](tb testing.TB, value func(int) V) func(string) (V, bool) {
	tier := func() (*ristretto.Cache[string, V], cache.SetterCacheInterface[V]) {
		r := newRistretto[V](tb)
		return r, cache.New[V](ristretto_store.NewRistretto(r,
			gocache_store.WithExpiration(ttl), gocache_store.WithCost(1)))
	}
	first, near := tier()
	_, far := tier()
	fillRistretto(first, value, ttl)
	// The chain's goroutine has no way to be stopped.
	c := cache.NewChain(near, far)
	ctx := context.Background()
	return func(key string) (V, bool) {
		v, err := c.Get(ctx, key)
		return v, err == nil
	}
}
