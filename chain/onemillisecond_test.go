package chain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// Versions of two processes do not tell which came first within a millisecond. Time
// stands still in these tests, but where they sleep.

// elsewhere is what another process does to "k" under the given version: it writes value,
// or deletes the key where that is empty, and tells of it.
func elsewhere(t *testing.T, w *wire, redis *mapStore, value string, version uint64) {
	t.Helper()
	if value == "" {
		must(t, newest{redis}.DeleteVersions(t.Context(), map[string]uint64{"k": version}))
	} else {
		redis.Plant("k", store.Entry{Value: []byte(value), Version: version, Codec: "text"})
	}
	must(t, w.port(9).Publish(t.Context(), []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: version}}))
	synctest.Wait()
}

// What this process loaded gives way to what another wrote or deleted in the millisecond
// in which the load began: the load may have been first. That goes for memory and for the
// disk behind the shared tier.
func TestLoadGivesWayToForeignWrites(t *testing.T) {
	loaders := map[string]func(context.Context, *chain.Cache[string]) error{
		"load": func(ctx context.Context, c *chain.Cache[string]) error {
			_, err := c.GetOrLoad(ctx, "k", loads("loaded"))
			return err
		},
		"batch": func(ctx context.Context, c *chain.Cache[string]) error {
			_, err := c.GetOrLoadMany(ctx, []string{"k", "l"}, func(_ context.Context, keys []string) (map[string]string, error) {
				return map[string]string{"k": "loaded", "l": "loaded"}, nil
			})
			return err
		},
		"not modified": func(ctx context.Context, c *chain.Cache[string]) error {
			if err := c.Set(ctx, "k", "loaded"); err != nil {
				return err
			}
			time.Sleep(90 * time.Minute) // past its soft deadline
			_, err := c.Fetch(ctx, "k", func(context.Context, chain.Request[string]) (chain.Loaded[string], error) {
				return chain.Loaded[string]{NotModified: true}, nil
			})
			return err
		},
	}
	for name, load := range loaders {
		for _, value := range []string{"", "theirs"} {
			t.Run(name+"/"+value, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, redis, disk := &wire{}, newMap(), newMap()
					c := newChain(t, []chain.Tier{
						{Name: "memory", Store: newObjects(100)}, {Name: "redis", Store: newest{redis}, Shared: true}, {Name: "disk", Store: disk},
					}, "rules: [{keys: '*', ttl: 1h, stale_if_error: 1h}]", &chain.Options{Feed: w.port(1)})
					cache := chain.NewCache[string](c, nil)
					synctest.Wait()
					must(t, load(t.Context(), cache))
					flush(t, c)
					e, _ := redis.Peek("k")
					if string(e.Value) != "loaded" || e.Version&0xffff != 0 {
						t.Fatalf("the shared tier holds %q of version %x; want what was loaded, at the begin of its millisecond", e.Value, e.Version)
					}
					elsewhere(t, w, redis, value, e.Version+1)
					time.Sleep(time.Second)
					got, err := cache.Get(t.Context(), "k")
					if got != value || (value == "") != errors.Is(err, store.ErrNotFound) {
						t.Errorf("read %q, %v; the shared tier holds %q", got, err, value)
					}
					if e, ok := disk.Peek("k"); ok && string(e.Value) == "loaded" {
						t.Error("the disk still holds what was loaded")
					}
				})
			})
		}
	}
}

// What was loaded while another's write was on its way to the shared tier, and was kept
// from that by the news of it, is not kept by memory either.
func TestLoadMeetsAForeignWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		synctest.Wait()
		stamped := uint64(time.Now().UnixMilli())<<16 | 7
		time.Sleep(10 * time.Millisecond)
		_, err := a.GetOrLoad(t.Context(), "k", loads("loaded"))
		must(t, err)
		flush(t, a.Chain())
		elsewhere(t, w, redis, "theirs", stamped)
		a.want(t, "k", "theirs")
	})
}

// What this process wrote later in a millisecond than another stays, and is not read anew.
func TestForeignWriteOfOneMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		synctest.Wait()
		must(t, a.Set(t.Context(), "k", "mine"))
		e, _ := redis.Peek("k")
		must(t, w.port(9).Publish(t.Context(), []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: e.Version - 1}}))
		synctest.Wait()
		reads := redis.Reads("k")
		a.want(t, "k", "mine")
		if n := redis.Reads("k") - reads; n != 0 {
			t.Errorf("%d reads of the shared tier for what is held", n)
		}
		if !on(a.disk, "k") {
			t.Error("the disk has lost it")
		}
	})
}

// Two processes' writes of one version: whichever the shared tier has is the one.
func TestTwoWritesOfOneVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		synctest.Wait()
		must(t, a.Set(t.Context(), "k", "mine"))
		flush(t, a.Chain())
		e, _ := redis.Peek("k")
		elsewhere(t, w, redis, "theirs", e.Version)
		a.want(t, "k", "theirs")
		flush(t, a.Chain())
		if d, ok := a.disk.Peek("k"); ok && string(d.Value) == "mine" {
			t.Error("the disk still holds what the shared tier has not")
		}
	})
}

// A plain value has no version in the shared tier, which has what came last: memory does
// not keep what is later by version.
func TestForeignWriteOfAPlainKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(100)}, {Name: "redis", Store: redis, Shared: true},
		}, "rules: [{keys: '*', ttl: 1h, wire: plain}]", &chain.Options{Feed: w.port(1)})
		cache := chain.NewCache[string](c, nil)
		synctest.Wait()
		must(t, cache.Set(t.Context(), "k", "mine"))
		e, _ := redis.Peek("k")
		redis.Plant("k", store.Entry{Value: []byte("theirs"), Codec: "text"}) // stamped before, written after
		must(t, w.port(9).Publish(t.Context(), []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: e.Version - 1<<16}}))
		synctest.Wait()
		got, err := cache.Get(t.Context(), "k")
		want(t, got, err, "theirs")
	})
}

// News that the shared tier has lost a write does not cost the process that wrote it what
// it holds: that is what can be put back.
func TestNewsOfALossLeavesTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		synctest.Wait()
		must(t, a.Set(t.Context(), "k", "mine"))
		e, _ := redis.Peek("k")
		must(t, newest{redis}.DeleteVersions(t.Context(), map[string]uint64{"k": e.Version}))
		must(t, w.port(9).Publish(t.Context(), []store.Change{{Kind: store.ChangeLost, Key: "k", Version: e.Version}}))
		synctest.Wait()
		a.want(t, "k", "mine")
		if !on(a.disk, "k") {
			t.Error("the disk has lost it")
		}
	})
}

// News of a lost write that a process knew already takes what is older out of its memory
// all the same: it may have been read from the shared tier since.
func TestNewsOfALossTakesWhatIsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		synctest.Wait()
		must(t, a.Set(t.Context(), "k", "before"))
		old, _ := redis.Peek("k")
		time.Sleep(time.Second)
		must(t, a.Set(t.Context(), "k", "after"))
		after, _ := redis.Peek("k")
		time.Sleep(time.Second) // b knows
		redis.Plant("k", old)
		b.want(t, "k", "before") // there has been no gap: nothing tells it that this was lost
		redis.Plant("k", after)
		must(t, w.port(9).Publish(t.Context(), []store.Change{{Kind: store.ChangeLost, Key: "k", Version: after.Version}}))
		synctest.Wait()
		b.want(t, "k", "after")
	})
}
