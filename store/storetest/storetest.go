package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// Options says where a store differs from the full contract. The zero value is
// the full contract.
type Options struct {
	// Evicts: the store may drop entries at any time, so that a miss is right
	// wherever a hit is. The suite then writes an entry again, some twenty
	// times, before it gives up: a store that never holds anything fails.
	Evicts bool

	// NoTags, NoVersion, NoFresh and NoCodec: the store does not keep that
	// field of an entry.
	NoTags, NoVersion, NoFresh, NoCodec bool

	// DeadlineSlack is by how much a returned deadline may differ from the one
	// set, for stores that keep a remaining time in place of a deadline.
	// Differences under a millisecond are always right.
	DeadlineSlack time.Duration

	// MinTTL is the shortest time to live that the store can hold. Cases with
	// a shorter one are skipped.
	MinTTL time.Duration

	// Reopen opens again, after the suite has closed it, the store that the
	// newest call of newStore made. Nil: the store is not durable.
	Reopen func(t testing.TB) store.Store

	// Rounds is how often a race is tried; 0 means 2,000, or 200 with
	// go test -short. Lower it for stores with slow writes.
	Rounds int

	// Skip names cases to leave out, each with the reason.
	Skip map[string]string
}

// Run runs every case against stores made by newStore. Each call must return an
// empty store of its own; the suite closes it. Release what else it needs with
// t.Cleanup. opts may be nil.
func Run(t *testing.T, newStore func(t testing.TB) store.Store, opts *Options) {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			if why, skip := opts.Skip[c.name]; skip {
				t.Skip(why)
			}
			c.do(t, newStore, *opts)
		})
	}
}

// testCase is one promise and its check.
type testCase struct {
	name string
	why  string // printed when the case fails
	run  func(h *harness)
}

func allCases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		basicCases(), keyCases(), deadlineCases(), batchCases(), fillCases(),
		listCases(), lifeCases(), durableCases(), raceCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// do runs the case on a fresh store.
func (c *testCase) do(t testing.TB, newStore func(t testing.TB) store.Store, opts Options) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %s", c.name, c.why)
		}
	})
	if opts.Rounds <= 0 {
		opts.Rounds = 2000
		if testing.Short() {
			opts.Rounds = 200
		}
	}
	s := newStore(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store at the end of the case: %v", err)
		}
	})
	c.run(&harness{TB: t, s: s, opts: opts, ctx: context.Background()})
}
