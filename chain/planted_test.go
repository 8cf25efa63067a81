package chain_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// The model and linearizability tests are worth only what they find: each of the
// bugs planted here must be found.

func TestHistoriesFindOpenFences(t *testing.T) {
	for i := range 500 {
		tiers := linearShapes()["forgetful"]()
		tiers[1].Store = dawdler{tiers[1].Store}
		c := newChain(t, tiers, "", nil)
		chain.BreakFences(c)
		if !linear(t, c, fmt.Sprint("k", i), 5, 40, false) {
			return
		}
	}
	t.Error("no history showed it")
}

// Memory's value of before a Set that waits for its flush is served.
func TestHistoriesFindUnretiredValues(t *testing.T) {
	for i := range 500 {
		c := newChain(t, linearShapes()["back"](), "", &chain.Options{Pending: chain.PendingOptions{Interval: time.Microsecond}})
		chain.BreakRetire(c)
		if !linear(t, c, fmt.Sprint("k", i), 5, 25, true) {
			return
		}
	}
	t.Error("no history showed it")
}

// A reader who comes after a write, and joins the load that began before it, gets
// what the write replaced.
func TestForgottenFlights(t *testing.T) {
	for _, broken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(0)}, {Name: "disk", Store: newMap()}}, "", nil)
			if broken {
				chain.BreakFlights(c)
			}
			cache := chain.NewCache[string](c, nil)
			go func() {
				_, _ = cache.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { time.Sleep(time.Second); return "old", nil })
			}()
			synctest.Wait()
			noErr(t, cache.Set(t.Context(), "k", "new"))
			v, err := cache.GetOrLoad(t.Context(), "k", loads("newer"))
			if err != nil || (v == "old") != broken {
				t.Errorf("flights broken %v: %q, %v", broken, v, err)
			}
			flush(t, c)
		})
	}
}

// dawdler is a tier that others overtake.
type dawdler struct{ store.Store }

func (s dawdler) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.Store.Get(ctx, key)
	time.Sleep(20 * time.Microsecond)
	return e, err
}

func TestModelFindsPlantedBugs(t *testing.T) {
	for name, spoil := range map[string]func(store.Store) store.Store{
		"memory keeps what is deleted": func(s store.Store) store.Store {
			if o, ok := s.(*objectStore); ok {
				return keeper{o}
			}
			return s
		},
		"a tier loses writes": func(s store.Store) store.Store { return ofBytes(s, func() store.Store { return loser{bare{s}} }) },
		"a tier extends TTLs": func(s store.Store) store.Store { return ofBytes(s, func() store.Store { return extender{bare{s}} }) },
		"a tier says not found when it fails": func(s store.Store) store.Store {
			return ofBytes(s, func() store.Store { return liar{bare{s}, new(atomic.Int64)} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range 2000 {
				if runModel(t, drawShape().Example(seed), drawSteps().Example(seed), spoil) != "" {
					return
				}
			}
			t.Error("no run showed it")
		})
	}
}

// ofBytes replaces tiers of bytes.
func ofBytes(s store.Store, f func() store.Store) store.Store {
	if _, ok := s.(store.Objects); ok {
		return s
	}
	return f()
}

type keeper struct{ *objectStore }

func (s keeper) Delete(context.Context, string) error { return nil }

type loser struct{ bare }

func (loser) Set(context.Context, string, store.Entry) error { return nil }

type extender struct{ bare }

func (s extender) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.bare.Get(ctx, key)
	if !e.Expires.IsZero() {
		e.Expires, e.Fresh = e.Expires.Add(time.Hour), time.Time{}
	}
	return e, err
}

func (s extender) Set(ctx context.Context, key string, e store.Entry) error {
	if !e.Expires.IsZero() && !e.Expired(time.Now()) {
		e.Expires, e.Fresh = e.Expires.Add(time.Hour), time.Time{}
	}
	return s.bare.Set(ctx, key, e)
}

type liar struct {
	bare
	n *atomic.Int64
}

func (s liar) Get(ctx context.Context, key string) (store.Entry, error) {
	if s.n.Add(1)%3 == 0 {
		return store.Entry{}, store.ErrNotFound
	}
	return s.bare.Get(ctx, key)
}
