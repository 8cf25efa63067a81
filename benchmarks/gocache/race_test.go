package gocache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eko/gocache/lib/v4/cache"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// rounds is how often a race is tried.
func rounds() int {
	if testing.Short() {
		return 100
	}
	return 2_000
}

// together runs the functions at once and waits for all.
func together(fs ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, f := range fs {
		wg.Go(func() {
			<-start
			f()
		})
	}
	close(start)
	wg.Wait()
}

// race is one round: a read whose answer is on its way from the far tier while
// something is done to its key. The far tier calls answering when it has read
// the value, and returns it only after that.
type race struct{ reading, acted chan struct{} }

func newRace() *race { return &race{make(chan struct{}), make(chan struct{})} }

// answering is called by the far tier between reading and returning.
func (r *race) answering() {
	close(r.reading)
	<-r.acted
}

// run reads and acts.
func (r *race) run(read, act func()) {
	together(read, func() {
		<-r.reading
		defer close(r.acted)
		act()
	})
}

// slowAnswer is a store whose answer to a Get takes its time.
type slowAnswer struct {
	store.Store
	race atomic.Pointer[race] // of the next Get
}

func (s *slowAnswer) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.Store.Get(ctx, key)
	if r := s.race.Swap(nil); r != nil {
		r.answering()
	}
	return e, err
}

// strataRace reads a key that only the second tier holds while act happens, and
// counts the rounds after which bad holds.
func strataRace(t *testing.T, act func(c *chain.Cache[string], key string) error, bad func(v string, err error) bool) (n int) {
	far := &slowAnswer{Store: memory(t)}
	c := strataChain(t, policy.Rule{}, nil,
		chain.Tier{Name: "memory", Store: memory(t)}, chain.Tier{Name: "far", Store: far})
	cache := chain.NewCache[string](c, nil)
	ctx := t.Context()
	for i := range rounds() {
		key := strconv.Itoa(i)
		if err := far.Set(ctx, key, store.Entry{Value: []byte("old")}); err != nil {
			t.Fatal(err)
		}
		r := newRace()
		far.race.Store(r)
		r.run(func() { _, _ = cache.Get(ctx, key) }, func() {
			if err := act(cache, key); err != nil {
				t.Error(err)
			}
		})
		if err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if bad(cache.Get(ctx, key)) {
			n++
		}
	}
	return n
}

func strataGetDelete(t *testing.T) verdict {
	n := strataRace(t,
		func(c *chain.Cache[string], key string) error { return c.Delete(t.Context(), key) },
		func(_ string, err error) bool { return !errors.Is(err, store.ErrNotFound) })
	return holds(n == 0, "back in %d of %d rounds", n, rounds())
}

func strataGetSet(t *testing.T) verdict {
	n := strataRace(t,
		func(c *chain.Cache[string], key string) error { return c.Set(t.Context(), key, "new") },
		func(v string, err error) bool { return v != "new" || err != nil })
	return holds(n == 0, "old value in %d of %d rounds", n, rounds())
}

// gocacheRace does the same with gocache.
func gocacheRace(t *testing.T, act func(c *cache.ChainCache[string], key string) error, bad func(v string, err error) bool) (n int) {
	near, far := newMapStore(), newMapStore()
	c := gocacheChain[string](near, far)
	ctx := t.Context()
	for i := range rounds() {
		key := strconv.Itoa(i)
		if err := far.Set(ctx, key, "old"); err != nil {
			t.Fatal(err)
		}
		r := newRace()
		far.answering.Store(r)
		r.run(func() { _, _ = c.Get(ctx, key) }, func() {
			if err := act(c, key); err != nil {
				t.Error(err)
			}
		})
		settle(t, c, near, far, "marker"+key)
		if bad(c.Get(ctx, key)) {
			n++
		}
	}
	return n
}

func gocacheGetDelete(t *testing.T) verdict {
	n := gocacheRace(t,
		func(c *cache.ChainCache[string], key string) error { return c.Delete(t.Context(), key) },
		func(_ string, err error) bool { return err == nil })
	return holds(n == 0, "back in %d of %d rounds", n, rounds())
}

func gocacheGetSet(t *testing.T) verdict {
	n := gocacheRace(t,
		func(c *cache.ChainCache[string], key string) error { return c.Set(t.Context(), key, "new") },
		func(v string, err error) bool { return v != "new" || err != nil })
	return holds(n == 0, "old value in %d of %d rounds", n, rounds())
}
