package chain_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

const negativeRules = `rules: [{keys: "n:{id}", ttl: 10s, negative_ttl: 5s, stale_while_revalidate: 1h}, {keys: "p:{id}", ttl: 10s}]`

func TestNegativeEntries(t *testing.T) {
	each(t, negativeRules, nil, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), 0
		ctx := t.Context()
		load := func(err error) func(context.Context, string) (int, error) {
			return func(context.Context, string) (int, error) { n++; return 0, err }
		}
		for range 3 {
			v, err := cache.GetOrLoad(ctx, "n:1", load(fmt.Errorf("user 1: %w", store.ErrNotFound)))
			missing(t, v, err)
		}
		v, err := cache.Get(ctx, "n:1")
		missing(t, v, err)
		if n != 1 || c.Stats().Negatives != 1 || c.Stats().NegativeHits != 3 || c.Stats().LoadErrors != 0 {
			t.Errorf("%d loads, %+v", n, c.Stats())
		}
		time.Sleep(5 * time.Second)
		v, err = cache.GetOrLoad(ctx, "n:1", loads(7)) // forgotten
		want(t, v, err, 7)

		for range 2 { // only an explicit "not found" is remembered, and only where the rule says so
			_, _ = cache.GetOrLoad(ctx, "n:2", load(errBoom))
			_, _ = cache.GetOrLoad(ctx, "p:1", load(store.ErrNotFound))
		}
		if n != 5 {
			t.Errorf("%d loads; want 5", n)
		}

		_, _ = cache.GetOrLoad(ctx, "n:3", load(store.ErrNotFound))
		noErr(t, cache.Set(ctx, "n:3", 3)) // never hidden
		v, err = cache.Get(ctx, "n:3")
		if c.Stats().Tiers[0].Name == "disk" || len(c.Stats().Tiers) > 1 || err == nil {
			want(t, v, err, 3)
		}
	})
}

// The loader's word that a key is gone removes what the tiers hold of it, where they
// are written through and where they are written back.
func TestVanishedKey(t *testing.T) {
	for _, write := range []string{"through", "back"} {
		rules := `rules: [{keys: "n:{id}", ttl: 10s, negative_ttl: 5s, stale_while_revalidate: 1h, write: ` + write + `}]`
		t.Run("write="+write, func(t *testing.T) {
			each(t, rules, nil, func(t *testing.T, c *chain.Chain) {
				cache := chain.NewCache[int](c, nil)
				ctx := t.Context()
				noErr(t, cache.Set(ctx, "n:1", 1))
				flush(t, c)
				time.Sleep(11 * time.Second)
				v, err := cache.GetOrLoad(ctx, "n:1", fails[int](store.ErrNotFound)) // within the window
				want(t, v, err, 1)
				flush(t, c)
				v, err = cache.Get(ctx, "n:1")
				missing(t, v, err)
				time.Sleep(5 * time.Second) // no longer remembered: and not there
				v, err = cache.Get(ctx, "n:1")
				missing(t, v, err)
			})
		})
	}
}

// A Set that comes while the loader says "not found" is not removed with what was
// there before.
func TestVanishedKeyKeepsALaterSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &slowDelete{objectStore: newObjects(10)}
		c := newChain(t, []chain.Tier{{Name: "memory", Store: mem}}, negativeRules, nil)
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "n:1", 1))
		time.Sleep(11 * time.Second)
		done := make(chan error, 1)
		mem.before = func() {
			mem.before = nil
			go func() { done <- cache.Set(ctx, "n:1", 2) }()
			for range 1000 { // it is done, or waits for the removal
				runtime.Gosched()
			}
		}
		_, _ = cache.GetOrLoad(ctx, "n:1", fails[int](store.ErrNotFound))
		flush(t, c)
		noErr(t, <-done)
		v, err := cache.Get(ctx, "n:1")
		want(t, v, err, 2)
	})
}

// slowDelete is a memory tier whose Delete may be preceded by something.
type slowDelete struct {
	*objectStore
	before func()
}

func (s *slowDelete) Delete(ctx context.Context, key string) error {
	if s.before != nil {
		s.before()
	}
	return s.objectStore.Delete(ctx, key)
}

// A storm of absent keys takes no room from values, and is bounded.
func TestNegativeEntriesAreBounded(t *testing.T) {
	c := newChain(t, two(newObjects(10), newMap()), negativeRules, &chain.Options{NegativeEntries: 100})
	cache := chain.NewCache[int](c, nil)
	noErr(t, cache.Set(t.Context(), "p:1", 1))
	for i := range 10_000 {
		_, _ = cache.GetOrLoad(t.Context(), fmt.Sprint("n:", i), fails[int](store.ErrNotFound))
	}
	if n := c.Stats().Negatives; n < 50 || n > 100 {
		t.Errorf("%d keys remembered; want 50 to 100", n)
	}
	hits := c.Stats().Tiers[0].Hits
	v, err := cache.Get(t.Context(), "p:1")
	want(t, v, err, 1)
	if c.Stats().Tiers[0].Hits != hits+1 {
		t.Error("the value is no longer in memory")
	}
}

// In a batch, only the keys that the loader names as absent are remembered.
func TestNegativeEntriesOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(10), newMap()), negativeRules, nil)
		cache := chain.NewCache[int](c, nil)
		var asked [][]string
		load := func(_ context.Context, keys []string) (map[string]int, error) {
			asked = append(asked, keys)
			return map[string]int{"n:1": 1}, &store.BatchError{Errs: map[string]error{"n:2": store.ErrNotFound, "n:3": errBoom}}
		}
		for range 2 {
			r, err := cache.GetOrLoadMany(t.Context(), []string{"n:1", "n:2", "n:3", "n:4"}, load)
			want(t, r["n:1"].Value, r["n:1"].Err, 1)
			missing(t, 0, r["n:2"].Err)
			missing(t, 0, r["n:4"].Err)
			if kerr := store.KeyError(err, "n:3"); kerr != errBoom || r["n:3"].Err != errBoom { //nolint:errorlint // as it is
				t.Errorf("n:3: %v, %v", kerr, r["n:3"].Err)
			}
		}
		if len(asked) != 2 || len(asked[0]) != 4 || len(asked[1]) != 2 {
			t.Errorf("the loader was asked for %v; want n:3 and n:4 again", asked)
		}
	})
}
