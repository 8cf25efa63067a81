package remote

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	redis_cache "github.com/go-redis/cache/v9"

	"github.com/stratacache/strata/benchmarks/turns"
	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/memstore"
)

// inTurns has each subject take its turns under a context that can be cancelled.
func inTurns(b *testing.B, callers int, subjects []subject) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all []turns.Subject
	for _, s := range subjects {
		all = append(all, turns.Subject{Name: s.name, Do: turns.Each(func(i int) error { return s.call(ctx, i) })})
	}
	turns.Run(b, callers, all)
}

func byCallers(b *testing.B, run func(b *testing.B, callers int)) {
	b.Helper()
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) { run(b, n) })
	}
}

// BenchmarkL2Hit is a value that Redis has and memory has not.
func BenchmarkL2Hit(b *testing.B) {
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			s := start(b)
			alone, both := s.l2Hits(b, size)
			b.Run("tiers=redis", func(b *testing.B) {
				byCallers(b, func(b *testing.B, callers int) { inTurns(b, callers, alone) })
			})
			b.Run("tiers=memory+redis", func(b *testing.B) {
				byCallers(b, func(b *testing.B, callers int) { inTurns(b, callers, both) })
			})
		})
	}
}

// l2Hits all read the same keys, each in the form that it writes itself: alone
// from Redis; behind memory, which is asked first and filled after, but holds nothing
// for longer than it takes to ask for the other keys.
func (s *setup) l2Hits(b *testing.B, size int) (alone, behind []subject) {
	b.Helper()
	ctx, text := context.Background(), strings.Repeat("x", size)
	grc := redis_cache.New(&redis_cache.Options{Redis: s.raw})
	local := redis_cache.New(&redis_cache.Options{Redis: s.raw, LocalCache: redis_cache.NewTinyLFU(10_000, briefly)})
	own, both := chain.NewCache[string](chainOf(b, s.remote, false), nil), chain.NewCache[string](chainOf(b, s.remote, true), nil)
	b.Cleanup(func() { _ = own.Chain().Close(ctx); _ = both.Chain().Close(ctx) })
	for _, k := range s.keys {
		for _, err := range []error{
			own.Set(ctx, k, text),
			grc.Set(&redis_cache.Item{Key: "grc:" + k, Value: text, TTL: ttl}),
			s.raw.Set(ctx, "raw:"+k, text, ttl).Err(),
		} {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	key := func(i int) string { return s.keys[i*7%len(s.keys)] }
	g, gc := cache.New[string](redis_store.NewRedis(s.raw)), s.emptyChain(b)
	throughGRC := func(c *redis_cache.Cache) func(ctx context.Context, i int) error {
		return func(ctx context.Context, i int) error {
			var v string
			err := c.Get(ctx, "grc:"+key(i), &v)
			return same(text)(v, err)
		}
	}
	alone = []subject{
		{"strata", func(ctx context.Context, i int) error { return same(text)(own.Get(ctx, key(i))) }},
		{"floor-go-redis", func(ctx context.Context, i int) error { return same(text)(s.raw.Get(ctx, "raw:"+key(i)).Result()) }},
		{"floor-rueidis", func(ctx context.Context, i int) error {
			return same(text)(s.rueidis.Do(ctx, s.rueidis.B().Get().Key("raw:"+key(i)).Build()).ToString())
		}},
		{"go-redis-cache", throughGRC(grc)},
		{"gocache", func(ctx context.Context, i int) error { return same(text)(g.Get(ctx, "raw:"+key(i))) }},
	}
	behind = []subject{
		{"strata", func(ctx context.Context, i int) error { return same(text)(both.Get(ctx, key(i))) }},
		{"go-redis-cache", throughGRC(local)},
		{"gocache", func(ctx context.Context, i int) error { return same(text)(gc.Get(ctx, "raw:"+key(i))) }},
	}
	return alone, behind
}

// same checks an answer.
func same(want string) func(got string, err error) error {
	return func(got string, err error) error {
		if err == nil && len(got) != len(want) {
			err = fmt.Errorf("%d bytes, want %d", len(got), len(want))
		}
		return err
	}
}

// emptyChain is gocache's chain with a memory that has no room, so that each read
// goes on to Redis.
func (s *setup) emptyChain(b *testing.B) *cache.ChainCache[string] {
	b.Helper()
	mem := must[*ristretto.Cache[string, string]](b)(ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 100, MaxCost: 1, BufferItems: 64,
	}))
	// The chain's goroutine, which nothing stops, panics where mem is closed.
	return cache.NewChain[string](
		cache.New[string](ristretto_store.NewRistretto(mem, lib_store.WithCost(2))),
		cache.New[string](redis_store.NewRedis(s.raw)))
}

