package otel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

type fixed chain.Stats

func (f *fixed) Stats() chain.Stats { return chain.Stats(*f) }

func known() *fixed {
	return &fixed{Misses: 3, Negatives: 7, Rules: []chain.RuleStats{
		{Name: "prices", Misses: 4, LoadTime: chain.Latency{Total: time.Second}, Tiers: []chain.RuleTierStats{{Name: "redis", Hits: 6}}},
		{Name: "default", Misses: 1},
	}, Tiers: []chain.TierStats{
		{Name: "memory", Hits: 10, Breaker: "closed", Reads: chain.Latency{Total: 2 * time.Second}},
		{Name: "redis", Hits: 1, Breaker: "open"},
	}}
}

// collect returns every data point as "name{attributes} value".
func collect(t *testing.T, r metric.Reader) map[string]string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[float64]:
				for _, p := range d.DataPoints {
					out[point(m.Name, p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					out[point(m.Name, p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out[point(m.Name, p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					out[point(m.Name, p.Attributes)] = fmt.Sprint(p.Count, p.Sum)
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					out[point(m.Name, p.Attributes)] = fmt.Sprint(p.Count, p.Sum)
				}
			default:
				t.Fatalf("%s has unknown data %T", m.Name, d)
			}
		}
	}
	return out
}

func point(name string, attrs attribute.Set) string {
	return name + "{" + attrs.Encoded(attribute.DefaultEncoder()) + "}"
}

func meter(t *testing.T) (*metric.MeterProvider, metric.Reader) {
	t.Helper()
	r := metric.NewManualReader()
	p := metric.NewMeterProvider(metric.WithReader(r))
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p, r
}

func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %q, want %q", k, got[k], v)
		}
	}
}

func TestRegister(t *testing.T) {
	p, r := meter(t)
	reg, err := Register(p.Meter("test"), known(), &Options{Chain: "bot"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, collect(t, r), map[string]string{
		"strata.misses{strata.chain=bot}":                                         "3",
		"strata.negative_entries{strata.chain=bot}":                               "7",
		"strata.tier.hits{strata.chain=bot,strata.tier=memory}":                   "10",
		"strata.tier.hits{strata.chain=bot,strata.tier=redis}":                    "1",
		"strata.tier.read_time{strata.chain=bot,strata.tier=memory}":              "2",
		"strata.tier.available{strata.chain=bot,strata.tier=memory}":              "1",
		"strata.tier.available{strata.chain=bot,strata.tier=redis}":               "0",
		"strata.tier.pending_age{strata.chain=bot,strata.tier=redis}":             "0",
		"strata.rule.misses{strata.chain=bot,strata.rule=prices}":                 "4",
		"strata.rule.load_time{strata.chain=bot,strata.rule=prices}":              "1",
		"strata.rule.misses{strata.chain=bot,strata.rule=default}":                "1",
		"strata.rule.hits{strata.chain=bot,strata.rule=prices,strata.tier=redis}": "6",
		"strata.store.evictions{strata.chain=bot,strata.tier=memory}":             "0",
		"strata.tier.fills_dropped{strata.chain=bot,strata.tier=redis}":           "0",
	})
	if _, err := Register(p.Meter("test"), known(), &Options{Chain: "other"}); err != nil {
		t.Errorf("a second chain: %v", err)
	}
	got := collect(t, r)
	expect(t, got, map[string]string{"strata.misses{strata.chain=bot}": "3", "strata.misses{strata.chain=other}": "3"})
	if err := reg.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, r); got["strata.misses{strata.chain=bot}"] != "" {
		t.Error("still exported after Unregister")
	}
	if _, err := Register(nil, known(), nil); err == nil {
		t.Error("no meter, no error")
	}
	if _, err := Register(p.Meter("test"), nil, nil); err == nil {
		t.Error("no chain, no error")
	}
}

func TestObserver(t *testing.T) {
	p, r := meter(t)
	o, err := NewObserver(p.Meter("test"), nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Load("secret", time.Second, nil)
	o.Load("secret", time.Second, nil)
	o.Load("secret", time.Second, store.ErrNotFound)
	o.Load("secret", time.Second, errors.New("x"))
	o.Flush("redis", 5, nil)
	o.Flush("redis", 7, errors.New("x"))
	o.Breaker("redis", "open")
	o.Hit("memory", "secret")
	got := collect(t, r)
	expect(t, got, map[string]string{
		"strata.load.duration{strata.outcome=loaded}":                 "2 2",
		"strata.load.duration{strata.outcome=not_found}":              "1 1",
		"strata.load.duration{strata.outcome=error}":                  "1 1",
		"strata.flush.size{strata.outcome=taken,strata.tier=redis}":   "1 5",
		"strata.flush.size{strata.outcome=error,strata.tier=redis}":   "1 7",
		"strata.breaker.changes{strata.state=open,strata.tier=redis}": "1",
	})
	for k := range got {
		if strings.Contains(k, "secret") {
			t.Errorf("a key is in %s", k)
		}
	}
	if _, err := NewObserver(nil, nil); err == nil {
		t.Error("no meter, no error")
	}
}
