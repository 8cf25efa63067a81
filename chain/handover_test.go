package chain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// prompt is a store that promises to return when a context ends.
type prompt struct{ *faultstore.Store }

func (prompt) Interruptible() {}

// inBothWays runs a test over a slow tier that readers call themselves, and over
// one that they have called.
func inBothWays(t *testing.T, test func(t *testing.T, slow *faultstore.Store, c *chain.Chain)) {
	for name, as := range map[string]func(*faultstore.Store) store.Store{
		"interruptible": func(s *faultstore.Store) store.Store { return prompt{s} },
		"any":           func(s *faultstore.Store) store.Store { return s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := faultstore.New(newMap())
				test(t, slow, newChain(t, two(newObjects(0), as(slow)), "", nil))
			})
		})
	}
}

// A reader who walks himself and leaves does not take the walk with him: those who
// joined it get the value, found or loaded.
func TestWalkIsHandedOn(t *testing.T) {
	inBothWays(t, func(t *testing.T, slow *faultstore.Store, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		for _, key := range []string{"found", "a", "b", "c"} {
			noErr(t, cache.Set(t.Context(), key, 1))
		}
		_, err := cache.Get(t.Context(), "found") // the first look at the barriers
		noErr(t, err)
		loadAll := func(_ context.Context, missing []string) (map[string]int, error) {
			m := make(map[string]int)
			for _, key := range missing {
				m[key] = 1
			}
			return m, nil
		}
		calls := map[string]func(ctx context.Context) (int, error){
			"found":  func(ctx context.Context) (int, error) { return cache.Get(ctx, "found") },
			"loaded": func(ctx context.Context) (int, error) { return cache.GetOrLoad(ctx, "loaded", loads(1)) },
			"found many": func(ctx context.Context) (int, error) {
				r, err := cache.GetMany(ctx, []string{"a", "b"})
				return least(r), err
			},
			"loaded many": func(ctx context.Context) (int, error) {
				r, err := cache.GetOrLoadMany(ctx, []string{"c", "d"}, loadAll)
				return least(r), err
			},
		}
		for name, call := range calls {
			synctest.Wait() // what the one before loaded is in the tiers
			slow.Reset()
			slow.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpGetMany, Times: 1, Hang: true})
			before := slow.Calls(faultstore.OpGet) + slow.Calls(faultstore.OpGetMany)
			ctx, cancel := context.WithCancel(t.Context())
			first, second := make(chan error, 1), make(chan int, 1)
			go func() { _, err := call(ctx); first <- err }()
			synctest.Wait() // he hangs in the tier
			go func() {
				v, err := call(t.Context())
				noErr(t, err)
				second <- v
			}()
			synctest.Wait()
			cancel()
			if err := <-first; err != nil && !errors.Is(err, context.Canceled) { // the value may have been as quick
				t.Errorf("%s: who left got %v", name, err)
			}
			if v := <-second; v != 1 {
				t.Errorf("%s: who stayed got %d", name, v)
			}
			if n := slow.Calls(faultstore.OpGet) + slow.Calls(faultstore.OpGetMany) - before; n != 2 {
				t.Errorf("%s: %d reads of the tier; want the one that was left, and one more", name, n)
			}
		}
	})
}

// least returns the least value of a batch.
func least(r chain.Results[int]) int {
	v := 1 << 30
	for _, x := range r {
		v = min(v, x.Value)
	}
	return v
}

// Readers with little time say nothing about the tier: neither do their deadlines
// open its breaker, nor are they reported as its errors.
func TestImpatientReaders(t *testing.T) {
	inBothWays(t, func(t *testing.T, slow *faultstore.Store, c *chain.Chain) {
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "k", 1))
		slow.Inject(faultstore.Fault{Op: faultstore.OpGet, Delay: 100 * time.Millisecond})
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			start := time.Now()
			if _, err := cache.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Get: %v", err)
			}
			if took := time.Since(start); took != time.Millisecond {
				t.Errorf("held for %v", took)
			}
			cancel()
			time.Sleep(time.Second) // the walk goes on, and ends
		}
		if s := c.Stats().Tiers[1]; s.Breaker != "closed" || s.Errors != 0 {
			t.Errorf("%+v", s)
		}
	})
}
