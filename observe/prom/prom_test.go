package prom

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// fixed is a source of known statistics.
type fixed chain.Stats

func (f *fixed) Stats() chain.Stats { return chain.Stats(*f) }

func known() *fixed {
	return &fixed{
		Misses: 3, Loads: 2, Negatives: 7,
		LoadTime: chain.Latency{Count: 3, Total: 3 * time.Second, Buckets: []chain.Bucket{{UpTo: 1 << 12, Count: 2}, {UpTo: 1 << 40, Count: 1}}},
		Rules: []chain.RuleStats{
			{Name: "prices", Misses: 4, Loads: 2, LoadErrors: 1, LoadTime: chain.Latency{Count: 2, Total: time.Second},
				Tiers: []chain.RuleTierStats{{Name: "redis", Hits: 6}, {Name: "disk", Hits: 1}}},
			{Name: "default", Misses: 1},
		},
		Tiers: []chain.TierStats{
			{Name: "memory", Hits: 10, Misses: 5, Breaker: "closed", Store: store.Stats{Bytes: 100, Extra: map[string]float64{"window": 2}}},
			{Name: "redis", Hits: 1, Errors: 4, Breaker: "open", Pending: chain.PendingStats{Entries: 9, Age: 1.5}},
		},
	}
}

func TestCollect(t *testing.T) {
	c, err := New(known(), &Options{Chain: "bot"})
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP strata_misses_total Reads for which no tier had a fresh value.
# TYPE strata_misses_total counter
strata_misses_total{chain="bot"} 3
# HELP strata_rule_hits_total Reads of the rule's keys that the tier answered. What memory answers at once is not counted by rule.
# TYPE strata_rule_hits_total counter
strata_rule_hits_total{chain="bot",rule="prices",tier="disk"} 1
strata_rule_hits_total{chain="bot",rule="prices",tier="redis"} 6
# HELP strata_rule_load_seconds_total Time spent in loads of the rule's keys.
# TYPE strata_rule_load_seconds_total counter
strata_rule_load_seconds_total{chain="bot",rule="default"} 0
strata_rule_load_seconds_total{chain="bot",rule="prices"} 1
# HELP strata_rule_misses_total Reads of the rule's keys for which no tier had a fresh value.
# TYPE strata_rule_misses_total counter
strata_rule_misses_total{chain="bot",rule="default"} 1
strata_rule_misses_total{chain="bot",rule="prices"} 4
# HELP strata_store_extra Further figures of the tier's store, by name.
# TYPE strata_store_extra gauge
strata_store_extra{chain="bot",name="window",tier="memory"} 2
# HELP strata_tier_breaker 1 for the state that the tier's circuit breaker is in.
# TYPE strata_tier_breaker gauge
strata_tier_breaker{chain="bot",state="closed",tier="memory"} 1
strata_tier_breaker{chain="bot",state="closed",tier="redis"} 0
strata_tier_breaker{chain="bot",state="half-open",tier="memory"} 0
strata_tier_breaker{chain="bot",state="half-open",tier="redis"} 0
strata_tier_breaker{chain="bot",state="open",tier="memory"} 0
strata_tier_breaker{chain="bot",state="open",tier="redis"} 1
# HELP strata_tier_hits_total Reads that the tier answered.
# TYPE strata_tier_hits_total counter
strata_tier_hits_total{chain="bot",tier="memory"} 10
strata_tier_hits_total{chain="bot",tier="redis"} 1
# HELP strata_tier_pending_age_seconds Age of the oldest write that waits for the tier.
# TYPE strata_tier_pending_age_seconds gauge
strata_tier_pending_age_seconds{chain="bot",tier="memory"} 0
strata_tier_pending_age_seconds{chain="bot",tier="redis"} 1.5
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "strata_misses_total", "strata_store_extra",
		"strata_rule_hits_total", "strata_rule_load_seconds_total", "strata_rule_misses_total",
		"strata_tier_breaker", "strata_tier_hits_total", "strata_tier_pending_age_seconds"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestHistogram(t *testing.T) {
	c, err := New(known(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "# HELP strata_load_seconds Durations of loads.\n# TYPE strata_load_seconds histogram\n"
	for i, b := range bounds() {
		n := 2
		if i == 0 {
			n = 0
		}
		want += fmt.Sprintf("strata_load_seconds_bucket{le=\"%v\"} %d\n", b.Seconds(), n)
	}
	want += "strata_load_seconds_bucket{le=\"+Inf\"} 3\nstrata_load_seconds_sum 3\nstrata_load_seconds_count 3\n"
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "strata_load_seconds"); err != nil {
		t.Error(err)
	}
}

// Everything in Metrics is exported, and nothing else.
func TestMetricsIsComplete(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	if _, err := Register(reg, known(), nil); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range Metrics() {
		listed[m.Name] = true
	}
	for _, f := range families {
		if !listed[f.GetName()] {
			t.Errorf("%s is not listed", f.GetName())
		}
		delete(listed, f.GetName())
	}
	if len(listed) > 0 {
		t.Errorf("not exported: %v", listed)
	}
}

func TestRegisterTwice(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, b := known(), known()
	c1, err := Register(reg, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c2, err := Register(reg, a, nil); err != nil || c2 != c1 {
		t.Errorf("the same chain again: %v", err)
	}
	if _, err := Register(reg, b, nil); err == nil || !strings.Contains(err.Error(), "Options.Chain") {
		t.Errorf("another chain under the same name: %v", err)
	}
	if _, err := Register(reg, nil, nil); err == nil {
		t.Error("no chain, no error")
	}
	reg2 := prometheus.NewRegistry()
	for _, name := range []string{"one", "two"} {
		if _, err := Register(reg2, a, &Options{Chain: name}); err != nil {
			t.Errorf("chain %s: %v", name, err)
		}
	}
	if _, err := reg2.Gather(); err != nil {
		t.Error(err)
	}
	if !reg.Unregister(c1) {
		t.Error("cannot be unregistered")
	}
}

// A real chain, scraped while it works. No key is in the output.
func TestRealChain(t *testing.T) {
	ctx := context.Background()
	c, err := chain.New([]chain.Tier{{Name: "map", Store: newMap()}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	reg := prometheus.NewPedanticRegistry()
	if _, err := Register(reg, c, nil); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	words := chain.NewCache[string](c, nil)
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				_ = words.Set(ctx, fmt.Sprintf("secret-key-%d", i), "v")
				_, _ = words.Get(ctx, fmt.Sprintf("secret-key-%d", i))
			}
		})
	}
	for range 20 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.Contains(f.String(), "secret-key") {
				t.Fatalf("a key is in %s", f.GetName())
			}
		}
	}
	wg.Wait()
	if n := testutil.CollectAndCount(mustNew(t, c), "strata_tier_hits_total"); n != 1 {
		t.Errorf("%d tiers, want 1", n)
	}
	if c.Stats().Tiers[0].Hits == 0 {
		t.Error("no hits were counted")
	}
}

func mustNew(t *testing.T, s Source) *Collector {
	t.Helper()
	c, err := New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mapStore is the least that is a store.
type mapStore struct {
	mu sync.Mutex
	m  map[string]store.Entry
}

func newMap() *mapStore { return &mapStore{m: make(map[string]store.Entry)} }

func (s *mapStore) Get(_ context.Context, key string) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.m[key]; ok {
		return e, nil
	}
	return store.Entry{}, store.ErrNotFound
}

func (s *mapStore) Set(_ context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = e
	return nil
}

func (s *mapStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
	return nil
}

func (s *mapStore) Close() error { return nil }
