package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// A write that its tier has yet to take outlives the bound of memory.
func TestPendingWriteOutlivesMemorysBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9), TTL: time.Second}, {Name: "disk", Store: disk, WriteBack: true}}, "", nil)
		cache := chain.NewCache[string](c, nil)
		stop := disk.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "v"))
		for range 5 {
			time.Sleep(10 * time.Second)
			v, err := cache.Get(t.Context(), "k")
			want(t, v, err, "v")
		}
		stop()
		flush(t, c)
	})
}

// slowText is a codec that takes its time.
type slowText struct{ marshal.Codec[string] }

func (s slowText) Decode(data []byte) (string, error) {
	time.Sleep(5 * time.Millisecond)
	return s.Codec.Decode(data)
}

// A value that a tier has is found, however short memory's bound is beside what
// reading and decoding it takes.
func TestMemorysBoundIsNotTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := newMap()
		far.Plant("k", store.Entry{Value: []byte(`"v"`), Version: 1 << 20})
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9), TTL: time.Millisecond}, {Name: "far", Store: far}}, "", nil)
		cache := chain.NewCache(c, &chain.CacheOptions[string]{Codec: slowText{marshal.JSON[string]()}})
		v, err := cache.Get(t.Context(), "k")
		want(t, v, err, "v")
		ctx, cancel := context.WithCancel(t.Context()) // walked for elsewhere if it ends
		defer cancel()
		v, err = cache.Get(ctx, "k")
		want(t, v, err, "v")
		v, err = cache.GetOrLoad(t.Context(), "k", loads("loaded"))
		want(t, v, err, "v")
		many, err := cache.GetMany(t.Context(), []string{"k"})
		noErr(t, err)
		v, err = many.Get("k")
		want(t, v, err, "v")
	})
}

// Deadlines in a lower tier stay exactly that after promotion: sub-second ones,
// none at all, and the soft one.
func TestDeadlinesSurvivePromotion(t *testing.T) {
	for _, name := range []string{"400 ms", "never", "grace"} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			e := map[string]store.Entry{
				"400 ms": {Expires: now.Add(400 * time.Millisecond)},
				"never":  {},
				"grace":  {Fresh: now.Add(time.Minute), Expires: now.Add(time.Hour)},
			}[name]
			near, far := newMap(), newMap()
			c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: near}, {Name: "far", Store: far}}, "", nil)
			e.Value, e.Version = []byte(`"v"`), 1<<20
			far.Plant("k", e)
			v, err := chain.NewCache(c, &chain.CacheOptions[string]{Codec: marshal.JSON[string]()}).Get(t.Context(), "k")
			want(t, v, err, "v")
			flush(t, c)
			got, ok := near.Peek("k")
			if !ok || !got.Expires.Equal(e.Expires) || !got.Fresh.Equal(e.Fresh) || got.Version != e.Version {
				t.Errorf("%s: promoted as %+v; want the deadlines of %+v", name, got, e)
			}
			x, err := c.Explain(t.Context(), "k")
			noErr(t, err)
			if !x.Tiers[0].Present || !x.Tiers[0].Expires.Equal(e.Expires) || !x.Tiers[0].Fresh.Equal(e.FreshUntil()) {
				t.Errorf("%s: memory has %+v; want the deadlines of %+v", name, x.Tiers[0], e)
			}
			time.Sleep(400 * time.Millisecond)
			if v, err := chain.NewCache(c, &chain.CacheOptions[string]{Codec: marshal.JSON[string]()}).Get(t.Context(), "k"); (err == nil) != (name != "400 ms") {
				t.Errorf("%s: %q, %v after 400 ms", name, v, err)
			}
		})
	}
}

// A tier's own bound shortens what it is given, and is applied anew on each fill.
func TestBoundsOfTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newMap(), newMap()
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: near, TTL: 10 * time.Second}, {Name: "far", Store: far},
		}, `rules: [{keys: "k", ttl: 100s, tier_ttl: {memory: 2s}}]`, nil)
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "k", 1))
		for range 9 {
			e, _ := near.Peek("k")
			if left := time.Until(e.Expires); left > 10*time.Second {
				t.Errorf("%v left in the near tier", left)
			}
			time.Sleep(11 * time.Second)
			v, err := cache.Get(t.Context(), "k")
			want(t, v, err, 1)
			flush(t, c)
			x, _ := c.Explain(t.Context(), "k")
			if left := time.Until(x.Tiers[0].Expires); left > 2*time.Second {
				t.Errorf("%v left in memory", left)
			}
		}
		time.Sleep(time.Second)
		v, err := cache.Get(t.Context(), "k")
		missing(t, v, err)
	})
}

