package config

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
)

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