// modesOfSet are the rules of BenchmarkSet.
var modesOfSet = []struct {
	name string
	rule policy.Rule
}{
	{"through", policy.Rule{Write: policy.WriteThrough}},
	{"back", policy.Rule{Write: policy.WriteBack}},
	{"back-durable", policy.Rule{Write: policy.WriteBack, Durable: true}},
	{"around", policy.Rule{Write: policy.WriteAround}},
}

// BenchmarkSet writes values of 1 KiB to memory and Redis, in every mode.
func BenchmarkSet(b *testing.B) {
	s := start(b)
	for _, m := range modesOfSet {
		b.Run("mode="+m.name, func(b *testing.B) {
			all := s.setsInMode(b, m.name, m.rule)
			byCallers(b, func(b *testing.B, callers int) { turns.Run(b, callers, all) })
		})
	}
}

// setsInMode are strata in one mode, and what the peers have for it. A peer's
// plain write through is in every list as the price of not having the mode.
func (s *setup) setsInMode(b *testing.B, mode string, rule policy.Rule) []turns.Subject {
	b.Helper()
	ctx, text := context.Background(), string(value)
	prefix := mode + ":"
	rule.Keys, rule.TTL = policy.MustPattern(mode+":k:{batch}:{number}"), ttl
	rules := must[*policy.Set](b)(policy.New(rule))
	mem := must[*memstore.Store](b)(memstore.New(nil))
	c := must[*chain.Chain](b)(chain.New([]chain.Tier{{Name: "memory", Store: mem}, {Name: "redis", Store: kept{s.remote}}},
		rules, &chain.Options{Pending: chain.PendingOptions{Journal: journalOf(b, rule.Durable), Interval: briefly}}))
	b.Cleanup(func() { _ = c.Close(ctx) })
	cache := chain.NewCache[string](c, nil)
	key := func(i int) string { return prefix + s.keys[i%len(s.keys)] }
	set := func(i int) error { return cache.Set(ctx, key(i), text) }
	all := []turns.Subject{{Name: "strata", Do: turns.Each(set), Settle: func() error { return c.Flush(ctx) }}}
	if rule.Write == policy.WriteBack {
		all = append(all, turns.Subject{Name: "strata-until-in-redis", Do: func(i, n int) error {
			if err := turns.Each(set)(i, n); err != nil {
				return err
			}
			return c.Flush(ctx)
		}})
	}
	return append(all, s.peersThatSet(b, key, text)...)
}

func journalOf(b *testing.B, durable bool) string {
	b.Helper()
	if !durable {
		return ""
	}
	return b.TempDir()
}

func (s *setup) peersThatSet(b *testing.B, key func(int) string, text string) []turns.Subject {
	b.Helper()
	ctx := context.Background()
	mem := must[*ristretto.Cache[string, string]](b)(ristretto.NewCache(&ristretto.Config[string, string]{
		NumCounters: 1e5, MaxCost: 64 << 20, BufferItems: 64,
	}))
	b.Cleanup(mem.Close)
	g := cache.NewChain[string](
		cache.New[string](ristretto_store.NewRistretto(mem, lib_store.WithCost(1024))),
		cache.New[string](redis_store.NewRedis(s.raw, lib_store.WithExpiration(ttl))))
	grc := redis_cache.New(&redis_cache.Options{Redis: s.raw, LocalCache: redis_cache.NewTinyLFU(10_000, ttl)})
	return []turns.Subject{
		{Name: "floor-go-redis", Do: turns.Each(func(i int) error { return s.raw.Set(ctx, key(i), text, ttl).Err() })},
		{Name: "floor-rueidis", Do: turns.Each(func(i int) error {
			return s.rueidis.Do(ctx, s.rueidis.B().Set().Key(key(i)).Value(text).Px(ttl).Build()).Error()
		})},
		{Name: "go-redis-cache", Do: turns.Each(func(i int) error {
			return grc.Set(&redis_cache.Item{Ctx: ctx, Key: key(i), Value: text, TTL: ttl})
		})},
		{Name: "gocache", Do: turns.Each(func(i int) error { return g.Set(ctx, key(i), text) })},
	}
}