// 200 concurrent Gets of a key in the last tier: one read, one fill.
func TestOneReadAndOneFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, slow := newMap(), faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: near}, {Name: "far", Store: slow}}, "", nil)
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "k", 7))
		noErr(t, near.Delete(t.Context(), "k"))
		again := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: near}, {Name: "far", Store: slow}}, "", nil)
		fresh := chain.NewCache[int](again, nil)
		slow.Reset()
		slow.Inject(faultstore.Fault{Op: faultstore.OpGet, Delay: 100 * time.Millisecond})
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				v, err := fresh.Get(t.Context(), "k")
				if err != nil || v != 7 {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wg.Wait()
		flush(t, again)
		if n := slow.Calls(faultstore.OpGet); n != 1 {
			t.Errorf("%d reads of the far tier; want one", n)
		}
		if n := near.Fills("k"); n != 1 {
			t.Errorf("%d fills of the near tier; want one", n)
		}
		v, err := fresh.Get(t.Context(), "k")
		want(t, v, err, 7)
		if s := again.Stats(); s.Tiers[0].Hits != 1 || s.Tiers[2].Hits != 1 || s.Tiers[1].Misses != 1 || s.Misses != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Get racing Delete, and Get racing Set: nothing old comes back, also where memory
// refuses and drops, and over three tiers.
func TestNoOldValueComesBack(t *testing.T) {
	for name, shape := range linearShapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, shape(), "", nil)
			cache := chain.NewCache[int](c, nil)
			ctx := t.Context()
			rounds := 2000
			if testing.Short() || raceEnabled {
				rounds = 300
			}
			for i := 1; i <= rounds; i++ {
				key := fmt.Sprint("k", i%3)
				noErr(t, cache.Set(ctx, key, i))
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() { _, _ = cache.Get(ctx, key) })
				}
				if i%2 == 0 {
					noErr(t, cache.Delete(ctx, key))
					if v, err := cache.Get(ctx, key); err == nil {
						t.Fatalf("round %d: %d after Delete returned", i, v)
					}
				} else {
					noErr(t, cache.Set(ctx, key, -i))
					if v, err := cache.Get(ctx, key); err != nil || v != -i {
						t.Fatalf("round %d: %d, %v after Set of %d returned", i, v, err, -i)
					}
				}
				wg.Wait()
				if v, err := cache.Get(ctx, key); i%2 == 0 && err == nil || i%2 == 1 && v != -i {
					t.Fatalf("round %d: %d, %v after the readers returned", i, v, err)
				}
			}
		})
	}
}

// A value of another type is a counted miss that reloads, never a zero value
// without an error.
func TestTypeChange(t *testing.T) {
	type before struct{ Price float64 }
	type after struct{ Cents int64 }
	each(t, "", nil, func(t *testing.T, c *chain.Chain) {
		ctx := t.Context()
		noErr(t, chain.NewCache[before](c, nil).Set(ctx, "k", before{1.5}))
		flush(t, c)
		cache := chain.NewCache[after](c, nil)
		v, err := cache.Get(ctx, "k")
		missing(t, v, err)
		if c.Stats().TypeMisses == 0 && len(c.Stats().Tiers) > 0 && c.Stats().Tiers[0].Hits > 0 {
			t.Error("the miss was not counted")
		}
		v, err = cache.GetOrLoad(ctx, "k", loads(after{150}))
		want(t, v, err, after{150})
		flush(t, c)
		v, err = cache.Get(ctx, "k")
		want(t, v, err, after{150})
	})
}

// Poisoned bytes cost one load.
func TestPoisonedValueIsReplaced(t *testing.T) {
	disk := newMap()
	c := newChain(t, two(newObjects(9), disk), "", nil)
	cache := chain.NewCache[map[string]int](c, nil)
	disk.Plant("k", store.Entry{Value: []byte("{broken"), Codec: "json", Version: 5})
	n := 0
	for range 3 {
		_, err := cache.GetOrLoad(t.Context(), "k", func(context.Context, string) (map[string]int, error) { n++; return map[string]int{"a": 1}, nil })
		noErr(t, err)
	}
	flush(t, c)
	if e, _ := disk.Peek("k"); n != 1 || string(e.Value) == "{broken" || c.Stats().TypeMisses != 1 {
		t.Errorf("%d loads, tier holds %q, %d misses counted", n, e.Value, c.Stats().TypeMisses)
	}
}

// 100 chains, opened and closed with work under way, leave no goroutine.
func TestChainsLeaveNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for range 100 {
		c, err := chain.New([]chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "near", Store: newMap()}, {Name: "far", Store: newMap(), WriteBack: true}}, nil, nil)
		noErr(t, err)
		cache := chain.NewCache[int](c, nil)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				_, _ = cache.GetOrLoad(t.Context(), fmt.Sprint(i), loads(i))
				_ = cache.Set(t.Context(), "k", i)
			})
		}
		noErr(t, c.Close(t.Context()))
		wg.Wait()
	}
}
