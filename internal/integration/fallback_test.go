package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// A Cluster has lost a node and refuses all work (CLUSTERDOWN). A chain whose memory
// holds nothing answers from its disk; what that does not have is the Cluster's error
// and no miss, and is loaded where there is a loader; what is written is in the Cluster
// when it is whole again.
func TestClusterDownFallsBackToTheDisk(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	r, err := redisstore.Connect(&redisstore.Config{Addrs: c.Addrs(), Cluster: true, DialTimeout: 300 * time.Millisecond},
		&redisstore.Options{Prefix: "p:"})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := chain.New([]chain.Tier{{Name: "redis", Store: r, Shared: true}, {Name: "disk", Store: disk(t, t.TempDir())}}, nil,
		&chain.Options{
			DefaultTTL: time.Hour, TierTimeout: 2 * time.Second,
			Breaker: chain.BreakerOptions{Delay: 100 * time.Millisecond}, Pending: chain.PendingOptions{RetryMax: 200 * time.Millisecond},
		})
	if err != nil {
		t.Fatal(err)
	}
	cache, ctx := chain.NewCache[string](ch, nil), context.Background()
	const keys = 30 // of all nodes
	for i := range keys {
		if err := cache.Set(ctx, fmt.Sprint("k", i), "old"); err != nil {
			t.Fatal(err)
		}
	}
	c.Nodes[2].Stop(t)
	redistest.Eventually(t, 30*time.Second, "the cluster is down", func() bool {
		return strings.Contains(fmt.Sprint(c.Nodes[0].Do(t, "CLUSTER", "INFO")), "cluster_state:fail")
	})
	for i := range keys {
		if v, err := cache.Get(ctx, fmt.Sprint("k", i)); v != "old" || err != nil {
			t.Errorf("k%d: %q, %v; the disk has it", i, v, err)
		}
	}
	if v, err := cache.Get(ctx, "absent"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("what the Cluster might have: %q, %v; want its error", v, err)
	}
	loaded := func(context.Context, string) (string, error) { return "loaded", nil }
	if v, err := cache.GetOrLoad(ctx, "absent", loaded); v != "loaded" || err != nil {
		t.Errorf("a load: %q, %v", v, err)
	}
	for i := range keys {
		if err := cache.Set(ctx, fmt.Sprint("k", i), "new"); err != nil {
			t.Errorf("Set: %v", err)
		}
	}
	c.Nodes[2].Restart(t)
	redistest.Eventually(t, time.Minute, "the Cluster takes what it is owed", func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return ch.Flush(ctx) == nil
	})
	for i := range keys {
		if e, err := r.Get(ctx, fmt.Sprint("k", i)); string(e.Value) != "new" || err != nil {
			t.Errorf("the Cluster holds %q, %v of k%d", e.Value, err, i)
		}
	}
	if err := ch.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A value that Redis refuses, by an error and by hanging up, is in the middle of
// what is written back. All else arrives; the value is given up after its attempts, and
// that is told; and it is not in the way of what is written afterwards.
func TestRefusedValueIsNotInTheWay(t *testing.T) {
	srv := redistest.Start(t, "--proto-max-bulk-len", "1mb")
	var letters atomic.Int64
	ch, err := chain.New([]chain.Tier{{Name: "redis", Store: shared(t, srv.Addr, "p:"), WriteBack: true}}, nil, &chain.Options{
		DefaultTTL: time.Hour, TierTimeout: 5 * time.Second, Breaker: chain.BreakerOptions{Delay: 20 * time.Millisecond},
		Pending: chain.PendingOptions{MaxAttempts: 3, RetryMax: 50 * time.Millisecond, OnDeadLetter: func(l chain.DeadLetter) {
			if letters.Add(1); l.Key != "huge" {
				t.Errorf("%q is given up: %v", l.Key, l.Err)
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, ctx := chain.NewCache[[]byte](ch, nil), context.Background()
	many := map[string][]byte{"huge": bytes.Repeat([]byte("x"), 3<<20)}
	for i := range 200 {
		many[fmt.Sprint("k", i)] = []byte("v")
	}
	if err := cache.SetMany(ctx, many); err != nil {
		t.Fatal(err)
	}
	// An attempt counts where Redis takes others meanwhile.
	redistest.Eventually(t, time.Minute, "the value is given up", func() bool {
		if err := cache.Set(ctx, "after", []byte("v")); err != nil {
			t.Fatal(err)
		}
		return letters.Load() == 1
	})
	redistest.Eventually(t, time.Minute, "all is written", func() bool { return ch.Flush(ctx) == nil })
	if n := srv.Do(t, "DBSIZE"); n != int64(201) {
		t.Errorf("Redis has %v keys; want the 200, and the one that came after", n)
	}
	if err := ch.Close(ctx); err != nil {
		t.Error(err)
	}
}
