package chain

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// A durable write waits for the disk when news of a newer one by another process
// comes: it is not seen afterwards, is not flushed, and does not come back from the
// journal.
func TestForeignWriteAmidDurable(t *testing.T) {
	ctx, tier, fs := context.Background(), mapstore.New(), vfs.Mem()
	var news atomic.Pointer[func()]
	fsys := vfs.Faulty(fs, func(c vfs.Call) error {
		if f := news.Load(); c.Op == vfs.OpSync && f != nil && news.CompareAndSwap(f, nil) {
			(*f)()
		}
		return nil
	})
	open := func() (*Chain, *Cache[string]) {
		c, err := New([]Tier{{Name: "memory", Store: &objects{m: map[string]any{}}}, {Name: "disk", Store: unclosing{tier}}},
			policy.MustParse("rules: [{keys: '*', ttl: 1h, write: back, durable: true}]"),
			&Options{Pending: PendingOptions{Journal: "journal", journalFS: fsys}})
		if err != nil {
			t.Fatal(err)
		}
		return c, NewCache[string](c, nil)
	}
	gone := func(cache *Cache[string], when string) {
		if v, err := cache.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %q, %v; want not found, as the newer delete left it", when, v, err)
		}
		if err := cache.Chain().Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if e, ok := tier.Peek("k"); ok {
			t.Errorf("%s: the tier holds %q", when, e.Value)
		}
	}
	c, cache := open()
	deleted := func() {
		version := c.hlc.Next()
		c.foreignWrite("k", version, false)
	}
	news.Store(&deleted)
	if err := cache.Set(ctx, "k", "ours"); err != nil {
		t.Fatal(err)
	}
	if news.Load() != nil {
		t.Fatal("the journal was not synced")
	}
	gone(cache, "after the Set")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Close(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c, cache = open()
	gone(cache, "after the replay")
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
