package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store/redisstore"
)

// Redis is emptied behind everybody's back, the feed's stream with it, and its clients
// are thrown out. Readers of all keys, in a process that holds nothing, cause one load
// of each; a process that held them, and has missed changes, finds them in Redis again.
func TestFlushAllIsOneRefillAKey(t *testing.T) {
	const keys, readers = 200, 16
	s, ctx := redistest.Start(t), context.Background()
	cfg := redisstore.Config{Addrs: []string{s.Addr}}
	const patience = 3 * time.Second // no fill is given up for want of a processor
	old := fedWithin(t, cfg, false, patience)
	writer := chain.NewCache[string](old, nil)
	for i := range keys {
		if err := writer.Set(ctx, fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	s.Do(t, "FLUSHALL")
	s.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	var loads [keys]atomic.Int64
	fresh := fedWithin(t, cfg, false, patience)
	// What is loaded before a process follows the feed is suspect when it does.
	for !fresh.Stats().Feed.Following {
		time.Sleep(time.Millisecond)
	}
	for _, c := range []*chain.Chain{fresh, old} {
		cache := chain.NewCache[string](c, nil)
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				for _, i := range rand.Perm(keys) {
					v, err := cache.GetOrLoad(ctx, fmt.Sprint("k", i), func(context.Context, string) (string, error) {
						loads[i].Add(1)
						return "v", nil
					})
					if err != nil || v != "v" {
						t.Errorf("k%d: %q, %v", i, v, err)
					}
				}
			})
		}
		wg.Wait()
		if err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for i := range keys {
		if n := loads[i].Load(); n != 1 {
			t.Errorf("k%d was loaded %d times; want once", i, n)
		}
		if x, err := old.Explain(ctx, fmt.Sprint("k", i)); err != nil || !x.Tiers[1].Present {
			t.Errorf("k%d is not in Redis again: %v", i, err)
		}
	}
}
