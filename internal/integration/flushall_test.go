package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// A Redis that dies, and comes back from an old snapshot, has lost what it has
// acknowledged since, the entries of the feed too. The process that wrote has its writes
// still, those of a process whose memory has none left as well, and puts them back; what
// was deleted stays so, for everybody.
func TestRedisComesBackFromAnOldSnapshot(t *testing.T) {
	t.Parallel()
	const keys = 50
	s, ctx := redistest.Start(t), context.Background()
	cfg := redisstore.Config{Addrs: []string{s.Addr}}
	const patience = 3 * time.Second
	a, b := fedWithin(t, cfg, true, patience), fedWithin(t, cfg, false, patience)
	writer, reader := chain.NewCache[string](a, nil), chain.NewCache[string](b, nil)
	redistest.Eventually(t, 20*time.Second, "both follow", func() bool {
		return a.Stats().Feed.Following && b.Stats().Feed.Following
	})
	key := func(i int) string { return fmt.Sprint("k", i) }
	for i := range keys {
		if err := writer.Set(ctx, key(i), "before"); err != nil {
			t.Fatal(err)
		}
	}
	s.Do(t, "SAVE")
	for i := range keys {
		var err error
		if i%2 == 0 {
			err = writer.Set(ctx, key(i), "after")
		} else {
			err = writer.Delete(ctx, key(i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	missed := a.Stats().Feed.Missed
	s.Restart(t)
	if v := s.Do(t, "GET", "p:k0"); !strings.HasSuffix(fmt.Sprint(v), "before") {
		t.Fatalf("Redis has not gone back: k0 is %q", v)
	}
	redistest.Eventually(t, 30*time.Second, "the writer knows that something is lost", func() bool {
		return a.Stats().Feed.Missed > missed && a.Stats().Feed.Following
	})
	for i := range keys {
		v, err := writer.Get(ctx, key(i))
		if i%2 == 0 && (v != "after" || err != nil) || i%2 == 1 && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the writer reads %s = %q, %v", key(i), v, err)
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		redistest.Eventually(t, 20*time.Second, "the other process sees what was put back, and nothing else", func() bool {
			v, err := reader.Get(ctx, key(i))
			if i%2 == 0 {
				return err == nil && v == "after"
			}
			return errors.Is(err, store.ErrNotFound)
		})
	}
	newcomer := chain.NewCache[string](fedWithin(t, cfg, false, patience), nil)
	for i := range keys {
		v, err := newcomer.Get(ctx, key(i))
		if i%2 == 0 && (v != "after" || err != nil) || i%2 == 1 && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a process that has heard of nothing reads %s = %q, %v", key(i), v, err)
		}
	}
	if n := a.Stats().Feed.Lost; n < keys {
		t.Errorf("%d losses were found; want %d", n, keys)
	}
}

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
