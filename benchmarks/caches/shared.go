package caches

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	gocache_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	redis_cache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/viccon/sturdyc"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// Lease is how long a process of strata's may hold the right to load a key.
const Lease = 5 * time.Second

// ErrAbsent is what Get of a Shared cache returns for a key that is not there.
var ErrAbsent = errors.New("absent")

// Shared is a cache in memory over one Redis that processes share.
type Shared struct {
	// Get and Set read and write through; nil where the library has none.
	Get func(ctx context.Context, key string) (string, error)
	Set func(ctx context.Context, key, value string) error
	// Load gets a value or loads it; nil where the library has none.
	Load func(ctx context.Context, key string) (string, error)
	// Flush waits for writes that are on their way to Redis; nil: there are none.
	Flush func(ctx context.Context) error
	Close func()
}

// SharedConfig says what a shared cache is to be like.
type SharedConfig struct {
	Addr    string // of Redis
	Entries int    // in memory
	Loader  func(ctx context.Context, key string) (string, error)
}

// SharedMaker is a kind of shared cache.
type SharedMaker struct {
	Name string
	Open func(cfg *SharedConfig) (*Shared, error)
}

// AllShared are the shared caches, strata first. Keys of strata's that begin with
// "price:" are written through, "back:" written back.
func AllShared() []SharedMaker {
	return []SharedMaker{
		{"strata", openSharedStrata},
		{"go-redis-cache", openSharedGoRedisCache},
		{"gocache", openSharedGocache},
		{"rueidis", openSharedRueidis},
		{"sturdyc", openSharedSturdyc},
	}
}

// openSharedStrata is told by a feed of what other processes write, and loads
// under a lease.
func openSharedStrata(cfg *SharedConfig) (*Shared, error) {
	memory, err := memstore.New(&memstore.Options{Capacity: int64(cfg.Entries) << 11})
	if err != nil {
		return nil, err
	}
	remote, err := redisstore.Connect(&redisstore.Config{Addrs: []string{cfg.Addr}}, &redisstore.Options{Prefix: "strata:"})
	if err != nil {
		return nil, err
	}
	feed, err := remote.Feed(nil)
	if err != nil {
		return nil, err
	}
	rules, err := policy.New(
		policy.Rule{Keys: policy.MustPattern("price:{symbol}"), TTL: TTL, Lease: Lease},
		policy.Rule{Keys: policy.MustPattern("back:{symbol}"), TTL: TTL, Write: policy.WriteBack},
	)
	if err != nil {
		return nil, err
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}, {Name: "redis", Store: remote, Shared: true}}, rules, &chain.Options{Feed: feed})
	if err != nil {
		return nil, err
	}
	v := chain.NewCache[string](c, nil)
	return &Shared{
		Get:   v.Get,
		Set:   func(ctx context.Context, key, value string) error { return v.Set(ctx, key, value) },
		Load:  func(ctx context.Context, key string) (string, error) { return v.GetOrLoad(ctx, key, cfg.Loader) },
		Flush: c.Flush,
		Close: func() { _ = c.Close(context.Background()) },
	}, nil
}

func goRedis(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
}

func openSharedGoRedisCache(cfg *SharedConfig) (*Shared, error) {
	client := goRedis(cfg.Addr)
	c := redis_cache.New(&redis_cache.Options{Redis: client, LocalCache: redis_cache.NewTinyLFU(cfg.Entries, TTL)})
	return &Shared{
		Get: func(ctx context.Context, key string) (v string, err error) {
			err = c.Get(ctx, "grc:"+key, &v)
			return v, err
		},
		Set: func(ctx context.Context, key, value string) error {
			return c.Set(&redis_cache.Item{Ctx: ctx, Key: "grc:" + key, Value: value, TTL: TTL})
		},
		Load: func(ctx context.Context, key string) (v string, err error) {
			err = c.Once(&redis_cache.Item{Ctx: ctx, Key: "grc:" + key, Value: &v, TTL: TTL, Do: func(*redis_cache.Item) (any, error) {
				return cfg.Loader(ctx, key)
			}})
			return v, err
		},
		Close: func() { _ = client.Close() },
	}, nil
}

