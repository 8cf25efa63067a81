package chain_test

import (
	"context"
	"errors"
	"fmt"
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

// askingHere says that callers may ask it themselves.
type askingHere struct{ asking }

func (askingHere) Interruptible() {}

// The context of a call of a tier ends with the tier's timeout, with the caller's, or
// with the call.
func TestContextOfATiersCall(t *testing.T) {
	for _, here := range []bool{true, false} {
		t.Run(fmt.Sprint("prompt=", here), func(t *testing.T) { testContextOfACall(t, here) })
	}
}

func testContextOfACall(t *testing.T, here bool) {
	const timeout = time.Second
	type mark struct{}
	synctest.Test(t, func(t *testing.T) {
		var look func(context.Context)
		s := asking{newMap(), func(ctx context.Context) { look(ctx) }}
		tier := chain.Tier{Name: "disk", Store: s, Timeout: timeout}
		if here {
			tier.Store = askingHere{s}
		}
		cache := chain.NewCache[string](newChain(t, []chain.Tier{tier}, "", nil), nil)
		parent, leave := context.WithCancel(context.WithValue(context.Background(), mark{}, "caller's"))
		defer leave()
		inTime := func(d time.Duration) bool { return d > timeout-timeout/16 && d <= timeout }

		look = func(ctx context.Context) {
			if at, ok := ctx.Deadline(); !ok || !inTime(time.Until(at)) || ctx.Value(mark{}) != "caller's" || ctx.Err() != nil {
				t.Errorf("deadline %v %v, value %v, %v", at, ok, ctx.Value(mark{}), ctx.Err())
			}
		}
		for range 40 { // calls that share a deadline, and those after them
			_, _ = cache.Get(parent, "k")
			time.Sleep(timeout / 50)
		}
		look = func(ctx context.Context) {
			start := time.Now()
			if <-ctx.Done(); !inTime(time.Since(start)) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("done after %v: %v", time.Since(start), ctx.Err())
			}
		}
		start := time.Now()
		if _, err := cache.Get(parent, "k"); !inTime(time.Since(start)) || !errors.Is(err, store.ErrNotFound) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered after %v: %v", time.Since(start), err)
		}
		var kept context.Context
		look = func(ctx context.Context) { kept = ctx }
		_, _ = cache.Get(parent, "k")
		synctest.Wait()
		select {
		case <-kept.Done():
		default:
			t.Error("a call's context has not ended with the call")
		}
		gone := make(chan error, 1)
		look = func(ctx context.Context) {
			leave()
			<-ctx.Done()
			select {
			case gone <- ctx.Err():
			default: // the walk is done again, for nobody
			}
		}
		_, _ = cache.Get(parent, "m")
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller has left: %v", err)
		}
	})
}
