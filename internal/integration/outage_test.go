package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// proxied returns the address of a proxy to addr, and what cuts and mends it.
func proxied(t testing.TB, addr string) (string, func(up bool)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	_ = l.Close()
	srv := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(srv, "redis", listen, addr)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return listen, func(up bool) {
		if !up {
			p.Stop()
		} else if err := p.Start(); err != nil {
			t.Error(err)
		}
	}
}

// During a load of sets Redis goes away in every way it can. No Set fails, nothing
// that was acknowledged is lost, and the backlog drains when it is back.
func TestOutagesOfRedis(t *testing.T) {
	for name, outage := range map[string]func(t *testing.T, s *redistest.Server, link func(bool)) (end func()){
		"killed": func(t *testing.T, s *redistest.Server, _ func(bool)) func() {
			s.Stop(t)
			return func() { s.Restart(t) }
		},
		"cut off": func(_ *testing.T, _ *redistest.Server, link func(bool)) func() {
			link(false)
			return func() { link(true) }
		},
		"read-only": func(t *testing.T, s *redistest.Server, _ func(bool)) func() {
			s.Do(t, "REPLICAOF", "127.0.0.1", "1")
			return func() { s.Do(t, "REPLICAOF", "NO", "ONE") }
		},
		"out of memory": func(t *testing.T, s *redistest.Server, _ func(bool)) func() {
			s.Do(t, "CONFIG", "SET", "maxmemory", "1")
			return func() { s.Do(t, "CONFIG", "SET", "maxmemory", "0") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
			addr, link := proxied(t, s.Addr)
			set, err := policy.Parse([]byte(durableRules))
			if err != nil {
				t.Fatal(err)
			}
			c, err := chain.New([]chain.Tier{
				{Name: "memory", Store: memory(t)}, {Name: "redis", Store: shared(t, addr, "out:")},
			}, set, &chain.Options{TierTimeout: 200 * time.Millisecond, Pending: chain.PendingOptions{
				Journal: t.TempDir(), MaxAttempts: 5, RetryMax: 200 * time.Millisecond,
				OnDeadLetter: func(l chain.DeadLetter) { t.Errorf("given up: %+v", l) },
			}})
			if err != nil {
				t.Fatal(err)
			}
			loadThrough(t, c, func() func() { return outage(t, s, link) })
		})
	}
}

// loadThrough sets keys before, during and after an outage, and checks Redis.
func loadThrough(t *testing.T, c *chain.Chain, outage func() (end func())) {
	cache := chain.NewCache[string](c, nil)
	ctx := context.Background()
	const writers = 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	last := map[string]string{}
	run := func(phase string) {
		for w := range writers {
			wg.Go(func() {
				for i := range 100 {
					key, value := fmt.Sprintf("k:%d-%d", w, i%40), fmt.Sprintf("%s.%d", phase, i)
					var err error
					if i%7 == 0 {
						value = ""
						err = cache.Delete(ctx, key)
					} else {
						err = cache.Set(ctx, key, value)
					}
					if err != nil {
						t.Errorf("%s: %v", phase, err)
					}
					mu.Lock()
					last[key] = value
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	run("before")
	end := outage()
	run("during")
	end()
	run("after")
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for key, value := range last {
		x, err := c.Explain(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if x.Tiers[1].Present != (value != "") {
			t.Errorf("%s: in Redis %v; acknowledged %q", key, x.Tiers[1].Present, value)
		}
		v, err := cache.Get(ctx, key)
		if value == "" && !errors.Is(err, store.ErrNotFound) || value != "" && (err != nil || v != value) {
			t.Errorf("%s reads %q, %v; acknowledged %q", key, v, err, value)
		}
	}
	if s := c.Stats(); s.Tiers[1].Pending.Lost != 0 {
		t.Errorf("pending: %+v", s.Tiers[1].Pending)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}
