package chain_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// The model and linearizability tests are worth only what they find: each of the
// bugs planted here must be found.

func TestHistoriesFindPlantedBugs(t *testing.T) {
	for name, plant := range map[string]func(*chain.Chain){
		"fences are always open":    chain.BreakFences,
		"flights are not forgotten": chain.BreakFlights,
	} {
		t.Run(name, func(t *testing.T) {
			shape := linearShapes()["forgetful"]
			for i := range 2000 {
				tiers := shape()
				tiers[1].Store = dawdler{tiers[1].Store}
				c := newChain(t, tiers, "", nil)
				plant(c)
				ok := linear(t, c, fmt.Sprint("k", i), 5, 40)
				noErr(t, c.Close(t.Context()))
				if !ok {
					return
				}
			}
			t.Error("no history showed it")
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
			return ofBytes(s, func() store.Store { return liar{bare{s}, new(int)} })
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
	n *int
}

func (s liar) Get(ctx context.Context, key string) (store.Entry, error) {
	if *s.n++; *s.n%3 == 0 {
		return store.Entry{}, store.ErrNotFound
	}
	return s.bare.Get(ctx, key)
}
