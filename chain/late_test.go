package chain_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// A loader, of one key or of many, that takes no notice of its context is left behind,
// and returns in the end: what it returns is stored nowhere, whether the key has been
// written, deleted or loaded since, or not been touched.
func TestLateLoadsReplaceNothing(t *testing.T) {
	type step func(ctx context.Context, cache *chain.Cache[string]) error
	for name, since := range map[string]struct {
		do   step
		want string
	}{
		"set":     {func(ctx context.Context, c *chain.Cache[string]) error { return c.Set(ctx, "k", "new") }, "new"},
		"deleted": {func(ctx context.Context, c *chain.Cache[string]) error { return c.Delete(ctx, "k") }, ""},
		"cleared": {func(ctx context.Context, c *chain.Cache[string]) error { return c.Chain().Clear(ctx) }, ""},
		"loaded": {func(ctx context.Context, c *chain.Cache[string]) error {
			_, err := c.GetOrLoad(ctx, "k", loads("new"))
			return err
		}, "new"},
		"left off": {func(context.Context, *chain.Cache[string]) error { return nil }, ""},
	} {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/many=%v", name, many), func(t *testing.T) {
				each(t, "", &chain.Options{LoadTimeout: time.Second}, func(t *testing.T, c *chain.Chain) {
					cache := chain.NewCache[string](c, nil)
					release := make(chan struct{})
					start := time.Now()
					if err := loadLate(t.Context(), cache, many, release); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
						t.Errorf("%v after %v; want the timeout of loads", err, time.Since(start))
					}
					noErr(t, since.do(t.Context(), cache))
					close(release)
					synctest.Wait()
					flush(t, c)
					v, err := cache.Get(t.Context(), "k")
					if v != since.want || (since.want == "") != errors.Is(err, store.ErrNotFound) {
						t.Errorf("%q, %v; want %q", v, err, since.want)
					}
				})
			})
		}
	}
}

// loadLate loads k by a loader that waits for release only.
func loadLate(ctx context.Context, cache *chain.Cache[string], many bool, release chan struct{}) error {
	if !many {
		_, err := cache.GetOrLoad(ctx, "k", func(context.Context, string) (string, error) {
			<-release
			return "late", nil
		})
		return err
	}
	_, err := cache.GetOrLoadMany(ctx, []string{"k", "other"}, func(context.Context, []string) (map[string]string, error) {
		<-release
		return map[string]string{"k": "late", "other": "late"}, nil
	})
	return err
}

// Who leads the loads of a batch leaves, by his own deadline: another batch and a
// single reader that wait for some of its keys get their values, of the one load.
func TestLeaderOfABatchLeavesAlone(t *testing.T) {
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		n := 0
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			n++
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			m := map[string]int{}
			for _, key := range keys {
				m[key] = len(key)
			}
			return m, nil
		}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err := cache.GetOrLoadMany(ctx, []string{"a", "bb", "ccc"}, load)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Millisecond {
				t.Errorf("who gave up got %v after %v", err, time.Since(start))
			}
		})
		synctest.Wait() // it loads
		wg.Go(func() {
			r, err := cache.GetOrLoadMany(t.Context(), []string{"bb", "ccc"}, load)
			if err != nil || r["bb"].Value != 2 || r["ccc"].Value != 3 {
				t.Errorf("another batch: %v, %v", r, err)
			}
		})
		wg.Go(func() {
			v, err := cache.GetOrLoad(t.Context(), "a", loads(9))
			want(t, v, err, 1)
		})
		wg.Wait()
		if n != 1 || time.Since(start) != time.Second {
			t.Errorf("%d loads, after %v; want one, of a second", n, time.Since(start))
		}
	})
}

// The clock is set back by a day after an entry was written: its deadline, which is a
// time of the wall clock, is that much farther away now. The bound of a nearer tier
// counts from now and caps it there; the next write of the key has the newer version
// all the same, and its own time to live.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 23 * time.Hour // less than clock.MaxAhead
		near, far := newMap(), newMap()
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: near, TTL: time.Minute}, {Name: "far", Store: far},
		}, `rules: [{keys: "k", ttl: 100s, tier_ttl: {memory: 2s}}]`, nil)
		cache := chain.NewCache[string](c, nil)
		then := time.Now().Add(ahead)
		far.Plant("k", store.Entry{Value: []byte("old"), Version: versionAt(then), Expires: then.Add(100 * time.Second), Codec: "text"})
		v, err := cache.Get(t.Context(), "k")
		want(t, v, err, "old")
		flush(t, c)
		if e, _ := near.Peek("k"); e.Expires.IsZero() || time.Until(e.Expires) > time.Minute {
			t.Errorf("the near tier keeps it until %v", e.Expires)
		}
		far.Wipe() // whoever made the mistake corrects it there
		time.Sleep(time.Minute + time.Millisecond)
		v, err = cache.Get(t.Context(), "k")
		missing(t, v, err)
		far.Plant("k", store.Entry{Value: []byte("old"), Version: versionAt(then), Expires: then.Add(100 * time.Second), Codec: "text"})
		noErr(t, cache.Set(t.Context(), "k", "new"))
		flush(t, c)
		if e, _ := far.Peek("k"); string(e.Value) != "new" || e.Version <= versionAt(then) || time.Until(e.Expires) > 100*time.Second {
			t.Errorf("the far tier holds %q, version %d of %d, until %v", e.Value, e.Version, versionAt(then), e.Expires)
		}
		time.Sleep(101 * time.Second)
		v, err = cache.Get(t.Context(), "k")
		missing(t, v, err)
	})
}
