package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// kept is a store that outlives its chain.
type kept struct{ *mapStore }

func (kept) Close() error { return nil }

// One invalidation of 100 tagged keys leaves none of them, in any tier and after
// a restart, and does not touch what is written after it.
func TestInvalidateTags(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := kept{newMap()}, kept{newMap()}
			start := func() (*chain.Chain, *chain.Cache[int]) {
				c := newChain(t, []chain.Tier{
					{Name: "memory", Store: newObjects(50)}, {Name: "near", Store: near, WriteBack: back}, {Name: "far", Store: far, WriteBack: back},
				}, "", &chain.Options{DefaultTTL: -1})
				return c, chain.NewCache[int](c, nil)
			}
			c, cache := start()
			ctx := t.Context()
			for i := range 100 {
				noErr(t, cache.Set(ctx, fmt.Sprint("k", i), i, chain.WriteOptions{Tags: []string{"sector:tech", "all"}}))
			}
			noErr(t, cache.Set(ctx, "other", 1, chain.WriteOptions{Tags: []string{"all"}}))
			noErr(t, c.InvalidateTags(ctx, "sector:tech"))
			noErr(t, cache.Set(ctx, "k0", 1000, chain.WriteOptions{Tags: []string{"sector:tech"}}))
			check := func() {
				t.Helper()
				for i := 1; i < 100; i++ {
					v, err := cache.Get(ctx, fmt.Sprint("k", i))
					missing(t, v, err)
				}
				v, err := cache.Get(ctx, "k0")
				want(t, v, err, 1000)
				v, err = cache.Get(ctx, "other")
				want(t, v, err, 1)
				r, err := cache.GetMany(ctx, []string{"k0", "k1", "other"})
				if err != nil || len(r.Values()) != 2 {
					t.Errorf("batch: %v, %v", r, err)
				}
			}
			check()
			noErr(t, c.Close(ctx))
			c, cache = start()
			check()
			noErr(t, c.Close(ctx))
			near.Wipe() // the near tier lost all it had, barriers included
			_, cache = start()
			check()
		})
	}
}

// Another process that shares a tier learns of an invalidation.
func TestInvalidationReachesOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := kept{newMap()}
		one := newChain(t, []chain.Tier{{Name: "shared", Store: shared}}, "", nil)
		two := newChain(t, []chain.Tier{{Name: "shared", Store: shared}}, "", nil)
		ctx := t.Context()
		noErr(t, chain.NewCache[int](one, nil).Set(ctx, "k", 1, chain.WriteOptions{Tags: []string{"t"}}))
		v, err := chain.NewCache[int](two, nil).Get(ctx, "k")
		want(t, v, err, 1)
		noErr(t, one.InvalidateTags(ctx, "t"))
		time.Sleep(10 * time.Second)
		v, err = chain.NewCache[int](two, nil).Get(ctx, "k")
		missing(t, v, err)
	})
}

// A tier that is down when a tag is invalidated, or all is cleared, learns of it
// later; where no tier can be told, the call says so and it holds all the same.
func TestInvalidationWithATierDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := faultstore.New(kept{newMap()}), faultstore.New(kept{newMap()})
		tiers := []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: far}}
		c := newChain(t, tiers, "", nil)
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "k", 1, chain.WriteOptions{Tags: []string{"t"}}))
		noErr(t, cache.Set(ctx, "l", 1))
		near.Inject(faultstore.Fault{Op: faultstore.OpAll &^ faultstore.OpClose, Err: errBoom})
		noErr(t, c.InvalidateTags(ctx, "t"))
		if err := c.Clear(ctx); !errors.Is(err, errBoom) {
			t.Errorf("Clear with a tier down: %v", err)
		}
		near.Reset()
		time.Sleep(10 * time.Second)
		flush(t, c)
		again := newChain(t, []chain.Tier{{Name: "near", Store: near}}, "", nil)
		for _, key := range []string{"k", "l"} {
			v, err := chain.NewCache[int](again, nil).Get(ctx, key)
			missing(t, v, err)
		}
		near.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		far.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		if err := c.InvalidateTags(ctx, "t"); !errors.Is(err, errBoom) {
			t.Errorf("InvalidateTags with all tiers down: %v", err)
		}
		near.Reset()
		far.Reset()
		time.Sleep(10 * time.Second)
	})
}

func TestClear(t *testing.T) {
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		for i := range 20 {
			noErr(t, cache.Set(ctx, fmt.Sprint("k", i), i))
		}
		noErr(t, c.Clear(ctx))
		for i := range 20 {
			v, err := cache.Get(ctx, fmt.Sprint("k", i))
			missing(t, v, err)
		}
		for key, err := range c.Scan(ctx, "") {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("after Clear: key %q, %v", key, err)
			}
		}
		noErr(t, cache.Set(ctx, "k", 1))
		_, err := cache.Get(ctx, "k")
		if c.Stats().Tiers[0].Name != "memory" || len(c.Stats().Tiers) > 1 {
			noErr(t, err)
		}
	})
}

// A load that began before Clear or an invalidation brings nothing back.
func TestLoadsDoNotSurviveClear(t *testing.T) {
	for name, f := range map[string]func(context.Context, *chain.Chain) error{
		"clear": func(ctx context.Context, c *chain.Chain) error { return c.Clear(ctx) },
		"tag":   func(ctx context.Context, c *chain.Chain) error { return c.InvalidateTags(ctx, "t") },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, `rules: [{keys: "*", ttl: 1h, tags: [t]}]`, nil, func(t *testing.T, c *chain.Chain) {
				cache := chain.NewCache[int](c, nil)
				ctx := t.Context()
				v, err := cache.GetOrLoad(ctx, "k", func(context.Context, string) (int, error) { return 1, f(ctx, c) })
				want(t, v, err, 1) // its caller was there before
				flush(t, c)
				v, err = cache.Get(ctx, "k")
				missing(t, v, err)
			})
		})
	}
}

// Users cannot read, write or list the chain's own keys.
func TestBarrierKeysAreReserved(t *testing.T) {
	c := newChain(t, two(newObjects(10), newMap()), "", nil)
	cache := chain.NewCache[int](c, nil)
	ctx := t.Context()
	noErr(t, c.InvalidateTags(ctx, "t"))
	noErr(t, c.InvalidateTags(ctx))
	key := "__strata:tag:t"
	_, get := cache.Get(ctx, key)
	r, _ := cache.GetMany(ctx, []string{key})
	for name, err := range map[string]error{"Get": get, "GetMany": r[key].Err, "Set": cache.Set(ctx, key, 1), "Delete": cache.Delete(ctx, key)} {
		if !errors.Is(err, store.ErrInvalidKey) {
			t.Errorf("%s of a reserved key: %v", name, err)
		}
	}
	for key := range c.Scan(ctx, "") {
		if strings.HasPrefix(key, "__strata:") {
			t.Errorf("Scan lists %q", key)
		}
	}
}
