package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
	"github.com/stratacache/strata/store/storetest"
)

func memory(t testing.TB) *memstore.Store {
	t.Helper()
	s, err := memstore.New(&memstore.Options{Capacity: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shared(t testing.TB, addr, prefix string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Connect(&redisstore.Config{Addrs: []string{addr}}, &redisstore.Options{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func disk(t testing.TB, dir string) *diskstore.Store {
	t.Helper()
	s, err := diskstore.Open(dir, &diskstore.Options{Partitioner: policy.MarketData()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The chain over the real tiers keeps the contract of stores.
func TestConformanceOverRealTiers(t *testing.T) {
	srv := redistest.Shared(t)
	for name, tiers := range map[string]func(t testing.TB) []chain.Tier{
		"memory and disk": func(t testing.TB) []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: memory(t)}, {Name: "disk", Store: disk(t, t.TempDir())}}
		},
		"memory, redis and disk": func(t testing.TB) []chain.Tier {
			return []chain.Tier{
				{Name: "memory", Store: memory(t)},
				{Name: "redis", Store: shared(t, srv.Addr, redistest.Prefix())},
				{Name: "disk", Store: disk(t, t.TempDir())},
			}
		},
		"written back": func(t testing.TB) []chain.Tier {
			return []chain.Tier{
				{Name: "memory", Store: memory(t)},
				{Name: "redis", Store: shared(t, srv.Addr, redistest.Prefix()), WriteBack: true},
				{Name: "disk", Store: disk(t, t.TempDir()), WriteBack: true},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) store.Store {
				c, err := chain.New(tiers(t), nil, &chain.Options{DefaultTTL: -1})
				if err != nil {
					t.Fatal(err)
				}
				return c.Store()
			}, &storetest.Options{NoVersion: true, Rounds: 100, DeadlineSlack: slack(name)})
		})
	}
}

// slack is how much longer than its deadline a key may be listed: Redis counts its
// time to live from when the write arrives.
func slack(shape string) time.Duration {
	if shape == "memory and disk" {
		return 0
	}
	return time.Second
}

// Bar is one day of prices.
type Bar struct {
	Date  time.Time
	Close float64
}

// A Redis that is not there, or goes away, leaves a chain that still answers; what
// was written meanwhile is in Redis when it is back.
func TestChainWithoutItsRedis(t *testing.T) {
	srv := redistest.Start(t)
	proxy := redistest.NewProxy(t, srv.Addr)
	proxy.Cut()
	redis := shared(t, proxy.Addr, "p:")
	c, err := chain.New([]chain.Tier{
		{Name: "memory", Store: memory(t)}, {Name: "redis", Store: redis}, {Name: "disk", Store: disk(t, t.TempDir())},
	}, policy.MarketData(), &chain.Options{TierTimeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	prices, history := chain.NewCache[float64](c, nil), chain.NewCache[[]Bar](c, nil)
	bars := []Bar{{time.Date(2017, 1, 3, 0, 0, 0, 0, time.UTC), 116.15}, {time.Date(2017, 1, 4, 0, 0, 0, 0, time.UTC), 116.02}}
	for i := range 20 {
		if err := prices.Set(ctx, fmt.Sprint("price:S", i), float64(i)); err != nil {
			t.Fatalf("Set without Redis: %v", err)
		}
	}
	got, err := history.GetOrLoad(ctx, "hist:AAPL:1d:1y", func(context.Context, string) ([]Bar, error) { return bars, nil })
	if err != nil || len(got) != 2 {
		t.Fatalf("GetOrLoad without Redis: %v, %v", got, err)
	}
	if _, err := prices.Get(ctx, "price:NONE"); err == nil || errors.Is(err, store.ErrNotFound) && !errors.Is(err, chain.ErrTierDown) {
		t.Errorf("a key that Redis might have: %v; want the error of Redis, not a miss", err)
	}
	proxy.Mend(t)
	for {
		if err := c.Flush(ctx); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatalf("Flush after Redis came back: %v", err)
		}
	}
	for i := range 20 {
		e, err := redis.Get(ctx, fmt.Sprint("price:S", i))
		if err != nil || string(e.Value) != fmt.Sprint(i) {
			t.Fatalf("Redis, when it is back, holds %q, %v of price:S%d", e.Value, err, i)
		}
	}
}
