package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// fed is a chain of memory, Redis and, where asked for, disk, with a feed.
func fed(t *testing.T, cfg redisstore.Config, withDisk bool) *chain.Chain {
	t.Helper()
	return fedWithin(t, cfg, withDisk, 300*time.Millisecond)
}

// fedWithin is fed with that much patience for a call of Redis.
func fedWithin(t *testing.T, cfg redisstore.Config, withDisk bool, patience time.Duration) *chain.Chain {
	t.Helper()
	cfg.ReadTimeout, cfg.DialTimeout = patience, patience
	s, err := redisstore.Connect(&cfg, &redisstore.Options{Prefix: "p:"})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := s.Feed(&redisstore.FeedOptions{Block: 100 * time.Millisecond, Probe: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	tiers := []chain.Tier{{Name: "memory", Store: memory(t)}, {Name: "redis", Store: s, Shared: true}}
	if withDisk {
		tiers = append(tiers, chain.Tier{Name: "disk", Store: disk(t, t.TempDir())})
	}
	c, err := chain.New(tiers, nil, &chain.Options{
		Feed: feed, DefaultTTL: time.Hour, TierTimeout: patience * 4 / 3, FeedTimeout: patience * 4 / 3,
		Breaker: chain.BreakerOptions{Delay: 100 * time.Millisecond}, Pending: chain.PendingOptions{RetryMax: 200 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// In every state in which Redis refuses work a chain answers from what it has or
// loads; an error of Redis is not taken for a miss; what is written is owed to
// Redis and is there afterwards; and another process, which could not be told
// meanwhile, comes to see it and nothing older.
func TestChainInServerStates(t *testing.T) {
	for _, fault := range redistest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t, fault.Args...)
			cfg := redisstore.Config{Addrs: []string{srv.Addr}}
			a, b := fed(t, cfg, true), fed(t, cfg, false)
			writer, reader := chain.NewCache[string](a, nil), chain.NewCache[string](b, nil)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for i := range 10 {
				if err := writer.Set(ctx, fmt.Sprint("k", i), "old"); err != nil {
					t.Fatal(err)
				}
			}
			if v, err := reader.Get(ctx, "k0"); v != "old" || err != nil {
				t.Fatalf("before: %q, %v", v, err)
			}
			end := fault.Begin(t, srv)
			during(ctx, t, fault, writer, reader)
			end()
			redistest.Eventually(t, 30*time.Second, "Redis has what was written", func() bool { return a.Flush(ctx) == nil })
			for i := range 10 {
				key := fmt.Sprint("k", i)
				redistest.Eventually(t, 30*time.Second, key+" is the new one elsewhere", func() bool {
					v, err := reader.Get(ctx, key)
					if i == 9 {
						return errors.Is(err, store.ErrNotFound)
					}
					return err == nil && v == "new"
				})
			}
		})
	}
}

// during works with two chains while Redis is in a state.
func during(ctx context.Context, t *testing.T, fault redistest.Fault, writer, reader *chain.Cache[string]) {
	for i := range 9 {
		if err := writer.Set(ctx, fmt.Sprint("k", i), "new"); err != nil {
			t.Errorf("Set: %v", err)
		}
	}
	if err := writer.Delete(ctx, "k9"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	for i := range 9 {
		if v, err := writer.Get(ctx, fmt.Sprint("k", i)); err != nil || v != "new" {
			t.Errorf("the writer reads %q, %v", v, err)
		}
	}
	if v, err := writer.Get(ctx, "k9"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the writer reads what it deleted: %q, %v", v, err)
	}
	loaded := func(context.Context, string) (string, error) { return "loaded", nil }
	if v, err := reader.GetOrLoad(ctx, "absent", loaded); err != nil || v != "loaded" {
		t.Errorf("a load: %q, %v", v, err)
	}
	v, err := reader.Get(ctx, "k1") // in Redis, and not in this process
	switch {
	case fault.ReadError == "" && (err != nil || v != "old" && v != "new"):
		t.Errorf("a read that goes on: %q, %v", v, err)
	case fault.ReadError != "" && (err == nil || errors.Is(err, store.ErrNotFound)):
		t.Errorf("a read that Redis refuses: %q, %v; want its error and not a miss", v, err)
	}
}
