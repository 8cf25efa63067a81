package chain_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
)

const staleRules = `
rules:
  - {keys: "e:{id}", ttl: 10s, stale_if_error: 1h}
  - {keys: "r:{id}", ttl: 10s, stale_while_revalidate: 1h}
`

// A value that a reader took from memory before a Delete must not be put back
// when the load of that reader fails.
func TestStaleIfErrorDoesNotResurrectADelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newHooked()
		c := newChain(t, two(mem, newMap()), staleRules, nil)
		cache := chain.NewCache[string](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "e:1", "old"))
		time.Sleep(11 * time.Second)
		mem.after(1, func() { noErr(t, cache.Delete(ctx, "e:1")) }) // peek, then the read that counts
		_, _ = cache.GetOrLoad(ctx, "e:1", fails[string](errBoom))
		flush(t, c)
		v, err := cache.Get(ctx, "e:1")
		missing(t, v, err)
	})
}

// The same, in a batch.
func TestStaleIfErrorDoesNotResurrectADeleteInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newHooked()
		c := newChain(t, two(mem, newMap()), staleRules, nil)
		cache := chain.NewCache[string](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "e:1", "old"))
		time.Sleep(11 * time.Second)
		mem.after(1, func() { noErr(t, cache.Delete(ctx, "e:1")) })
		_, _ = cache.GetOrLoadMany(ctx, []string{"e:1", "e:2"}, func(context.Context, []string) (map[string]string, error) {
			return nil, errBoom
		})
		flush(t, c)
		v, err := cache.Get(ctx, "e:1")
		missing(t, v, err)
	})
}

// A refresh must not renew a value that was deleted after the reader took it.
func TestNotModifiedDoesNotResurrectADelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newHooked()
		c := newChain(t, two(mem, newMap()), staleRules, nil)
		cache := chain.NewCache[string](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "r:1", "old"))
		time.Sleep(11 * time.Second)
		mem.after(1, func() { noErr(t, cache.Delete(ctx, "r:1")) })
		_, err := cache.Fetch(ctx, "r:1", func(_ context.Context, r chain.Request[string]) (chain.Loaded[string], error) {
			if r.HasStale {
				return chain.Loaded[string]{NotModified: true}, nil
			}
			return chain.Loaded[string]{Value: "new"}, nil
		})
		noErr(t, err) // this reader was there first: it may see the old value
		flush(t, c)
		if v, err := cache.Get(ctx, "r:1"); err == nil && v == "old" {
			t.Fatal("the refresh renewed a deleted value")
		}
	})
}

// A reader that joins a flight after the Delete must not be served from what the
// flight's leader had in hand before it.
func TestJoinersAfterADeleteDoNotSeeTheLeadersStaleValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, disk := newHooked(), newMap()
		c := newChain(t, two(mem, disk), staleRules, nil)
		cache := chain.NewCache[string](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "e:1", "old"))
		time.Sleep(11 * time.Second)
		mem.after(1, func() { noErr(t, cache.Delete(ctx, "e:1")) })
		leader := make(chan struct{})
		go func() {
			defer close(leader)
			_, _ = cache.GetOrLoad(ctx, "e:1", func(context.Context, string) (string, error) {
				time.Sleep(time.Second)
				return "", errBoom
			})
		}()
		synctest.Wait() // the leader is loading; the Delete has returned
		v, err := cache.GetOrLoad(ctx, "e:1", fails[string](errBoom))
		if err == nil {
			t.Fatalf("a reader that came after the Delete got %q", v)
		}
		<-leader
	})
}
