package config

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
)

// A write in one process is news in the other: with the feed on, the second
// does not serve what it held before.
func TestFeed(t *testing.T) {
	srv := redistest.Start(t)
	ctx := context.Background()
	var caches [2]*chain.Cache[string]
	for i := range caches {
		ch, err := parseDoc(t, "rules: [{keys: 'k:{id}', ttl: 1h}]", "REDIS_URL", "redis://"+srv.Addr).Build(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer ch.Close(ctx)
		caches[i] = chain.NewCache[string](ch, nil)
	}
	if err := caches[0].Set(ctx, "k:1", "old"); err != nil {
		t.Fatal(err)
	}
	if v, err := caches[1].Get(ctx, "k:1"); err != nil || v != "old" {
		t.Fatalf("Get = %q, %v", v, err)
	}
	if err := caches[0].Set(ctx, "k:1", "new"); err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		v, err := caches[1].Get(deadline, "k:1")
		if err != nil {
			t.Fatal(err)
		}
		if v == "new" {
			return
		}
		runtime.Gosched()
	}
}

// The four variables of redis-py programs are enough, and a plain rule puts the
// bare value under the prefix.
func TestBuildRedis(t *testing.T) {
	srv := redistest.Start(t)
	host, port, err := net.SplitHostPort(srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c := parseDoc(t, "tiers: {redis: {prefix: 'bot:'}}\nrules: [{keys: 'price:{symbol}', class: hot, wire: plain}]",
		"REDIS_HOST", host, "REDIS_PORT", port, "REDIS_DB", "3")
	ctx := context.Background()
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close(ctx)
	if err := chain.NewCache[float64](ch, nil).Set(ctx, "price:BTC/USDT", 60000.5); err != nil {
		t.Fatal(err)
	}
	raw := redis.NewClient(&redis.Options{Addr: srv.Addr, DB: 3, ContextTimeoutEnabled: true})
	defer raw.Close()
	if v, err := raw.Get(ctx, "bot:price:BTC/USDT").Result(); err != nil || v != "60000.5" {
		t.Errorf("in Redis: %q, %v", v, err)
	}
	if ttl := raw.PTTL(ctx, "bot:price:BTC/USDT").Val(); ttl <= 0 || ttl > 5*time.Minute {
		t.Errorf("time to live = %v", ttl)
	}
}
