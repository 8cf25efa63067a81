package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// deaf is a chain that shares Redis and is told nothing by other processes, as one
// whose connection is slow.
func deaf(t *testing.T, addr, prefix string) *chain.Chain {
	t.Helper()
	rules, err := policy.Parse([]byte("rules: [{keys: 'plain:{id}', ttl: 1h, wire: plain}, {keys: 'around:{id}', ttl: 1h, write: around}]"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := redisstore.Connect(&redisstore.Config{Addrs: []string{addr}}, &redisstore.Options{Prefix: prefix, Wire: rules, NewestWins: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{
		{Name: "memory", Store: memory(t)}, {Name: "redis", Store: s, Shared: true}, {Name: "disk", Store: disk(t, t.TempDir())},
	}, rules, &chain.Options{DefaultTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// What a process began to load before another deleted the key does not come back
// through Redis, whatever the key's form, and whether one key is loaded or many.
func TestSlowFillAfterForeignDelete(t *testing.T) {
	srv := redistest.Shared(t)
	for _, key := range []string{"k", "plain:k"} {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprint(key, " many=", many), func(t *testing.T) {
				prefix := redistest.Prefix()
				slow, other := chain.NewCache[string](deaf(t, srv.Addr, prefix), nil), chain.NewCache[string](deaf(t, srv.Addr, prefix), nil)
				ctx := context.Background()
				deleted := func() {
					if err := other.Set(ctx, key, "old"); err != nil {
						t.Error(err)
					}
					if err := other.Delete(ctx, key); err != nil {
						t.Error(err)
					}
				}
				var err error
				if many {
					_, err = slow.GetOrLoadMany(ctx, []string{key, "l"}, func(context.Context, []string) (map[string]string, error) {
						deleted()
						return map[string]string{key: "old", "l": "l"}, nil
					})
				} else {
					_, err = slow.GetOrLoad(ctx, key, func(context.Context, string) (string, error) {
						deleted()
						return "old", nil
					})
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := slow.Chain().Flush(ctx); err != nil {
					t.Fatal(err)
				}
				if v, err := other.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("the deleted value is back: %q, %v", v, err)
				}
				fresh := func(context.Context, string) (string, error) { return "new", nil }
				if v, err := other.GetOrLoad(ctx, key, fresh); err != nil || v != "new" {
					t.Errorf("a later load: %q, %v", v, err)
				}
				third := chain.NewCache[string](deaf(t, srv.Addr, prefix), nil)
				if v, err := third.Get(ctx, key); err != nil || v != "new" {
					t.Errorf("the later load is not in Redis: %q, %v", v, err)
				}
			})
		}
	}
}

// A refresh of a stale value that overlaps with a delete by another process does
// not bring the key back, in either form.
func TestRefreshAfterForeignDelete(t *testing.T) {
	srv, prefix, ctx := redistest.Shared(t), redistest.Prefix(), context.Background()
	rules, err := policy.Parse([]byte("rules: [{keys: 'f:{id}', ttl: 50ms, stale_if_error: 1h}, {keys: 'p:{id}', ttl: 50ms, stale_if_error: 1h, wire: plain}]"))
	if err != nil {
		t.Fatal(err)
	}
	open := func() *chain.Cache[string] {
		s, err := redisstore.Connect(&redisstore.Config{Addrs: []string{srv.Addr}}, &redisstore.Options{Prefix: prefix, Wire: rules})
		if err != nil {
			t.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{{Name: "redis", Store: s, Shared: true}}, rules, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(ctx) })
		return chain.NewCache[string](c, nil)
	}
	a, b := open(), open()
	for _, key := range []string{"f:k", "p:k"} {
		if err := a.Set(ctx, key, "old"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond) // it is stale now
		if _, err := a.GetOrLoad(ctx, key, func(context.Context, string) (string, error) { return "again", b.Delete(ctx, key) }); err != nil {
			t.Fatal(err)
		}
		if v, err := b.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the deleted value is back: %q, %v", key, v, err)
		}
	}
}

// A write around Redis leaves nothing there that keeps what was written from being
// read up again.
func TestWriteAroundIsFilledAgain(t *testing.T) {
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	c, ctx := deaf(t, srv.Addr, prefix), context.Background()
	cache := chain.NewCache[string](c, nil)
	if err := cache.Set(ctx, "around:k", "v"); err != nil {
		t.Fatal(err)
	}
	if v, err := cache.Get(ctx, "around:k"); err != nil || v != "v" {
		t.Fatalf("Get = %q, %v", v, err)
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	x, err := c.Explain(ctx, "around:k")
	if err != nil || !x.Tiers[1].Present {
		t.Errorf("what was read from the disk is not in Redis: %+v, %v", x, err)
	}
}
