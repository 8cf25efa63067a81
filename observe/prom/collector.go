package prom

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stratacache/strata/chain"
)

// Source is what a Collector reads. A *chain.Chain is one.
type Source interface{ Stats() chain.Stats }

// Options are the settings of a Collector. Nil and zero fields mean the
// defaults.
type Options struct {
	// Chain tells the chains of one program apart, as the label "chain". The
	// default is no such label.
	Chain string
}

// Collector exports the statistics of one chain. It is a
// prometheus.Collector, safe for concurrent use.
type Collector struct {
	source     Source
	singles    []single
	histograms []histogram
	breaker    *prometheus.Desc
	extra      *prometheus.Desc
	ruleHits   *prometheus.Desc
}

type single struct {
	one
	desc *prometheus.Desc
}

type histogram struct {
	durations
	desc *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a collector of the chain's statistics. Register it, or call
// Register in place of both.
func New(source Source, opts *Options) (*Collector, error) {
	if source == nil {
		return nil, errors.New("prom: there is no chain")
	}
	var fixed prometheus.Labels
	if opts != nil && opts.Chain != "" {
		fixed = prometheus.Labels{"chain": opts.Chain}
	}
	describe := func(m Metric, more ...string) *prometheus.Desc {
		var labels []string
		if m.Tier {
			labels = append(labels, "tier")
		}
		if m.Rule {
			labels = append(labels, "rule")
		}
		return prometheus.NewDesc(m.Name, m.Help, append(labels, more...), fixed)
	}
	c := &Collector{
		source: source, breaker: describe(breakerMetric, "state"), extra: describe(extraMetric, "name"),
		ruleHits: describe(ruleHitMetric),
	}
	for _, m := range singles() {
		c.singles = append(c.singles, single{m, describe(m.Metric)})
	}
	for _, h := range histograms() {
		c.histograms = append(c.histograms, histogram{h, describe(h.Metric)})
	}
	return c, nil
}

// Register makes a collector of the chain and registers it with reg. To register
// the same chain again is no error and changes nothing; another chain under the
// same name is one. reg.Unregister of the collector undoes it.
func Register(reg prometheus.Registerer, source Source, opts *Options) (*Collector, error) {
	c, err := New(source, opts)
	if err != nil {
		return nil, err
	}
	err = reg.Register(c)
	var taken prometheus.AlreadyRegisteredError
	if !errors.As(err, &taken) {
		if err != nil {
			return nil, fmt.Errorf("prom: %w", err)
		}
		return c, nil
	}
	if old, ok := taken.ExistingCollector.(*Collector); ok && same(old.source, source) {
		return old, nil
	}
	return nil, errors.New("prom: another chain is registered under the same name: tell them apart with Options.Chain")
}

// same compares what may not be comparable.
func same(a, b Source) bool {
	return reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.singles {
		ch <- m.desc
	}
	for _, h := range c.histograms {
		ch <- h.desc
	}
	ch <- c.breaker
	ch <- c.extra
	ch <- c.ruleHits
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.source.Stats()
	for _, m := range c.singles {
		if m.chain != nil {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.chain(&s))
		}
	}
	for _, h := range c.histograms {
		if h.chain != nil {
			h.send(ch, h.chain(&s))
		}
	}
	for i := range s.Tiers {
		c.collectTier(ch, &s.Tiers[i])
	}
	for i := range s.Rules {
		c.collectRule(ch, &s.Rules[i])
	}
}

func (c *Collector) collectRule(ch chan<- prometheus.Metric, r *chain.RuleStats) {
	for _, m := range c.singles {
		if m.rule != nil {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.rule(r), r.Name)
		}
	}
	for _, t := range r.Tiers {
		ch <- prometheus.MustNewConstMetric(c.ruleHits, counter, float64(t.Hits), t.Name, r.Name)
	}
}

func (c *Collector) collectTier(ch chan<- prometheus.Metric, t *chain.TierStats) {
	for _, m := range c.singles {
		if m.tier != nil {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.tier(t), t.Name)
		}
	}
	for _, h := range c.histograms {
		if h.tier != nil {
			h.send(ch, h.tier(t), t.Name)
		}
	}
	for _, state := range []string{"closed", "half-open", "open"} {
		v := 0.0
		if t.Breaker == state {
			v = 1
		}
		ch <- prometheus.MustNewConstMetric(c.breaker, gauge, v, t.Name, state)
	}
	for name, v := range t.Store.Extra {
		ch <- prometheus.MustNewConstMetric(c.extra, gauge, v, t.Name, name)
	}
}

func (h *histogram) send(ch chan<- prometheus.Metric, l chain.Latency, labels ...string) {
	ch <- prometheus.MustNewConstHistogram(h.desc, l.Count, l.Total.Seconds(), cumulate(l), labels...)
}
