package remote

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	redis_cache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m).Run()) }

// Each batch has its own keys, and what a chain has in memory of them has expired
// when they come round again.
const (
	batches   = 40
	batchSize = 100
	ttl       = time.Hour
	briefly   = time.Millisecond
)

var value = make([]byte, 1024)

// subject is one way of doing an operation: call does it for the i-th time.
type subject struct {
	name string
	call func(ctx context.Context, i int) error
}

func must[T any](b *testing.B) func(v T, err error) T {
	return func(v T, err error) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

// setup is what the subjects share: one server, and a client of each kind.
type setup struct {
	address  string
	raw      *redis.Client
	rueidis  rueidis.Client
	remote   *redisstore.Store
	ordered  *redisstore.Store
	keys     []string
	everyKey [][]string
}

func start(b *testing.B) *setup {
	b.Helper()
	addr := redistest.Start(b).Addr
	cfg := &redisstore.Config{Addrs: []string{addr}}
	client := must[redis.UniversalClient](b)(redisstore.NewClient(cfg))
	s := &setup{
		address: addr,
		raw:     client.(*redis.Client),
		rueidis: must[rueidis.Client](b)(rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})),
		remote:  must[*redisstore.Store](b)(redisstore.New(client, nil)),
		ordered: must[*redisstore.Store](b)(redisstore.New(client, &redisstore.Options{NewestWins: true})),
	}
	b.Cleanup(func() { s.rueidis.Close(); _ = client.Close() })
	ctx := context.Background()
	e := store.Entry{Value: value, Version: 1, Expires: time.Now().Add(ttl)}
	for i := range batches {
		var keys []string
		for j := range batchSize {
			keys = append(keys, fmt.Sprintf("k:%d:%d", i, j))
			if err := s.remote.Set(ctx, keys[j], e); err != nil {
				b.Fatal(err)
			}
		}
		s.everyKey = append(s.everyKey, keys)
		s.keys = append(s.keys, keys...)
	}
	for _, name := range []string{"raw", "gocache"} {
		if err := client.Set(ctx, name, value, ttl).Err(); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// chainOf opens a chain, with a memory of its own where asked for, on the remote
// store, which stays open.
func chainOf(b *testing.B, remote store.Store, memory bool) *chain.Chain {
	b.Helper()
	tiers := []chain.Tier{{Name: "redis", Store: kept{remote}}}
	if memory {
		m := must[*memstore.Store](b)(memstore.New(nil))
		tiers = append([]chain.Tier{{Name: "memory", Store: m, TTL: briefly}}, tiers...)
	}
	return must[*chain.Chain](b)(chain.New(tiers, nil, &chain.Options{DefaultTTL: ttl}))
}

// kept is a store that does not close with its chain.
type kept struct{ store.Store }

func (kept) Close() error { return nil }

// What the chain would lose by the wrapping: GetMany, GetEach, Fill, and the promise of
// Interruptible.
func (kept) Interruptible() {}

func (k kept) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	return store.GetMany(ctx, k.Store, keys)
}

// GetEach is of redisstore.
func (k kept) GetEach(ctx context.Context, keys []string, answers []store.Answer) error {
	return store.GetEach(ctx, k.Store, keys, answers)
}

func (k kept) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	return store.Fill(ctx, k.Store, key, e)
}

func (s *setup) hits(b *testing.B) []subject {
	c := chain.NewCache[[]byte](chainOf(b, s.remote, false), nil)
	b.Cleanup(func() { _ = c.Chain().Close(context.Background()) })
	grc := redis_cache.New(&redis_cache.Options{Redis: s.raw})
	if err := grc.Set(&redis_cache.Item{Key: "grc", Value: value, TTL: ttl}); err != nil {
		b.Fatal(err)
	}
	return []subject{
		{"go-redis", func(ctx context.Context, _ int) error { return s.raw.Get(ctx, "raw").Err() }},
		{"strata-store", func(ctx context.Context, i int) error {
			_, err := s.remote.Get(ctx, s.keys[i%len(s.keys)])
			return err
		}},
		{"strata-chain", func(ctx context.Context, i int) error {
			_, err := c.Get(ctx, s.keys[i%len(s.keys)])
			return err
		}},
		{"strata-chain-uncancellable", func(_ context.Context, i int) error {
			_, err := c.Get(context.Background(), s.keys[i%len(s.keys)])
			return err
		}},
		{"rueidis", func(ctx context.Context, _ int) error {
			_, err := s.rueidis.Do(ctx, s.rueidis.B().Get().Key("raw").Build()).AsBytes()
			return err
		}},
		{"go-redis-cache", func(ctx context.Context, _ int) error {
			var v []byte
			return grc.Get(ctx, "grc", &v)
		}},
		{"gocache", func() func(ctx context.Context, _ int) error {
			g := cache.New[string](redis_store.NewRedis(s.raw))
			return func(ctx context.Context, _ int) error {
				_, err := g.Get(ctx, "gocache")
				return err
			}
		}()},
	}
}

func (s *setup) sets(b *testing.B) []subject {
	through := func(name string, remote store.Store) subject {
		c := chain.NewCache[[]byte](chainOf(b, remote, true), nil)
		b.Cleanup(func() { _ = c.Chain().Close(context.Background()) })
		return subject{name, func(ctx context.Context, i int) error { return c.Set(ctx, s.keys[i%len(s.keys)], value) }}
	}
	mem := must[*ristretto.Cache[string, string]](b)(ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 1e5, MaxCost: 64 << 20, BufferItems: 64,
	}))
	b.Cleanup(mem.Close)
	text := string(value)
	g := cache.NewChain[string](
		cache.New[string](ristretto_store.NewRistretto(mem, lib_store.WithCost(1024))),
		cache.New[string](redis_store.NewRedis(s.raw, lib_store.WithExpiration(ttl))),
	)
	return []subject{
		{"go-redis", func(ctx context.Context, i int) error { return s.raw.Set(ctx, s.keys[i%len(s.keys)], value, ttl).Err() }},
		through("strata-chain", s.remote),
		through("strata-ordered", s.ordered),
		{"rueidis", func(ctx context.Context, i int) error {
			return s.rueidis.Do(ctx, s.rueidis.B().Set().Key(s.keys[i%len(s.keys)]).Value(text).Px(ttl).Build()).Error()
		}},
		{"gocache", func(ctx context.Context, i int) error { return g.Set(ctx, s.keys[i%len(s.keys)], text) }},
	}
}
