package chain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// A batch draws its versions, and then waits for the keys that others are writing. Until
// it has them all it changes nothing, and its other keys go on as if it had not come.

// behind runs f while a batch that writes "z", too, waits for "a", which is being written
// to the disk for a second. It returns when both have been written.
func behind(t *testing.T, disk *faultstore.Store, cache *chain.Cache[int], batch func(context.Context) error, f func()) {
	t.Helper()
	ctx := t.Context()
	defer disk.Inject(faultstore.Fault{
		Op: faultstore.OpSet, Key: func(key string) bool { return key == "a" }, Delay: time.Second, Times: 1,
	})()
	results := make(chan error, 2)
	go func() { results <- cache.Set(ctx, "a", 1) }()
	synctest.Wait()
	go func() { results <- batch(ctx) }()
	synctest.Wait()
	time.Sleep(100 * time.Millisecond)
	f()
	noErr(t, <-results)
	noErr(t, <-results)
}

// What is loaded while a write of the key waits for its turn is in memory at once,
// although the tiers are slow to take it: the next reader is not given less, and has
// nothing loaded.
func TestLoadBeforeAWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		disk := faultstore.New(newMap())
		c := newChain(t, two(newObjects(9), disk), "", nil)
		cache := chain.NewCache[int](c, nil)
		var loads atomic.Int64
		load := func(context.Context, string) (int, error) { return int(100 + loads.Add(1)), nil }
		batch := func(ctx context.Context) error { return cache.SetMany(ctx, map[string]int{"a": 2, "z": 3}) }
		behind(t, disk, cache, batch, func() {
			defer disk.Inject(faultstore.Fault{Op: faultstore.OpFill, Delay: 100 * time.Millisecond})()
			for range 3 {
				v, err := cache.GetOrLoad(ctx, "z", load)
				want(t, v, err, 101)
			}
			time.Sleep(time.Second / 2)
			v, err := cache.Get(ctx, "z")
			want(t, v, err, 101)
		})
		if n := loads.Load(); n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
		v, err := cache.Get(ctx, "z")
		want(t, v, err, 3)
		noErr(t, c.Close(ctx))
	})
}

// newest is a shared tier that compares versions, as redisstore does where there is a
// feed: what is older than what it holds changes nothing.
type newest struct{ *mapStore }

func (s newest) Set(ctx context.Context, key string, e store.Entry) error {
	_, err := s.Fill(ctx, key, e)
	return err
}

func (newest) Close() error { return nil } // not with one process

func (s newest) TombstoneTTL() time.Duration { return 0 }

func (s newest) DeleteVersions(ctx context.Context, versions map[string]uint64) error {
	for key, v := range versions {
		if e, ok := s.Peek(key); ok && e.Version > v {
			continue
		}
		if err := s.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// What is loaded while a write of the key waits for its turn, and put into a tier that
// compares versions, is older there than the write, whose version was drawn before.
func TestWaitingWriteIsNewerThanALoad(t *testing.T) {
	for what, write := range map[string]func(context.Context, *chain.Cache[int]) error{
		"set": func(ctx context.Context, cache *chain.Cache[int]) error {
			return cache.SetMany(ctx, map[string]int{"a": 2, "z": 3})
		},
		"delete": func(ctx context.Context, cache *chain.Cache[int]) error {
			return cache.Delete(ctx, "a", "z")
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				disk, redis := faultstore.New(newMap()), newest{newMap()}
				c := newChain(t, []chain.Tier{{Name: "redis", Store: redis, Shared: true}, {Name: "disk", Store: disk}}, "", nil)
				cache := chain.NewCache[int](c, nil)
				behind(t, disk, cache, func(ctx context.Context) error { return write(ctx, cache) }, func() {
					v, err := cache.GetOrLoad(ctx, "z", loads(101))
					want(t, v, err, 101)
					flush(t, c)
					if _, ok := redis.Peek("z"); !ok {
						t.Fatal("the tier has not taken what was loaded")
					}
				})
				v, err := cache.Get(ctx, "z")
				if what == "delete" {
					missing(t, v, err)
				} else {
					want(t, v, err, 3)
				}
				noErr(t, c.Close(ctx))
			})
		})
	}
}
