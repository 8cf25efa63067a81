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

// Sync of a chain as a store returns when the tiers have every write that was
// acknowledged, and have been synced since; where one cannot be, it says so.
func TestSyncOfAChainAsAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap()
		far := faultstore.New(m)
		c, err := chain.New([]chain.Tier{{Name: "near", Store: newMap()}, {Name: "far", Store: far, WriteBack: true}}, nil,
			&chain.Options{Pending: chain.PendingOptions{Interval: time.Hour}})
		noErr(t, err)
		s := c.Store()
		noErr(t, s.Set(t.Context(), "k", store.Entry{Value: []byte("v")}))
		if in(m, "k") != "" {
			t.Fatal("the write did not wait in its queue")
		}
		far.Inject(faultstore.Fault{Op: faultstore.OpSync, Do: func(faultstore.Op, string) {
			if in(m, "k") != "v" {
				t.Error("the tier was synced before it had the write")
			}
		}})
		noErr(t, store.Sync(t.Context(), s))
		if n := far.Calls(faultstore.OpSync); n != 1 {
			t.Errorf("the tier was synced %d times; want once", n)
		}
		far.Inject(faultstore.Fault{Op: faultstore.OpSync, Err: errBoom})
		if err := store.Sync(t.Context(), s); !errors.Is(err, errBoom) {
			t.Errorf("%v; want the tier's error", err)
		}
		far.Reset()
		far.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, s.Set(t.Context(), "k", store.Entry{Value: []byte("w")}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := store.Sync(ctx, s); err == nil {
			t.Error("a write has not reached its tier, and Sync says nothing")
		}
		far.Reset()
		noErr(t, c.Close(t.Context()))
		if err := store.Sync(t.Context(), s); !errors.Is(err, store.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
