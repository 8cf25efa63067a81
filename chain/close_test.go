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

// A Flush or Close without a deadline ends although a tier takes nothing: because
// of one poisonous entry, because it is dead, or because it hangs and is not bounded.
func TestDrainWithoutDeadlineEnds(t *testing.T) {
	poison := func(key string) bool { return key == "poison" }
	for name, fault := range map[string]faultstore.Fault{
		"poison": {Op: faultstore.OpWrites, Key: poison, Err: errBoom},
		"dead":   {Op: faultstore.OpWrites, Err: errBoom},
		"hangs":  {Op: faultstore.OpWrites, Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMap()
				f := faultstore.New(m)
				c, err := chain.New([]chain.Tier{{Name: "disk", Store: f, WriteBack: true, Timeout: -1}}, nil,
					&chain.Options{Pending: chain.PendingOptions{MaxAttempts: 3, DrainStall: 10 * time.Second}})
				noErr(t, err)
				cache := chain.NewCache[string](c, nil)
				f.Inject(fault)
				noErr(t, cache.SetMany(t.Context(), map[string]string{"poison": "1", "sound": "2"}))
				var pe *chain.PendingError
				if err := c.Flush(context.Background()); !errors.As(err, &pe) || pe.Left == 0 {
					t.Errorf("Flush: %v", err)
				}
				began := time.Now()
				err = c.Close(context.Background())
				// Of a dead tier the breaker may have had the last word.
				why := name == "hangs" || errors.Is(err, errBoom) || name == "dead" && errors.Is(err, chain.ErrTierDown)
				if !errors.As(err, &pe) || pe.Left == 0 || !why {
					t.Errorf("Close: %v", err)
				}
				if d := time.Since(began); d < 10*time.Second || d > time.Minute {
					t.Errorf("Close gave up after %v", d)
				}
				if name == "poison" && in(m, "sound") != "2" {
					t.Error("the sound entry did not reach the tier")
				}
			})
		})
	}
}

// A tier that is slow and takes entries all the same is waited for.
func TestDrainWaitsForProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap()
		f := faultstore.New(m)
		c, err := chain.New([]chain.Tier{{Name: "disk", Store: f, WriteBack: true, Timeout: -1}}, nil,
			&chain.Options{Pending: chain.PendingOptions{Batch: 1, DrainStall: 10 * time.Second}})
		noErr(t, err)
		cache := chain.NewCache[string](c, nil)
		f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Delay: 9 * time.Second})
		for _, key := range []string{"a", "b", "c", "d"} {
			noErr(t, cache.Set(t.Context(), key, "v"))
		}
		noErr(t, c.Close(context.Background()))
		if m.Len() != 4 {
			t.Errorf("the tier has %d entries", m.Len())
		}
	})
}

// buffering is a tier that has a Flush, which fails.
type buffering struct{ *mapStore }

var errFlush, errClose = errors.New("cannot flush"), errors.New("cannot close")

func (buffering) Flush(context.Context) error { return errFlush }
func (buffering) Close() error                { return errClose }

// Close reports everything that went wrong, not only what is pending.
func TestCloseJoinsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := faultstore.New(newMap())
		c, err := chain.New([]chain.Tier{
			{Name: "redis", Store: f, WriteBack: true}, {Name: "disk", Store: buffering{newMap()}, WriteBack: true},
		}, nil, nil)
		noErr(t, err)
		f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, chain.NewCache[string](c, nil).Set(t.Context(), "k", "v"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = c.Close(ctx)
		var pe *chain.PendingError
		if !errors.As(err, &pe) || pe.Tier != "redis" || pe.Left != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("what is pending: %v", err)
		}
		var te *store.Error
		if !errors.Is(err, errFlush) || !errors.Is(err, errClose) || !errors.As(err, &te) || te.Tier != "disk" {
			t.Errorf("the other errors: %v", err)
		}
		noErr(t, c.Close(ctx))
	})
}
