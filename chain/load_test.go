package chain_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// 1,000 goroutines on one absent key: one load, and everybody has its value when
// it is done, except who left before.
func TestOneLoad(t *testing.T) {
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		cache, n := chain.NewCache[int](c, nil), new(atomic.Int64)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				ctx := t.Context()
				if i%10 == 0 { // the first caller, who leads, among them
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 5*time.Millisecond)
					defer cancel()
				}
				v, err := cache.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (int, error) {
					select {
					case <-time.After(20 * time.Millisecond):
					case <-ctx.Done():
						return 0, ctx.Err()
					}
					return int(n.Add(1)), nil
				})
				switch waited := time.Since(start); {
				case i%10 == 0 && (!errors.Is(err, context.DeadlineExceeded) || waited != 5*time.Millisecond):
					t.Errorf("who gave up got %d, %v after %v", v, err, waited)
				case i%10 != 0 && (err != nil || v != 1 || waited != 20*time.Millisecond):
					t.Errorf("%d, %v after %v", v, err, waited)
				}
			})
		}
		wg.Wait()
		if n.Load() != 1 || c.Stats().Loads != 1 {
			t.Errorf("%d loads", n.Load())
		}
	})
}

// Loaders that ignore their context hold no caller, and their number is bounded.
func TestLoadersThatIgnoreTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(9), newMap()), "", &chain.Options{MaxLoads: 5, LoadTimeout: time.Second})
		cache := chain.NewCache[int](c, nil)
		release := make(chan struct{})
		var running, most atomic.Int64
		before := runtime.NumGoroutine()
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			_, err := cache.GetOrLoad(ctx, fmt.Sprint("k", i), func(context.Context, string) (int, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				<-release
				return 1, nil
			})
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v; want the caller's deadline", err)
			}
		}
		time.Sleep(2 * time.Second)
		if most.Load() != 5 || running.Load() != 5 {
			t.Errorf("%d loaders at once, %d left; want 5", most.Load(), running.Load())
		}
		if n := runtime.NumGoroutine() - before; n > 20 {
			t.Errorf("%d goroutines are left", n)
		}
		close(release)
		synctest.Wait()
		v, err := cache.GetOrLoad(t.Context(), "k", loads(3))
		want(t, v, err, 3)
	})
}

// A hit does not wait for somebody else's load.
func TestHitDuringALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(9), newMap()), "", nil)
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "hit", 1))
		go func() {
			_, _ = cache.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 1, nil })
		}()
		synctest.Wait()
		start := time.Now()
		v, err := cache.GetOrLoad(t.Context(), "hit", loads(2))
		want(t, v, err, 1)
		_, err = cache.Get(t.Context(), "k") // without a loader, a reader does not wait for one
		if !errors.Is(err, store.ErrNotFound) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// The load of a key that is set or deleted meanwhile does not undo that.
func TestWriteDuringALoad(t *testing.T) {
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		for _, del := range []bool{false, true} {
			_, err := cache.GetOrLoad(ctx, "k", func(context.Context, string) (int, error) {
				noErr(t, cache.Set(ctx, "k", 2))
				if del {
					noErr(t, cache.Delete(ctx, "k"))
				}
				v, err := cache.GetOrLoad(ctx, "k", loads(2)) // nor does who comes after it wait for the old load
				want(t, v, err, 2)
				if del {
					noErr(t, cache.Delete(ctx, "k"))
				}
				return 1, nil
			})
			noErr(t, err)
			flush(t, c)
			if v, err := cache.Get(ctx, "k"); v == 1 || del && err == nil {
				t.Errorf("deleted %v: %d, %v", del, v, err)
			}
			noErr(t, cache.Delete(ctx, "k"))
		}
	})
}

// Values that callers modify are cloned on both ways.
func TestClone(t *testing.T) {
	c := newChain(t, two(newObjects(9), newMap()), "", nil)
	cache := chain.NewCache(c, &chain.CacheOptions[[]int]{Clone: slices.Clone[[]int]})
	mine := []int{1, 2}
	noErr(t, cache.Set(t.Context(), "k", mine))
	mine[0] = 9
	for range 2 {
		v, err := cache.Get(t.Context(), "k")
		if err != nil || !slices.Equal(v, []int{1, 2}) {
			t.Fatalf("%v, %v", v, err)
		}
		v[0] = 9
	}
}

func TestBatchAnswersPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := faultstore.New(newMap()), faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(2)}, {Name: "near", Store: near}, {Name: "far", Store: far}}, "", nil)
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		keys := []string{"a", "b", "bad", "d", "a", "", "none"}
		for i, key := range []string{"a", "b", "bad", "d"} {
			noErr(t, cache.Set(ctx, key, i))
		}
		isBad := func(key string) bool { return key == "bad" }
		near.Inject(faultstore.Fault{Op: faultstore.OpReads, Key: isBad, Err: errBoom})
		far.Inject(faultstore.Fault{Op: faultstore.OpReads, Key: isBad, Err: errBoom})
		noErr(t, c.Store().Delete(ctx, "nothing"))
		for range 2 {
			r, err := cache.GetMany(ctx, keys)
			if len(r) != 6 || len(r.Values()) < 3 || !errors.Is(r[""].Err, store.ErrInvalidKey) || !errors.Is(r["none"].Err, store.ErrNotFound) {
				t.Errorf("%v, %v", r, err)
			}
			if bad := r["bad"]; bad.Err != nil && !errors.Is(bad.Err, errBoom) || bad.Err == nil && bad.Value != 2 {
				t.Errorf("bad: %v", bad)
			}
			if _, err := r.Get("never asked for"); err == nil {
				t.Error("a key that was not in the batch has no error")
			}
		}
		near.Reset()
		near.Inject(faultstore.Fault{Op: faultstore.OpReads, Err: errBoom}) // a whole tier
		far.Reset()
		r, err := cache.GetMany(ctx, []string{"a", "b", "bad", "d"})
		if err != nil || len(r.Values()) != 4 {
			t.Errorf("with the near tier down: %v, %v", r, err)
		}
		if r, err := cache.GetMany(ctx, nil); len(r) != 0 || err != nil {
			t.Errorf("empty batch: %v, %v", r, err)
		}
		near.Reset()
		time.Sleep(5 * time.Second)
	})
}

