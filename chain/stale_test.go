package chain_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// counted returns a loader that counts its calls and returns the number.
func counted(n *atomic.Int64) func(context.Context, string) (int, error) {
	return func(context.Context, string) (int, error) { return int(n.Add(1)), nil }
}

// shapes are chains in which a value may lie in memory or in a tier only.
var shapes = map[string]func() []chain.Tier{
	"memory":          func() []chain.Tier { return []chain.Tier{{Name: "memory", Store: newObjects(100)}} },
	"memory and disk": func() []chain.Tier { return two(newObjects(100), newMap()) },
	"no room":         func() []chain.Tier { return two(newObjects(0), newMap()) },
	"disk":            func() []chain.Tier { return []chain.Tier{{Name: "disk", Store: newMap()}} },
}

// each runs f in a bubble for each shape.
func each(t *testing.T, rules string, opts *chain.Options, f func(t *testing.T, c *chain.Chain)) {
	t.Helper()
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, newChain(t, shape(), rules, opts)) })
		})
	}
}

func TestStaleWhileRevalidate(t *testing.T) {
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, stale_while_revalidate: 5s}]`, nil, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		ctx := t.Context()
		slow := func(ctx context.Context, key string) (int, error) {
			time.Sleep(time.Second)
			return counted(n)(ctx, key)
		}
		v, err := cache.GetOrLoad(ctx, "k:1", slow)
		want(t, v, err, 1)
		time.Sleep(12 * time.Second)
		for range 5 { // at once, and with one load in the background
			start := time.Now()
			v, err = cache.GetOrLoad(ctx, "k:1", slow)
			want(t, v, err, 1)
			if waited := time.Since(start); waited > 0 {
				t.Errorf("a stale read waited %v", waited)
			}
		}
		flush(t, c)
		v, err = cache.GetOrLoad(ctx, "k:1", slow)
		want(t, v, err, 2)
		time.Sleep(12 * time.Second)
		v, err = cache.Get(ctx, "k:1") // within the window, without a loader
		want(t, v, err, 2)
		time.Sleep(4 * time.Second)
		v, err = cache.Get(ctx, "k:1")
		missing(t, v, err)
		v, err = cache.GetOrLoad(ctx, "k:1", slow)
		want(t, v, err, 3)
		if s := c.Stats(); s.Stale != 6 || s.Loads != 3 {
			t.Errorf("%d stale answers and %d loads; want 6 and 3", s.Stale, s.Loads)
		}
	})
}

func TestStaleIfError(t *testing.T) {
	opts := &chain.Options{StaleBackoff: 3 * time.Second}
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1m}]`, opts, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		ctx := t.Context()
		broken := func(context.Context, string) (int, error) { n.Add(1); return 0, errBoom }
		v, err := cache.GetOrLoad(ctx, "k:1", loads(1))
		want(t, v, err, 1)
		flush(t, c)
		time.Sleep(40 * time.Second)
		v, err = cache.GetOrLoad(ctx, "k:1", broken)
		want(t, v, err, 1)
		tries := n.Load()
		time.Sleep(2900 * time.Millisecond) // the back-off counts from now, not from the old deadline
		v, err = cache.GetOrLoad(ctx, "k:1", broken)
		want(t, v, err, 1)
		if st := c.Stats(); n.Load() != tries && st.Tiers[0].Name == "memory" && st.Tiers[0].Fills > 0 && st.Tiers[0].Store.Entries > 0 {
			t.Errorf("the load was tried again within the back-off: %d times", n.Load())
		}
		time.Sleep(200 * time.Millisecond)
		v, err = cache.GetOrLoad(ctx, "k:1", loads(2)) // the source is well again
		want(t, v, err, 2)
		flush(t, c)
		time.Sleep(71 * time.Second) // past the window
		if v, err = cache.GetOrLoad(ctx, "k:1", broken); !errors.Is(err, errBoom) {
			t.Errorf("%v, %v; want the loader's error", v, err)
		}
	})
}

