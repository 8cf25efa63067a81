package prom

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stratacache/strata/chain"
)

// Metric is the name and help text of one metric.
type Metric struct {
	Name string
	Help string
	// Tier is set for metrics that have a value for each tier.
	Tier bool
	// Rule is set for metrics that have a value for each rule of the policies, and
	// one for the keys that no rule matches.
	Rule bool
}

// one is a metric with the way to read it: from the chain or from a tier.
type one struct {
	Metric
	kind  prometheus.ValueType
	chain func(*chain.Stats) float64
	tier  func(*chain.TierStats) float64
	rule  func(*chain.RuleStats) float64
}

// durations is a histogram with the way to read it.
type durations struct {
	Metric
	chain func(*chain.Stats) chain.Latency
	tier  func(*chain.TierStats) chain.Latency
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

func ofChain(name, help string, kind prometheus.ValueType, f func(*chain.Stats) float64) one {
	return one{Metric: Metric{Name: "strata_" + name, Help: help}, kind: kind, chain: f}
}

func ofTier(name, help string, kind prometheus.ValueType, f func(*chain.TierStats) float64) one {
	return one{Metric: Metric{Name: "strata_" + name, Help: help, Tier: true}, kind: kind, tier: f}
}

func ofRule(name, help string, f func(*chain.RuleStats) float64) one {
	return one{Metric: Metric{Name: "strata_rule_" + name, Help: help, Rule: true}, kind: counter, rule: f}
}

func ruleMetrics() []one {
	return []one{
		ofRule("misses_total", "Reads of the rule's keys for which no tier had a fresh value.", func(r *chain.RuleStats) float64 { return float64(r.Misses) }),
		ofRule("loads_total", "Keys of the rule that a loader was called for.", func(r *chain.RuleStats) float64 { return float64(r.Loads) }),
		ofRule("load_errors_total", "Loads of the rule's keys that failed otherwise than by not found.", func(r *chain.RuleStats) float64 { return float64(r.LoadErrors) }),
		ofRule("load_seconds_total", "Time spent in loads of the rule's keys.", func(r *chain.RuleStats) float64 { return r.LoadTime.Total.Seconds() }),
	}
}

func chainMetrics() []one {
	return []one{
		ofChain("misses_total", "Reads for which no tier had a fresh value.", counter, func(s *chain.Stats) float64 { return float64(s.Misses) }),
		ofChain("stale_total", "Values served past their soft deadline.", counter, func(s *chain.Stats) float64 { return float64(s.Stale) }),
		ofChain("negative_hits_total", "Reads answered by a remembered not found.", counter, func(s *chain.Stats) float64 { return float64(s.NegativeHits) }),
		ofChain("pending_hits_total", "Reads answered by a write not yet in its tier.", counter, func(s *chain.Stats) float64 { return float64(s.PendingHits) }),
		ofChain("loads_total", "Calls of loaders.", counter, func(s *chain.Stats) float64 { return float64(s.Loads) }),
		ofChain("load_errors_total", "Calls of loaders that failed otherwise than by not found.", counter, func(s *chain.Stats) float64 { return float64(s.LoadErrors) }),
		ofChain("type_misses_total", "Entries of another type or codec, treated as misses.", counter, func(s *chain.Stats) float64 { return float64(s.TypeMisses) }),
		ofChain("corrupt_total", "Entries that failed their check, treated as misses.", counter, func(s *chain.Stats) float64 { return float64(s.Corrupt) }),
		ofChain("fenced_fills_total", "Fills dropped because a write or delete had come.", counter, func(s *chain.Stats) float64 { return float64(s.Fenced) }),
		ofChain("queue_full_total", "Write-backs that found their queue full.", counter, func(s *chain.Stats) float64 { return float64(s.QueueFull) }),
		ofChain("journal_bytes", "Size of the journal of durable writes.", gauge, func(s *chain.Stats) float64 { return float64(s.Journal.Bytes) }),
		ofChain("journal_records", "Durable writes that a tier has yet to take.", gauge, func(s *chain.Stats) float64 { return float64(s.Journal.Records) }),
		ofChain("journal_failed", "1 while the journal takes no writes.", gauge, func(s *chain.Stats) float64 { return flag(s.Journal.Err != nil) }),
		ofChain("feed_following", "1 while all changes of other processes are known; always 0 without a feed.", gauge, func(s *chain.Stats) float64 { return flag(s.Feed.Following) }),
		ofChain("feed_pending", "Changes that other processes are yet to be told of.", gauge, func(s *chain.Stats) float64 { return float64(s.Feed.Pending) }),
		ofChain("feed_published_total", "Changes that other processes were told of.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Published) }),
		ofChain("feed_applied_total", "Changes of other processes that were carried out.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Applied) }),
		ofChain("feed_touched_total", "Changes that the shared tier told of, this process's own among them.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Touched) }),
		ofChain("feed_missed_total", "Times that all this process held became suspect, the start included.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Missed) }),
		ofChain("feed_unheard_total", "Times that what memory held became suspect, since the shared tier may have told of changes in vain.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Unheard) }),
		ofChain("feed_lost_total", "Entries of a shared tier that were older than a write known here, and no answer.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Lost) }),
		ofChain("feed_failures_total", "Calls of the feed that failed.", counter, func(s *chain.Stats) float64 { return float64(s.Feed.Failures) }),
		ofChain("negative_entries", "Keys remembered as not found.", gauge, func(s *chain.Stats) float64 { return float64(s.Negatives) }),
	}
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

func tierMetrics() []one {
	return []one{
		ofTier("tier_hits_total", "Reads that the tier answered.", counter, func(t *chain.TierStats) float64 { return float64(t.Hits) }),
		ofTier("tier_misses_total", "Reads that the tier answered with not found.", counter, func(t *chain.TierStats) float64 { return float64(t.Misses) }),
		ofTier("tier_errors_total", "Calls that failed.", counter, func(t *chain.TierStats) float64 { return float64(t.Errors) }),
		ofTier("tier_skipped_total", "Calls not made because the circuit breaker was open.", counter, func(t *chain.TierStats) float64 { return float64(t.Skipped) }),
		ofTier("tier_fills_total", "Values read or loaded that were put into the tier.", counter, func(t *chain.TierStats) float64 { return float64(t.Fills) }),
		ofTier("tier_fills_dropped_total", "Values read or loaded that were not put into the tier.", counter, func(t *chain.TierStats) float64 { return float64(t.Dropped) }),
		ofTier("tier_pending_entries", "Writes that wait for the tier.", gauge, func(t *chain.TierStats) float64 { return float64(t.Pending.Entries) }),
		ofTier("tier_pending_bytes", "Size of the writes that wait for the tier.", gauge, func(t *chain.TierStats) float64 { return float64(t.Pending.Bytes) }),
		ofTier("tier_pending_age_seconds", "Age of the oldest write that waits for the tier.", gauge, func(t *chain.TierStats) float64 { return t.Pending.Age }),
		ofTier("tier_pending_retries", "Writes that failed and wait for another attempt.", gauge, func(t *chain.TierStats) float64 { return float64(t.Pending.Retries) }),
		ofTier("tier_flushed_total", "Writes that the tier took from its queue.", counter, func(t *chain.TierStats) float64 { return float64(t.Pending.Flushed) }),
		ofTier("tier_flush_errors_total", "Flushes that failed, in whole or in part.", counter, func(t *chain.TierStats) float64 { return float64(t.Pending.Failed) }),
		ofTier("tier_lost_total", "Writes that were given up.", counter, func(t *chain.TierStats) float64 { return float64(t.Pending.Lost) }),
		ofTier("store_entries", "Live entries of the tier's store.", gauge, func(t *chain.TierStats) float64 { return float64(t.Store.Entries) }),
		ofTier("store_bytes", "Bytes in use by the tier's store.", gauge, func(t *chain.TierStats) float64 { return float64(t.Store.Bytes) }),
		ofTier("store_capacity_bytes", "Limit of the bytes in use; 0: none.", gauge, func(t *chain.TierStats) float64 { return float64(t.Store.Capacity) }),
		ofTier("store_evictions_total", "Entries dropped for room.", counter, func(t *chain.TierStats) float64 { return float64(t.Store.Evictions) }),
		ofTier("store_rejections_total", "Entries that were not admitted.", counter, func(t *chain.TierStats) float64 { return float64(t.Store.Rejections) }),
		ofTier("store_expired_total", "Entries dropped because their deadline had passed.", counter, func(t *chain.TierStats) float64 { return float64(t.Store.Expired) }),
		ofTier("store_corrupt_total", "Entries of the store that failed their check.", counter, func(t *chain.TierStats) float64 { return float64(t.Store.Corrupt) }),
	}
}

func histograms() []durations {
	return []durations{
		{Metric: Metric{Name: "strata_load_seconds", Help: "Durations of loads."},
			chain: func(s *chain.Stats) chain.Latency { return s.LoadTime }},
		{Metric: Metric{Name: "strata_tier_read_seconds", Help: "Durations of the tier's reads.", Tier: true},
			tier: func(t *chain.TierStats) chain.Latency { return t.Reads }},
		{Metric: Metric{Name: "strata_tier_write_seconds", Help: "Durations of the tier's writes.", Tier: true},
			tier: func(t *chain.TierStats) chain.Latency { return t.Writes }},
	}
}

// singles are the metrics that are one number for each combination of labels.
func singles() []one { return slices.Concat(chainMetrics(), tierMetrics(), ruleMetrics()) }

// The metrics with labels of their own.
var (
	breakerMetric = Metric{Name: "strata_tier_breaker", Help: "1 for the state that the tier's circuit breaker is in.", Tier: true}
	ruleHitMetric = Metric{Name: "strata_rule_hits_total", Help: "Reads of the rule's keys that the tier answered. What memory answers at once is not counted by rule.", Tier: true, Rule: true}
	extraMetric   = Metric{Name: "strata_store_extra", Help: "Further figures of the tier's store, by name.", Tier: true}
)

// Metrics returns all metrics, for dashboards and documentation.
func Metrics() []Metric {
	var all []Metric
	for _, m := range singles() {
		all = append(all, m.Metric)
	}
	for _, h := range histograms() {
		all = append(all, h.Metric)
	}
	return append(all, breakerMetric, ruleHitMetric, extraMetric)
}

// bounds are the upper bounds of the exported buckets: 1 us to 17 s, times 4.
// They are powers of two in nanoseconds because the chain's own buckets end
// there, so that nothing is counted in the wrong one.
func bounds() []time.Duration {
	var b []time.Duration
	for shift := 10; shift <= 34; shift += 2 {
		b = append(b, time.Duration(1)<<shift)
	}
	return b
}

// cumulate turns the chain's distribution into Prometheus's form.
func cumulate(l chain.Latency) map[float64]uint64 {
	out := make(map[float64]uint64)
	for _, bound := range bounds() {
		var n uint64
		for _, b := range l.Buckets {
			if b.UpTo <= bound {
				n += b.Count
			}
		}
		out[bound.Seconds()] = n
	}
	return out
}
