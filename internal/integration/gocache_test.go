package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/gocachestore"
	"github.com/stratacache/strata/store/redisstore"
)

// strataProgram opens what a program that uses strata has: a chain on one tier.
func strataProgram(t *testing.T, s store.Store, rules *policy.Set) *chain.Cache[string] {
	t.Helper()
	opts := &chain.Options{DefaultTTL: time.Hour}
	if r, ok := s.(*redisstore.Store); ok {
		feed, err := r.Feed(&redisstore.FeedOptions{Block: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		opts.Feed = feed
	}
	c, err := chain.New([]chain.Tier{{Name: "redis", Store: s, Shared: true}}, rules, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return chain.NewCache[string](c, nil)
}

func reads(t *testing.T, who string, get func() (string, error), want string) {
	t.Helper()
	v, err := get()
	gone := errors.Is(err, store.ErrNotFound) || errors.Is(err, lib_store.NotFound{})
	if want == "" && !gone || want != "" && (err != nil || v != want) {
		t.Errorf("%s reads %q, %v; want %q", who, v, err, want)
	}
}

// A program that uses gocache's API on a strata store, and one that uses strata,
// share keys and tags in one Redis: what either sets the other reads, and what
// either invalidates is gone for both.
func TestGocacheProgramOnStrataSharesKeysAndTags(t *testing.T) {
	srv, prefix, ctx := redistest.Shared(t), redistest.Prefix(), context.Background()
	ours := strataProgram(t, shared(t, srv.Addr, prefix), nil)
	behind := strataProgram(t, shared(t, srv.Addr, prefix), nil)
	theirs := cache.New[string](gocachestore.Wrap(behind.Chain().Store()))
	get := func(key string) (g, s func() (string, error)) {
		return func() (string, error) { return theirs.Get(ctx, key) }, func() (string, error) { return ours.Get(ctx, key) }
	}
	both := func(key, want string) {
		t.Helper()
		g, s := get(key)
		reads(t, "gocache", g, want)
		reads(t, "strata", s, want)
	}
	for _, invalidate := range []func() error{
		func() error { return theirs.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"tech"})) },
		func() error { return ours.Chain().InvalidateTags(ctx, "tech") },
	} {
		if err := theirs.Set(ctx, "info:AAPL", "apple", lib_store.WithTags([]string{"tech"})); err != nil {
			t.Fatal(err)
		}
		if err := ours.Set(ctx, "info:MSFT", "microsoft", chain.WriteOptions{Tags: []string{"tech"}}); err != nil {
			t.Fatal(err)
		}
		if err := ours.Set(ctx, "info:KO", "coke", chain.WriteOptions{Tags: []string{"drinks"}}); err != nil {
			t.Fatal(err)
		}
		both("info:AAPL", "apple")
		both("info:MSFT", "microsoft")
		if err := invalidate(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, 20*time.Second, "both have heard of the invalidation", func() bool {
			_, err1 := theirs.Get(ctx, "info:AAPL")
			_, err2 := ours.Get(ctx, "info:AAPL")
			return err1 != nil && err2 != nil
		})
		both("info:AAPL", "")
		both("info:MSFT", "")
		both("info:KO", "coke")
		// What two processes do within a millisecond is in no order: the invalidation would
		// cover a set by who has not heard of it yet.
		time.Sleep(2 * time.Millisecond)
	}
}

// A program that uses gocache with its own Redis store shares plain keys with one
// that uses strata, both ways; and the gocache store as a tier of strata puts its
// keys into gocache's tags, so that gocache's Invalidate removes them.
func TestGocacheProgramBesideStrata(t *testing.T) {
	srv, prefix, ctx := redistest.Shared(t), redistest.Prefix(), context.Background()
	client := srv.Client(t)
	theirs := cache.New[string](redis_store.NewRedis(client))
	rules, err := policy.Parse([]byte("rules: [{keys: 'plain:{id}', ttl: 1h, wire: plain}]"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := redisstore.Connect(&redisstore.Config{Addrs: []string{srv.Addr}}, &redisstore.Options{Prefix: prefix, Wire: rules})
	if err != nil {
		t.Fatal(err)
	}
	plain := strataProgram(t, s, rules)
	gocache := func() (string, error) { return theirs.Get(ctx, prefix+"plain:k") }
	strata := func() (string, error) { return plain.Get(ctx, "plain:k") }
	if err := plain.Set(ctx, "plain:k", "ours"); err != nil {
		t.Fatal(err)
	}
	reads(t, "gocache", gocache, "ours")
	if err := theirs.Set(ctx, prefix+"plain:k", "theirs", lib_store.WithExpiration(time.Hour)); err != nil {
		t.Fatal(err)
	}
	reads(t, "strata", strata, "theirs")
	if err := theirs.Delete(ctx, prefix+"plain:k"); err != nil {
		t.Fatal(err)
	}
	reads(t, "strata", strata, "")

	tier := gocachestore.TierWith(redis_store.NewRedis(client), &gocachestore.TierOptions{Prefix: prefix, NativeTags: true})
	tagged := strataProgram(t, tier, nil)
	if err := tagged.Set(ctx, "t:k", "ours", chain.WriteOptions{Tags: []string{prefix + "tag"}}); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Set(ctx, prefix+"t:l", "theirs", lib_store.WithExpiration(time.Hour), lib_store.WithTags([]string{prefix + "tag"})); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"t:k": "ours", "t:l": "theirs"} {
		reads(t, "strata", func() (string, error) { return tagged.Get(ctx, key) }, want)
	}
	if err := theirs.Invalidate(ctx, lib_store.WithInvalidateTags([]string{prefix + "tag"})); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"t:k", "t:l"} {
		reads(t, "strata", func() (string, error) { return tagged.Get(ctx, key) }, "")
	}
}