// Back-off is kept by memory: while it lasts, no load is tried.
func TestStaleIfErrorBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(9), newMap()), `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h, jitter: 0.2}]`, nil)
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		noErr(t, cache.Set(t.Context(), "k:1", 1))
		time.Sleep(time.Minute)
		for range 600 { // a minute of readers
			v, err := cache.GetOrLoad(t.Context(), "k:1", func(context.Context, string) (int, error) { n.Add(1); return 0, errBoom })
			want(t, v, err, 1)
			time.Sleep(100 * time.Millisecond)
		}
		if n := n.Load(); n < 12 || n > 16 {
			t.Errorf("%d loads in a minute; want one every 4 to 5 s", n)
		}
	})
}

func TestNeverStale(t *testing.T) {
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, serve_stale: never}]`, nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "k:1", 1))
		time.Sleep(10 * time.Second)
		v, err := cache.Get(t.Context(), "k:1")
		missing(t, v, err)
		if v, err := cache.GetOrLoad(t.Context(), "k:1", fails[int](errBoom)); !errors.Is(err, errBoom) {
			t.Errorf("%v, %v; want the loader's error", v, err)
		}
		v, err = cache.GetOrLoad(t.Context(), "k:1", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 2, nil })
		want(t, v, err, 2)
	})
}

func TestSoftTimeout(t *testing.T) {
	rules := `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h, soft_timeout: 50ms, hard_timeout: 5s}]`
	each(t, rules, nil, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		n.Store(1)
		ctx := t.Context()
		slow := func(ctx context.Context, key string) (int, error) {
			time.Sleep(time.Second)
			return counted(n)(ctx, key)
		}
		noErr(t, cache.Set(ctx, "k:1", 1))
		time.Sleep(20 * time.Second)
		start := time.Now()
		v, err := cache.GetOrLoad(ctx, "k:1", slow)
		want(t, v, err, 1)
		if waited := time.Since(start); waited != 50*time.Millisecond {
			t.Errorf("waited %v; want the soft timeout", waited)
		}
		flush(t, c) // the load went on
		v, err = cache.Get(ctx, "k:1")
		want(t, v, err, 2)
		v, err = cache.GetOrLoad(ctx, "k:2", slow) // nothing stale at hand: wait
		want(t, v, err, 3)
	})
}

// The soft timeout counts from the call, however long the tiers take, and is one
// for a whole batch.
func TestSoftTimeoutWithAStuckTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.New(newMap())
		c := newChain(t, two(newObjects(100), disk), `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h, soft_timeout: 50ms}]`, nil)
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		keys := []string{"k:1", "k:2", "k:3", "k:4"}
		for i, key := range keys {
			noErr(t, cache.Set(ctx, key, i))
		}
		time.Sleep(20 * time.Second)
		disk.Inject(faultstore.Fault{Op: faultstore.OpReads, Hang: true})
		start := time.Now()
		v, err := cache.GetOrLoad(ctx, "k:1", loads(9))
		want(t, v, err, 0)
		if waited := time.Since(start); waited != 50*time.Millisecond {
			t.Errorf("waited %v for one key; want the soft timeout", waited)
		}
		start = time.Now()
		r, err := cache.GetOrLoadMany(ctx, keys[1:], func(context.Context, []string) (map[string]int, error) {
			time.Sleep(10 * time.Second)
			return nil, nil
		})
		if waited := time.Since(start); err != nil || len(r.Values()) != 3 || waited != 50*time.Millisecond {
			t.Errorf("batch: %v, %v after %v; want 3 values after the soft timeout", r, err, waited)
		}
	})
}

func TestHardTimeout(t *testing.T) {
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, hard_timeout: 2s}]`, nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		release := make(chan struct{})
		start := time.Now()
		_, err := cache.GetOrLoad(t.Context(), "k:1", func(context.Context, string) (int, error) { <-release; return 1, nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v; want context.DeadlineExceeded after 2s", err, time.Since(start))
		}
		v, err := cache.GetOrLoad(t.Context(), "k:1", loads(2))
		want(t, v, err, 2)
		close(release) // what the one left behind returns now is dropped
		synctest.Wait()
		v, err = cache.Get(t.Context(), "k:1")
		want(t, v, err, 2)
	})
}

