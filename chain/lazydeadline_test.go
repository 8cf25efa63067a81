package chain_test

import (
	"context"
	"errors"
	"fmt"
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
	for _, prompt := range []bool{true, false} {
		t.Run(fmt.Sprint("prompt=", prompt), func(t *testing.T) { testContextOfACall(t, prompt) })
	}
}

func testContextOfACall(t *testing.T, prompt bool) {
	type mark struct{}
	synctest.Test(t, func(t *testing.T) {
		// A store that heeds contexts gets one with a timer, any other one that makes it
		// when it is asked.
		var look func(context.Context)
		tier := chain.Tier{Name: "disk", Store: asking{newMap(), func(ctx context.Context) { look(ctx) }}, Timeout: time.Second}
		cache := chain.NewCache[string](newChain(t, []chain.Tier{tier}, "", nil), nil)
		call := func(ctx context.Context, key string) {
			if prompt {
				_, _ = cache.Get(ctx, key)
				return
			}
			ctx, cancel := chain.WithLazyDeadline(ctx, time.Now().Add(time.Second))
			defer cancel()
			look(ctx)
		}
		parent, leave := context.WithCancel(context.WithValue(context.Background(), mark{}, "caller's"))
		defer leave()
		for name, f := range map[string]func(context.Context){
			"Err": func(ctx context.Context) {
				time.Sleep(time.Second + 1)
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
			call(parent, name)
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
		call(parent, "k")
		look = func(ctx context.Context) { untouched = ctx }
		call(parent, "l")
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
		call(parent, "m")
		synctest.Wait()
	})
}
