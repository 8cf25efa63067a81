package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
)

// Settings of BenchmarkOutageLatency: writers that set a key every millisecond or
// so, as callers with other work do, for long enough that flushes fail, a breaker
// opens and probes follow.
const (
	latencyWriters = 4
	latencySets    = 1000 // of each writer, in each phase
	latencyPause   = time.Millisecond
)

// BenchmarkOutageLatency reports the median and the 99th percentile of the time of a
// Set while Redis is well, while it is away, and while it comes back and the backlog
// drains. Run it with -benchtime 1x.
func BenchmarkOutageLatency(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for name, outage := range outages {
			b.Run(fmt.Sprintf("durable=%v/outage=%s", durable, strings.ReplaceAll(name, " ", "-")), func(b *testing.B) {
				for b.Loop() {
					latencyRound(b, durable, outage)
				}
			})
		}
	}
}

func latencyRound(b *testing.B, durable bool, outage func(testing.TB, *redistest.Server, *redistest.Proxy) func()) {
	s := redistest.Start(b, "--maxmemory-policy", "noeviction", "--appendonly", "yes")
	proxy := redistest.NewProxy(b, s.Addr)
	set, err := policy.Parse([]byte(strings.ReplaceAll(durableRules, "durable: true", fmt.Sprint("durable: ", durable))))
	if err != nil {
		b.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory(b)}, {Name: "redis", Store: shared(b, proxy.Addr, "lat:")}}, set,
		&chain.Options{TierTimeout: 200 * time.Millisecond, Pending: chain.PendingOptions{Journal: b.TempDir()}})
	if err != nil {
		b.Fatal(err)
	}
	cache := chain.NewCache[string](c, nil)
	setTimes(b, cache) // warm
	calm := setTimes(b, cache)
	end := outage(b, s, proxy)
	away := setTimes(b, cache)
	end()
	back := setTimes(b, cache)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		b.Error(err)
	}
	for name, times := range map[string][]time.Duration{"calm": calm, "away": away, "back": back} {
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(percentile(times, p))/1e3, fmt.Sprintf("us-%s-p%d", name, p))
		}
	}
	b.ReportMetric(float64(percentile(away, 99))/float64(percentile(calm, 99)), "away/calm-p99")
	b.ReportMetric(float64(percentile(back, 99))/float64(percentile(calm, 99)), "back/calm-p99")
}

// setTimes returns how long each Set of a phase took.
func setTimes(b *testing.B, cache *chain.Cache[string]) []time.Duration {
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	value := strings.Repeat("v", 100)
	for w := range latencyWriters {
		wg.Go(func() {
			times := make([]time.Duration, 0, latencySets)
			for i := range latencySets {
				began := time.Now()
				if err := cache.Set(context.Background(), fmt.Sprintf("k:%d-%d", w, i%500), value); err != nil {
					b.Error(err)
				}
				times = append(times, time.Since(began))
				time.Sleep(latencyPause)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
		})
	}
	wg.Wait()
	return all
}

func percentile(times []time.Duration, p int) time.Duration {
	slices.Sort(times)
	return times[len(times)*p/100]
}