// A batch asks each tier once, for what the nearer ones lacked.
func TestBatchAsksEachTierOnce(t *testing.T) {
	near, far := newMap(), newMap()
	tiers := func() []chain.Tier {
		return []chain.Tier{{Name: "memory", Store: newObjects(9999)}, {Name: "near", Store: kept{near}}, {Name: "far", Store: kept{far}}}
	}
	c := newChain(t, tiers(), "", nil)
	batch, keys := map[string]int{}, []string{}
	for i := range 5000 {
		keys = append(keys, fmt.Sprint("k", i))
		batch[keys[i]] = i
	}
	noErr(t, chain.NewCache[int](c, nil).SetMany(t.Context(), batch))
	for _, key := range keys[:2500] {
		noErr(t, near.Delete(t.Context(), key))
	}
	c = newChain(t, tiers(), "", &chain.Options{FillQueue: 5000})
	cache := chain.NewCache[int](c, nil)
	_, _ = near.TakeBatches(), far.TakeBatches()
	r, err := cache.GetMany(t.Context(), keys)
	if err != nil || len(r.Values()) != 5000 {
		t.Fatalf("%d values, %v", len(r.Values()), err)
	}
	flush(t, c)
	if near.Reads(keys[9]) != 1 || far.Reads(keys[9]) != 1 || far.Reads(keys[4000]) != 0 {
		t.Error("a tier was asked twice for a key, or for what a nearer one had")
	}
	if a, b := near.TakeBatches(), far.TakeBatches(); a > 3 || b > 3 {
		t.Errorf("%d and %d batches", a, b)
	}
	if _, ok := near.Peek(keys[9]); !ok {
		t.Error("nothing was promoted")
	}
	r, err = cache.GetMany(t.Context(), keys)
	if err != nil || len(r.Values()) != 5000 || far.Reads(keys[9]) != 1 {
		t.Errorf("the second time: %d values, %v", len(r.Values()), err)
	}
}

// Concurrent batches that share keys load each key once, together with single
// loads.
func TestOverlappingBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(999), newMap()), "", nil)
		cache := chain.NewCache[int](c, nil)
		var mu sync.Mutex
		count := map[string]int{}
		load := func(_ context.Context, keys []string) (map[string]int, error) {
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			out := map[string]int{}
			for _, key := range keys {
				count[key]++
				out[key] = len(key)
			}
			return out, nil
		}
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				var keys []string
				for j := range 20 {
					keys = append(keys, fmt.Sprint("k", (i*7+j)%60))
				}
				r, err := cache.GetOrLoadMany(t.Context(), keys, load)
				if err != nil || len(r.Values()) != 20 {
					t.Errorf("%d values, %v", len(r.Values()), err)
				}
				_, err = cache.GetOrLoad(t.Context(), keys[0], func(ctx context.Context, key string) (int, error) {
					m, err := load(ctx, []string{key})
					return m[key], err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for key, n := range count {
			if n != 1 {
				t.Errorf("%s was loaded %d times", key, n)
			}
		}
	})
}

// What a batch loader returned is kept even where it also failed, and a batch of
// stale values answers at once.
func TestPartialAndStaleBatches(t *testing.T) {
	each(t, `rules: [{keys: "k:{id}", ttl: 10s, stale_while_revalidate: 1m}]`, nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		ctx := t.Context()
		keys := []string{"k:1", "k:2", "k:3"}
		r, err := cache.GetOrLoadMany(ctx, keys, func(context.Context, []string) (map[string]int, error) {
			return map[string]int{"k:1": 1, "k:2": 2}, errBoom
		})
		if len(r.Values()) != 2 || !errors.Is(r["k:3"].Err, errBoom) || !errors.Is(err, errBoom) {
			t.Errorf("%v, %v", r, err)
		}
		flush(t, c)
		r, err = cache.GetMany(ctx, keys)
		if err != nil || len(r.Values()) != 2 {
			t.Errorf("%v, %v", r, err)
		}
		time.Sleep(20 * time.Second)
		start := time.Now()
		r, err = cache.GetOrLoadMany(ctx, keys[:2], func(_ context.Context, keys []string) (map[string]int, error) {
			time.Sleep(time.Second)
			return map[string]int{"k:1": 10, "k:2": 20}, nil
		})
		if err != nil || r["k:1"].Value != 1 || r["k:2"].Value != 2 || time.Since(start) > 0 {
			t.Errorf("%v, %v after %v; want the stale values at once", r, err, time.Since(start))
		}
		flush(t, c)
		r, err = cache.GetMany(ctx, keys[:2])
		if err != nil || r["k:1"].Value != 10 || r["k:2"].Value != 20 {
			t.Errorf("%v, %v; want what the refresh loaded", r, err)
		}
	})
}