func openSharedGocache(cfg *SharedConfig) (*Shared, error) {
	client := goRedis(cfg.Addr)
	memory, err := ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 10 * int64(cfg.Entries), MaxCost: int64(cfg.Entries), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	c := cache.NewChain[string](
		cache.New[string](ristretto_store.NewRistretto(memory, gocache_store.WithExpiration(TTL), gocache_store.WithCost(1))),
		cache.New[string](redis_store.NewRedis(client, gocache_store.WithExpiration(TTL))),
	)
	loadable := cache.NewLoadable(func(ctx context.Context, key any) (string, []gocache_store.Option, error) {
		v, err := cfg.Loader(ctx, strings.TrimPrefix(key.(string), "gc:"))
		return v, nil, err
	}, c)
	return &Shared{
		Get:  func(ctx context.Context, key string) (string, error) { return c.Get(ctx, "gc:"+key) },
		Set:  func(ctx context.Context, key, value string) error { return c.Set(ctx, "gc:"+key, value) },
		Load: func(ctx context.Context, key string) (string, error) { return loadable.Get(ctx, "gc:"+key) },
		// Its goroutine panics where memory is closed.
		Close: func() { _ = client.Close() },
	}, nil
}

// openSharedRueidis is rueidis with its client-side cache, which Redis tells of
// writes. It has no loader: that is the module rueidisaside.
func openSharedRueidis(cfg *SharedConfig) (*Shared, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{cfg.Addr}, CacheSizeEachConn: cfg.Entries << 11})
	if err != nil {
		return nil, err
	}
	return &Shared{
		Get: func(ctx context.Context, key string) (string, error) {
			return client.DoCache(ctx, client.B().Get().Key("ru:"+key).Cache(), TTL).ToString()
		},
		Set: func(ctx context.Context, key, value string) error {
			return client.Do(ctx, client.B().Set().Key("ru:"+key).Value(value).Px(TTL).Build()).Error()
		},
		Close: client.Close,
	}, nil
}

// openSharedSturdyc is sturdyc with Redis as its distributed storage, which it
// writes to from loads only.
func openSharedSturdyc(cfg *SharedConfig) (*Shared, error) {
	client := goRedis(cfg.Addr)
	c := sturdyc.New[string](cfg.Entries, 16, TTL, 10, sturdyc.WithNoContinuousEvictions(),
		sturdyc.WithDistributedStorage(storage{client}))
	return &Shared{
		Load: func(ctx context.Context, key string) (string, error) {
			return c.GetOrFetch(ctx, "st:"+key, func(ctx context.Context) (string, error) { return cfg.Loader(ctx, key) })
		},
		Close: func() { _ = client.Close() },
	}, nil
}

// storage is Redis as sturdyc's distributed storage.
type storage struct{ c *redis.Client }

func (s storage) Get(ctx context.Context, key string) ([]byte, bool) {
	b, err := s.c.Get(ctx, key).Bytes()
	return b, err == nil
}

func (s storage) Set(ctx context.Context, key string, value []byte) {
	s.c.Set(ctx, key, value, TTL)
}

func (s storage) GetBatch(ctx context.Context, keys []string) map[string][]byte {
	found := map[string][]byte{}
	values, err := s.c.MGet(ctx, keys...).Result()
	if err != nil {
		return found
	}
	for i, v := range values {
		if text, ok := v.(string); ok {
			found[keys[i]] = []byte(text)
		}
	}
	return found
}

func (s storage) SetBatch(ctx context.Context, records map[string][]byte) {
	_, _ = s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for k, v := range records {
			p.Set(ctx, k, v, TTL)
		}
		return nil
	})
}
