package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// outages are the ways in which Redis goes away. Each returns what ends it.
var outages = map[string]func(t testing.TB, s *redistest.Server, p *redistest.Proxy) (end func()){
	"killed": func(t testing.TB, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Stop(t)
		return func() { s.Restart(t) }
	},
	"stopped": func(t testing.TB, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Pause(t)
		return func() { s.Resume(t) }
	},
	"cut off": func(t testing.TB, _ *redistest.Server, p *redistest.Proxy) func() {
		p.Cut()
		return func() { p.Mend(t) }
	},
	"slow": func(t testing.TB, _ *redistest.Server, p *redistest.Proxy) func() {
		return p.Toxic(t, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 1000}}`)
	},
	"silent": func(t testing.TB, _ *redistest.Server, p *redistest.Proxy) func() {
		return p.Toxic(t, `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	},
	"reset mid-reply": func(t testing.TB, _ *redistest.Server, p *redistest.Proxy) func() {
		return p.Toxic(t, `{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 50}}`)
	},
	"read-only": func(t testing.TB, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "REPLICAOF", "127.0.0.1", "1")
		return func() { s.Do(t, "REPLICAOF", "NO", "ONE") }
	},
	"out of memory": func(t testing.TB, s *redistest.Server, _ *redistest.Proxy) func() {
		s.Do(t, "CONFIG", "SET", "maxmemory", "1")
		return func() { s.Do(t, "CONFIG", "SET", "maxmemory", "0") }
	},
}

// During a load of sets Redis goes away in every way it can. No Set fails, nothing
// that was acknowledged is lost, and the backlog drains when it is back.
func TestOutagesOfRedis(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
			proxy := redistest.NewProxy(t, s.Addr)
			set, err := policy.Parse([]byte(durableRules))
			if err != nil {
				t.Fatal(err)
			}
			c, err := chain.New([]chain.Tier{
				{Name: "memory", Store: memory(t)}, {Name: "redis", Store: shared(t, proxy.Addr, "out:")},
			}, set, &chain.Options{TierTimeout: time.Second, Pending: chain.PendingOptions{
				Journal: t.TempDir(), MaxAttempts: 5, RetryMax: 200 * time.Millisecond,
				OnDeadLetter: func(l chain.DeadLetter) { t.Errorf("given up: %+v", l) },
			}})
			if err != nil {
				t.Fatal(err)
			}
			loadThrough(t, c, func() func() { return outage(t, s, proxy) })
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
	failed := c.Stats().Tiers[1].Pending.Failed
	run("during")
	for began := time.Now(); c.Stats().Tiers[1].Pending.Failed == failed; time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("no flush failed during the outage")
		}
	}
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
			t.Errorf("%s: in Redis %v, %v; acknowledged %q", key, x.Tiers[1].Present, x.Tiers[1].Err, value)
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