func TestRefreshAhead(t *testing.T) {
	for name, bound := range map[string]string{"": "", "with a bound of memory": ", tier_ttl: {memory: 2s}"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChain(t, two(newObjects(9), newMap()), `rules: [{keys: "k:{id}", ttl: 100s, refresh_ahead: 0.5`+bound+`}]`, nil)
				cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
				ctx := t.Context()
				for range 49 { // no load before half of the TTL has passed, whatever memory's bound is
					v, err := cache.GetOrLoad(ctx, "k:1", counted(n))
					want(t, v, err, 1)
					time.Sleep(time.Second)
				}
				time.Sleep(2 * time.Second)
				v, err := cache.GetOrLoad(ctx, "k:1", counted(n))
				want(t, v, err, 1) // fresh still, and the refresh is behind the scenes
				flush(t, c)
				v, err = cache.GetOrLoad(ctx, "k:1", counted(n))
				want(t, v, err, 2)
			})
		})
	}
}

// With early refresh, readers of one key refresh it before it expires, with the
// odds that its load time asks for, and hardly ever long before.
func TestEarlyRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(9), newMap()), `rules: [{keys: "k:{id}", ttl: 100s, early: 1}]`, nil)
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		ctx := t.Context()
		slow := func(ctx context.Context, key string) (int, error) {
			time.Sleep(2 * time.Second)
			return counted(n)(ctx, key)
		}
		var waits, cycles int
		for range 50 {
			start := time.Now()
			_, err := cache.GetOrLoad(ctx, "k:1", slow)
			noErr(t, err)
			if time.Since(start) > 0 {
				waits++
			}
			before := n.Load()
			for n.Load() == before {
				time.Sleep(100 * time.Millisecond)
				start := time.Now()
				_, err := cache.GetOrLoad(ctx, "k:1", slow)
				noErr(t, err)
				if time.Since(start) > 0 {
					waits++
				}
			}
			cycles++
		}
		if waits > 5 {
			t.Errorf("readers waited %d times in %d cycles", waits, cycles)
		}
	})
}

// A jittered deadline is earlier than the plain one by at most the jitter, never
// later.
func TestJitterNeverLengthens(t *testing.T) {
	disk := newMap()
	c := newChain(t, []chain.Tier{{Name: "disk", Store: disk}}, `rules: [{keys: "k:{id}", ttl: 100s, jitter: 0.3}]`, nil)
	cache := chain.NewCache[int](c, nil)
	var least, most time.Duration = time.Hour, 0
	for range 1000 {
		before := time.Now()
		noErr(t, cache.Set(t.Context(), "k:1", 1))
		e, _ := disk.Peek("k:1")
		ttl := e.Expires.Sub(before)
		least, most = min(least, ttl), max(most, ttl)
	}
	if most > 101*time.Second || least < 70*time.Second || most-least < 20*time.Second {
		t.Errorf("TTLs from %v to %v; want 70 to 100 s, spread", least, most)
	}
}

func TestFetchSaysItsOwnTTLAndTags(t *testing.T) {
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		ctx := t.Context()
		load := func(context.Context, chain.Request[int]) (chain.Loaded[int], error) {
			return chain.Loaded[int]{Value: int(n.Add(1)), WriteOptions: chain.WriteOptions{TTL: 3 * time.Second, Tags: []string{"t"}}}, nil
		}
		v, err := cache.Fetch(ctx, "k", load)
		want(t, v, err, 1)
		time.Sleep(2 * time.Second)
		v, err = cache.Fetch(ctx, "k", load)
		want(t, v, err, 1)
		time.Sleep(time.Second)
		before := int(n.Load())
		v, err = cache.Fetch(ctx, "k", load)
		want(t, v, err, before+1)
		noErr(t, c.InvalidateTags(ctx, "t"))
		v, err = cache.Fetch(ctx, "k", load)
		want(t, v, err, before+2)
	})
}

