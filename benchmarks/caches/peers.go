package caches

import (
	"context"
	"sync"
	"testing"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	gocache_store "github.com/eko/gocache/lib/v4/store"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	redis_cache "github.com/go-redis/cache/v9"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	"github.com/samber/hot"
	"github.com/viccon/sturdyc"
)

func newRistretto[V any](tb testing.TB, entries int) *ristretto.Cache[string, V] {
	tb.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, V]{
		NumCounters: 10 * int64(entries), // as its documentation advises
		MaxCost:     int64(entries),
		BufferItems: 64,
		// Cost is the number of entries here.
		IgnoreInternalCost: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func openRistretto[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	c := newRistretto[V](tb, cfg.Entries)
	tb.Cleanup(c.Close)
	return &Cache[V]{
		Get: c.Get,
		Set: func(key string, v V) error {
			c.SetWithTTL(key, v, 1, TTL)
			return nil
		},
		Sync: c.Wait,
	}
}

func openOtter[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	c, err := otter.New(&otter.Options[string, V]{
		MaximumSize:      cfg.Entries,
		ExpiryCalculator: otter.ExpiryWriting[string, V](TTL),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.StopAllGoroutines() })
	ctx, loader := context.Background(), otter.LoaderFunc[string, V](cfg.Loader)
	return &Cache[V]{
		Get: c.GetIfPresent,
		Set: func(key string, v V) error {
			c.Set(key, v)
			return nil
		},
		Load:    func(key string) (V, error) { return c.Get(ctx, key, loader) },
		Sync:    c.CleanUp,
		Entries: c.EstimatedSize,
	}
}

// openTheine opens theine twice: with a loader, its Get is that of the loader.
func openTheine[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	c, err := theine.NewBuilder[string, V](int64(cfg.Entries)).Build()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	open := sync.OnceValue(func() *theine.LoadingCache[string, V] {
		l, err := theine.NewBuilder[string, V](int64(cfg.Entries)).BuildWithLoader(func(ctx context.Context, key string) (theine.Loaded[V], error) {
			v, err := cfg.Loader(ctx, key)
			return theine.Loaded[V]{Value: v, Cost: 1, TTL: TTL}, err
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(l.Close)
		return l
	})
	ctx := context.Background()
	return &Cache[V]{
		Get: c.Get,
		Set: func(key string, v V) error {
			c.SetWithTTL(key, v, 1, TTL)
			return nil
		},
		Load:    func(key string) (V, error) { return open().Get(ctx, key) },
		Sync:    c.Wait,
		Entries: c.Len,
	}
}

// openHot opens hot with LRU, as the examples of its documentation do: with its TinyLFU
// policies it drops entries while there is room, and a full shard evicts while others
// have room.
func openHot[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	load := func(keys []string) (map[string]V, error) {
		found := make(map[string]V, len(keys))
		for _, key := range keys {
			v, err := cfg.Loader(context.Background(), key)
			if err != nil {
				return nil, err
			}
			found[key] = v
		}
		return found, nil
	}
	c := hot.NewHotCache[string, V](hot.LRU, cfg.Entries).
		WithTTL(TTL).
		Build()
	return &Cache[V]{
		Get: func(key string) (v V, ok bool) {
			v, ok, _ = c.Get(key)
			return v, ok
		},
		Set: func(key string, v V) error {
			c.Set(key, v)
			return nil
		},
		Load: func(key string) (V, error) {
			v, _, err := c.GetWithLoaders(key, load)
			return v, err
		},
		Entries: c.Len,
	}
}

func openTTLCache[V any](_ testing.TB, cfg *Config[V]) *Cache[V] {
	var failed sync.Map // its loader has no error to return
	load := ttlcache.LoaderFunc[string, V](func(c *ttlcache.Cache[string, V], key string) *ttlcache.Item[string, V] {
		v, err := cfg.Loader(context.Background(), key)
		if err != nil {
			failed.Store(key, err)
			return nil
		}
		return c.Set(key, v, TTL)
	})
	c := ttlcache.New(
		ttlcache.WithCapacity[string, V](uint64(cfg.Entries)),
		ttlcache.WithTTL[string, V](TTL),
		ttlcache.WithDisableTouchOnHit[string, V](), // the TTL counts from the write, as everywhere
	)
	// One load a key: without it each reader loads.
	loader := ttlcache.WithLoader[string, V](ttlcache.NewSuppressedLoader[string, V](load, nil))
	return &Cache[V]{
		Get: func(key string) (v V, ok bool) {
			if it := c.Get(key); it != nil {
				return it.Value(), true
			}
			return v, false
		},
		Set: func(key string, v V) error {
			c.Set(key, v, TTL)
			return nil
		},
		Load: func(key string) (v V, err error) {
			if it := c.Get(key, loader); it != nil {
				return it.Value(), nil
			}
			if e, ok := failed.LoadAndDelete(key); ok {
				err = e.(error)
			}
			return v, err
		},
		Entries: c.Len,
	}
}

func openSturdyc[V any](_ testing.TB, cfg *Config[V]) *Cache[V] {
	// No continuous evictions: that goroutine has no way to be stopped.
	c := sturdyc.New[V](cfg.Entries, 64, TTL, 10, sturdyc.WithNoContinuousEvictions())
	ctx := context.Background()
	return &Cache[V]{
		Get: c.Get,
		Set: func(key string, v V) error {
			c.Set(key, v)
			return nil
		},
		Load: func(key string) (V, error) {
			return c.GetOrFetch(ctx, key, func(ctx context.Context) (V, error) { return cfg.Loader(ctx, key) })
		},
		Entries: c.Size,
	}
}

// openGoRedisCache opens the local part of go-redis/cache: without Redis it keeps
// values encoded, as it does always.
func openGoRedisCache[V any](_ testing.TB, cfg *Config[V]) *Cache[V] {
	c := redis_cache.New(&redis_cache.Options{LocalCache: redis_cache.NewTinyLFU(cfg.Entries, TTL)})
	ctx := context.Background()
	return &Cache[V]{
		Get: func(key string) (v V, ok bool) {
			err := c.Get(ctx, key, &v)
			return v, err == nil
		},
		Set: func(key string, v V) error { return c.Set(&redis_cache.Item{Key: key, Value: v, TTL: TTL}) },
		Load: func(key string) (v V, err error) {
			err = c.Once(&redis_cache.Item{Key: key, Value: &v, TTL: TTL, Do: func(*redis_cache.Item) (any, error) {
				return cfg.Loader(ctx, key)
			}})
			return v, err
		},
	}
}

// openGocache opens gocache's chain over two ristretto stores, and its loadable
// over that chain.
func openGocache[V any](tb testing.TB, cfg *Config[V]) *Cache[V] {
	tier := func() (*ristretto.Cache[string, V], cache.SetterCacheInterface[V]) {
		r := newRistretto[V](tb, cfg.Entries)
		return r, cache.New[V](ristretto_store.NewRistretto(r,
			gocache_store.WithExpiration(TTL), gocache_store.WithCost(1)))
	}
	near, first := tier()
	far, second := tier()
	// The goroutines of the chain and of the loadable have no way to be stopped, and
	// panic where a store that they fill is closed: it stays open.
	c := cache.NewChain(first, second)
	ctx := context.Background()
	loadable := cache.NewLoadable(func(ctx context.Context, key any) (V, []gocache_store.Option, error) {
		v, err := cfg.Loader(ctx, key.(string))
		return v, nil, err
	}, c)
	return &Cache[V]{
		Get: func(key string) (V, bool) {
			v, err := c.Get(ctx, key)
			return v, err == nil
		},
		Set:  func(key string, v V) error { return c.Set(ctx, key, v) },
		Load: func(key string) (V, error) { return loadable.Get(ctx, key) },
		Sync: func() { near.Wait(); far.Wait() },
	}
}
