package chain_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// asking hands the context of its reads to a test.
type asking struct {
	*mapStore
	get func(context.Context)
}

func (s asking) Get(ctx context.Context, key string) (store.Entry, error) {
	s.get(ctx)
	return s.mapStore.Get(ctx, key)
}

// Interruptible says that callers may ask it themselves.
func (asking) Interruptible() {}

func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// The context of a call of a tier has the deadline of that call, whichever of its
// methods is used to find out.
func TestContextOfATiersCall(t *testing.T) {
	type mark struct{}
	synctest.Test(t, func(t *testing.T) {
		var look func(context.Context)
		tier := chain.Tier{Name: "disk", Store: asking{newMap(), func(ctx context.Context) { look(ctx) }}, Timeout: time.Second}
		c := newChain(t, []chain.Tier{tier}, "", nil)
		cache := chain.NewCache[string](c, nil)
		parent, leave := context.WithCancel(context.WithValue(context.Background(), mark{}, "caller's"))
		defer leave()
		for name, f := range map[string]func(context.Context){
			"Err": func(ctx context.Context) {
				time.Sleep(time.Second)
				if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) || !ended(ctx) {
					t.Errorf("past the deadline: %v, ended %v", err, ended(ctx))
				}
			},
			"Done": func(ctx context.Context) {
				start := time.Now()
				if <-ctx.Done(); time.Since(start) != time.Second || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("done after %v: %v", time.Since(start), ctx.Err())
				}
			},
			"Deadline": func(ctx context.Context) {
				if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second || ctx.Value(mark{}) != "caller's" {
					t.Errorf("deadline %v %v, value %v", at, ok, ctx.Value(mark{}))
				}
				near, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				if <-near.Done(); ctx.Err() != nil {
					t.Errorf("a derived context has ended the tier's: %v", ctx.Err())
				}
			},
		} {
			look = f
			_, _ = cache.Get(parent, name)
		}

		var kept, untouched, child context.Context
		look = func(ctx context.Context) {
			if ctx.Err() != nil {
				t.Error("ended before its time")
			}
			kept, untouched = ctx, ctx
			var cancel context.CancelFunc
			child, cancel = context.WithCancel(ctx)
			t.Cleanup(cancel)
		}
		_, err := cache.Get(parent, "k")
		missing(t, "", err)
		look = func(ctx context.Context) { untouched = ctx }
		_, err = cache.Get(parent, "l")
		missing(t, "", err)
		for name, ctx := range map[string]context.Context{"asked": kept, "derived": child, "not asked": untouched} {
			if !ended(ctx) || !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("%s, after the call: ended %v, %v; want context.Canceled", name, ended(ctx), ctx.Err())
			}
		}
		var once sync.Once // the walk will be done again, for nobody
		look = func(ctx context.Context) {
			once.Do(func() {
				if leave(); !errors.Is(ctx.Err(), context.Canceled) || !ended(ctx) {
					t.Errorf("the caller has left: %v", ctx.Err())
				}
			})
		}
		_, _ = cache.Get(parent, "m")
		synctest.Wait()
	})
}