func TestNotModified(t *testing.T) {
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h}]`, nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[string](c, nil)
		ctx := t.Context()
		wrote := time.Now()
		noErr(t, cache.Set(ctx, "k:1", "v", chain.WriteOptions{Tags: []string{"t"}}))
		time.Sleep(20 * time.Second)
		v, err := cache.Fetch(ctx, "k:1", func(_ context.Context, r chain.Request[string]) (chain.Loaded[string], error) {
			if !r.HasStale || r.Stale != "v" || r.Key != "k:1" || r.Written.Sub(wrote).Abs() > time.Second {
				t.Errorf("request %+v; want the stale value of %v", r, wrote)
			}
			return chain.Loaded[string]{NotModified: true}, nil
		})
		want(t, v, err, "v")
		flush(t, c)
		time.Sleep(9 * time.Second)
		v, err = cache.Get(ctx, "k:1")
		want(t, v, err, "v")
		noErr(t, c.InvalidateTags(ctx, "t")) // the tags stay with it
		v, err = cache.Get(ctx, "k:1")
		missing(t, v, err)
		_, err = cache.Fetch(ctx, "k:2", func(context.Context, chain.Request[string]) (chain.Loaded[string], error) {
			return chain.Loaded[string]{NotModified: true}, nil
		})
		if err == nil {
			t.Error("not modified, without a value, was no error")
		}
	})
}

// "Not modified" does not outlive an invalidation that came while it was asked for.
func TestNotModifiedDoesNotOutliveAnInvalidation(t *testing.T) {
	for _, write := range []bool{true, false} {
		each(t, `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h}]`, nil, func(t *testing.T, c *chain.Chain) {
			cache := chain.NewCache[string](c, nil)
			ctx := t.Context()
			noErr(t, cache.Set(ctx, "k:1", "old", chain.WriteOptions{Tags: []string{"t"}}))
			time.Sleep(20 * time.Second)
			_, err := cache.Fetch(ctx, "k:1", func(context.Context, chain.Request[string]) (chain.Loaded[string], error) {
				if write {
					noErr(t, cache.Set(ctx, "k:1", "new"))
				} else {
					noErr(t, c.InvalidateTags(ctx, "t"))
				}
				return chain.Loaded[string]{NotModified: true}, nil
			})
			noErr(t, err)
			flush(t, c)
			if v, err := cache.Get(ctx, "k:1"); v == "old" {
				t.Errorf("after the write or invalidation: %q, %v", v, err)
			}
		})
	}
}

// What another program wrote without a version takes the place of what memory
// holds past its deadline.
func TestForeignValueReplacesExpiredObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newMap()
		c := newChain(t, two(newObjects(9), disk), `rules: [{keys: "k:{id}", ttl: 10s, stale_if_error: 1h}]`, nil)
		cache := chain.NewCache[string](c, &chain.CacheOptions[string]{})
		noErr(t, cache.Set(t.Context(), "k:1", "ours"))
		e, _ := disk.Peek("k:1")
		time.Sleep(20 * time.Second)
		disk.Plant("k:1", store.Entry{Value: e.Value, Codec: e.Codec, Expires: time.Now().Add(time.Hour)})
		for range 3 {
			_, err := cache.Get(t.Context(), "k:1")
			noErr(t, err)
		}
		if n := disk.Reads("k:1"); n != 1 {
			t.Errorf("%d reads of the tier; want one, and memory from then on", n)
		}
	})
}
