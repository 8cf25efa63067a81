package gocache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// readers is how many goroutines ask for one key of the second tier.
const readers = 200

// strataSharedRead: the second tier answers only when every reader has asked.
func strataSharedRead(t *testing.T) verdict {
	near := faultstore.NewObjects(memory(t))
	far := fault(t)
	c := strataChain(t, policy.Rule{}, nil, chain.Tier{Name: "memory", Store: near}, chain.Tier{Name: "far", Store: far})
	if err := far.Set(t.Context(), "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	cache := chain.NewCache[string](c, nil)
	far.Inject(faultstore.Fault{Op: faultstore.OpGet, Delay: 20 * time.Millisecond})
	var all []func()
	for range readers {
		all = append(all, func() {
			if v, err := cache.Get(t.Context(), "k"); v != "v" || err != nil {
				t.Errorf("Get = %q, %v", v, err)
			}
		})
	}
	together(all...)
	reads, fills := far.Calls(faultstore.OpGet), near.Calls(faultstore.OpSet)
	return holds(reads == 1 && fills == 1, "reads %d, fills %d", reads, fills)
}

func gocacheSharedRead(t *testing.T) verdict {
	near, far := newMapStore(), newMapStore()
	c := gocacheChain[string](near, far)
	if err := far.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	far.before = func(_ context.Context, op string) error {
		if op == "get" {
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	var all []func()
	for range readers {
		all = append(all, func() {
			if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
				t.Errorf("Get = %q, %v", v, err)
			}
		})
	}
	together(all...)
	reads := far.count("get")
	far.before = nil
	settle(t, c, near, far, "marker")
	fills := near.count("set") - 1 // that of the marker
	return holds(reads == 1 && fills == 1, "reads %d, fills %d", reads, fills)
}

// patience is how long a caller of the hanging tier is ready to wait.
const patience = 3 * time.Second

// strataStuckTier: the first tier hangs until its context ends, as a client of a
// server that does not answer should. The second has the value.
func strataStuckTier(t *testing.T) verdict {
	near, far := fault(t), fault(t)
	c := strataChain(t, policy.Rule{}, nil,
		chain.Tier{Name: "near", Store: near, Timeout: 20 * time.Millisecond},
		chain.Tier{Name: "far", Store: far})
	if err := far.Set(t.Context(), "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	near.Inject(faultstore.Fault{Op: faultstore.OpReads | faultstore.OpWrites, Hang: true})
	t.Cleanup(near.Release)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := chain.NewCache[string](c, nil).Get(ctx, "k")
	return holds(v == "v" && err == nil && ctx.Err() == nil, "%s", answer(v, err))
}

func gocacheStuckTier(t *testing.T) verdict {
	near, far := newMapStore(), newMapStore()
	c := gocacheChain[string](near, far)
	if err := far.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	near.before = func(ctx context.Context, _ string) error {
		if ctx.Done() == nil { // the chain's own goroutine has no deadline
			return errors.New("hangs")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := c.Get(ctx, "k")
	if ctx.Err() != nil {
		return holds(false, "the caller's whole deadline went by")
	}
	return holds(v == "v" && err == nil, "%s", answer(v, err))
}

func answer(v string, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	return "answered"
}

var errDead = errors.New("connection refused")

// strataDeadTier: the first tier is dead, and the second does not have the key.
func strataDeadTier(t *testing.T) verdict {
	near, far := fault(t), fault(t)
	c := strataChain(t, policy.Rule{}, nil, chain.Tier{Name: "near", Store: near}, chain.Tier{Name: "far", Store: far})
	near.Inject(faultstore.Fault{Op: faultstore.OpReads | faultstore.OpWrites, Err: errDead})
	_, err := chain.NewCache[string](c, nil).Get(t.Context(), "k")
	misses := c.Stats().Tiers[0].Misses
	return holds(errors.Is(err, errDead) && !errors.Is(err, store.ErrNotFound) && misses == 0, "the call's error names the tier and the cause")
}

func gocacheDeadTier(t *testing.T) verdict {
	near, far := newMapStore(), newMapStore()
	near.before = func(context.Context, string) error { return errDead }
	_, err := gocacheChain[string](near, far).Get(t.Context(), "k")
	if !errors.Is(err, errDead) {
		return holds(false, "the call says %q", err)
	}
	return holds(true, "reported")
}

// outcome is what many callers of a loader got.
type outcome struct {
	mu       sync.Mutex
	answered int
	errs     int
	panics   int
}

func (o *outcome) record(ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ok {
		o.answered++
	} else {
		o.errs++
	}
}

func (o *outcome) panicked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.panics++
}
