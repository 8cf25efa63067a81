package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
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

// A Python worker, say, writes and deletes a plain key behind everybody's back: with
// tracking on, both processes serve what is in Redis now, although they held the key in
// memory.
func TestTracking(t *testing.T) {
	srv := redistest.Start(t)
	ctx := context.Background()
	const doc = "tiers: {redis: {prefix: 'bot:', tracking: true}}\nrules: [{keys: 'price:{symbol}', ttl: 1h, wire: plain}]"
	var caches [2]*chain.Cache[float64]
	for i := range caches {
		ch, err := parseDoc(t, doc, "REDIS_URL", "redis://"+srv.Addr).Build(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer ch.Close(ctx)
		caches[i] = chain.NewCache[float64](ch, nil)
		for !ch.Stats().Feed.Following {
			time.Sleep(time.Millisecond)
		}
	}
	python := srv.Client(t)
	until := func(what string, ok func(v float64, err error) bool) {
		t.Helper()
		deadline, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for _, c := range caches {
			for v, err := c.Get(deadline, "price:AAPL"); !ok(v, err); v, err = c.Get(deadline, "price:AAPL") {
				if deadline.Err() != nil {
					t.Fatalf("%s was not seen: %v, %v", what, v, err)
				}
				runtime.Gosched()
			}
		}
	}
	if err := caches[0].Set(ctx, "price:AAPL", 100); err != nil {
		t.Fatal(err)
	}
	until("a write by strata", func(v float64, err error) bool { return err == nil && v == 100 })
	for _, price := range []string{"101.5", "99"} {
		if err := python.SetEx(ctx, "bot:price:AAPL", price, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		until("a write by another program", func(v float64, err error) bool { return err == nil && fmt.Sprint(v) == price })
	}
	if err := python.Del(ctx, "bot:price:AAPL").Err(); err != nil {
		t.Fatal(err)
	}
	until("a delete by another program", func(_ float64, err error) bool { return errors.Is(err, store.ErrNotFound) })
}

// Tracking brings news to the feed: without one, it is refused, with line and field.
func TestTrackingNeedsTheFeed(t *testing.T) {
	_, err := Parse("strata.yaml", []byte("tiers:\n  redis:\n    feed: false\n    tracking: true\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "line 4: tiers.redis.tracking: needs tiers.redis.feed") {
		t.Errorf("%v", err)
	}
	_, err = Parse("", nil, environ("STRATA_REDIS_TRACKING", "yes", "STRATA_REDIS_FEED", "no"))
	if err == nil || !strings.Contains(err.Error(), "tiers.redis.tracking: needs tiers.redis.feed") {
		t.Errorf("%v", err)
	}
	if c := parseDoc(t, "tiers: {redis: {tracking: true}}"); !c.Tiers.Redis.Tracking || !c.Tiers.Redis.Feed {
		t.Errorf("%+v", c.Tiers.Redis)
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
