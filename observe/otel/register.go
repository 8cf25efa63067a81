package otel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/stratacache/strata/chain"
)

// Source is what Register reads. A *chain.Chain is one.
type Source interface{ Stats() chain.Stats }

// Options are the settings of Register and NewObserver. Nil and zero fields
// mean the defaults.
type Options struct {
	// Chain tells the chains of one program apart, as the attribute
	// "strata.chain". The default is no such attribute.
	Chain string
}

func (o *Options) attributes() []attribute.KeyValue {
	if o == nil || o.Chain == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("strata.chain", o.Chain)}
}

// figure is an instrument with the way to read it.
type figure struct {
	name, unit, help string
	counter          bool // else a gauge
	chain            func(*chain.Stats) float64
	tier             func(*chain.TierStats) float64
	rule             func(*chain.RuleStats) float64
	ruleTier         func(*chain.RuleTierStats) float64
}

func ruleFigures() []figure {
	return []figure{
		{name: "strata.rule.misses", unit: "{read}", help: "Reads of the rule's keys for which no tier had a fresh value.", counter: true, rule: func(r *chain.RuleStats) float64 { return float64(r.Misses) }},
		{name: "strata.rule.loads", unit: "{key}", help: "Keys of the rule that a loader was called for.", counter: true, rule: func(r *chain.RuleStats) float64 { return float64(r.Loads) }},
		{name: "strata.rule.load_errors", unit: "{key}", help: "Loads of the rule's keys that failed otherwise than by not found.", counter: true, rule: func(r *chain.RuleStats) float64 { return float64(r.LoadErrors) }},
		{name: "strata.rule.load_time", unit: "s", help: "Time spent in loads of the rule's keys.", counter: true, rule: func(r *chain.RuleStats) float64 { return r.LoadTime.Total.Seconds() }},
		{name: "strata.rule.hits", unit: "{read}", help: "Reads of the rule's keys that the tier answered, memory's quick hits aside.", counter: true, ruleTier: func(t *chain.RuleTierStats) float64 { return float64(t.Hits) }},
	}
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

func chainFigures() []figure {
	return []figure{
		{"strata.misses", "{read}", "Reads for which no tier had a fresh value.", true, func(s *chain.Stats) float64 { return float64(s.Misses) }, nil, nil, nil},
		{"strata.stale", "{read}", "Values served past their soft deadline.", true, func(s *chain.Stats) float64 { return float64(s.Stale) }, nil, nil, nil},
		{"strata.negative_hits", "{read}", "Reads answered by a remembered not found.", true, func(s *chain.Stats) float64 { return float64(s.NegativeHits) }, nil, nil, nil},
		{"strata.pending_hits", "{read}", "Reads answered by a write not yet in its tier.", true, func(s *chain.Stats) float64 { return float64(s.PendingHits) }, nil, nil, nil},
		{"strata.loads", "{load}", "Calls of loaders.", true, func(s *chain.Stats) float64 { return float64(s.Loads) }, nil, nil, nil},
		{"strata.load_errors", "{load}", "Calls of loaders that failed otherwise than by not found.", true, func(s *chain.Stats) float64 { return float64(s.LoadErrors) }, nil, nil, nil},
		{"strata.type_misses", "{entry}", "Entries of another type or codec, treated as misses.", true, func(s *chain.Stats) float64 { return float64(s.TypeMisses) }, nil, nil, nil},
		{"strata.corrupt", "{entry}", "Entries that failed their check, treated as misses.", true, func(s *chain.Stats) float64 { return float64(s.Corrupt) }, nil, nil, nil},
		{"strata.fenced_fills", "{fill}", "Fills dropped because a write or delete had come.", true, func(s *chain.Stats) float64 { return float64(s.Fenced) }, nil, nil, nil},
		{"strata.queue_full", "{write}", "Write-backs that found their queue full.", true, func(s *chain.Stats) float64 { return float64(s.QueueFull) }, nil, nil, nil},
		{"strata.journal.bytes", "By", "Size of the journal of durable writes.", false, func(s *chain.Stats) float64 { return float64(s.Journal.Bytes) }, nil, nil, nil},
		{"strata.journal.records", "{write}", "Durable writes that a tier has yet to take.", false, func(s *chain.Stats) float64 { return float64(s.Journal.Records) }, nil, nil, nil},
		{"strata.journal.failed", "1", "1 while the journal takes no writes.", false, func(s *chain.Stats) float64 { return flag(s.Journal.Err != nil) }, nil, nil, nil},
		{"strata.feed.following", "1", "1 while all changes of other processes are known; always 0 without a feed.", false, func(s *chain.Stats) float64 { return flag(s.Feed.Following) }, nil, nil, nil},
		{"strata.feed.pending", "{change}", "Changes that other processes are yet to be told of.", false, func(s *chain.Stats) float64 { return float64(s.Feed.Pending) }, nil, nil, nil},
		{"strata.feed.published", "{change}", "Changes that other processes were told of.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Published) }, nil, nil, nil},
		{"strata.feed.applied", "{change}", "Changes of other processes that were carried out.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Applied) }, nil, nil, nil},
		{"strata.feed.touched", "{change}", "Changes that the shared tier told of, this process's own among them.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Touched) }, nil, nil, nil},
		{"strata.feed.missed", "{time}", "Times that all this process held became suspect, the start included.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Missed) }, nil, nil, nil},
		{"strata.feed.unheard", "{time}", "Times that what memory held became suspect, since the shared tier may have told of changes in vain.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Unheard) }, nil, nil, nil},
		{"strata.feed.lost", "{entry}", "Entries of a shared tier that were older than a write known here, and no answer.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Lost) }, nil, nil, nil},
		{"strata.feed.failures", "{call}", "Calls of the feed that failed.", true, func(s *chain.Stats) float64 { return float64(s.Feed.Failures) }, nil, nil, nil},
		{"strata.negative_entries", "{key}", "Keys remembered as not found.", false, func(s *chain.Stats) float64 { return float64(s.Negatives) }, nil, nil, nil},
	}
}

func tierFigures() []figure {
	return []figure{
		{"strata.tier.hits", "{read}", "Reads that the tier answered.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Hits) }, nil, nil},
		{"strata.tier.misses", "{read}", "Reads that the tier answered with not found.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Misses) }, nil, nil},
		{"strata.tier.errors", "{call}", "Calls that failed.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Errors) }, nil, nil},
		{"strata.tier.skipped", "{call}", "Calls not made because the circuit breaker was open.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Skipped) }, nil, nil},
		{"strata.tier.fills", "{fill}", "Values read or loaded that were put into the tier.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Fills) }, nil, nil},
		{"strata.tier.fills_dropped", "{fill}", "Values read or loaded that were not put into the tier.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Dropped) }, nil, nil},
		{"strata.tier.read_time", "s", "Time spent in the tier's reads.", true, nil, func(t *chain.TierStats) float64 { return t.Reads.Total.Seconds() }, nil, nil},
		{"strata.tier.write_time", "s", "Time spent in the tier's writes.", true, nil, func(t *chain.TierStats) float64 { return t.Writes.Total.Seconds() }, nil, nil},
		{"strata.tier.available", "1", "1 while the tier's circuit breaker is closed, else 0.", false, nil, available, nil, nil},
		{"strata.tier.pending_entries", "{write}", "Writes that wait for the tier.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Entries) }, nil, nil},
		{"strata.tier.pending_bytes", "By", "Size of the writes that wait for the tier.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Bytes) }, nil, nil},
		{"strata.tier.pending_age", "s", "Age of the oldest write that waits for the tier.", false, nil, func(t *chain.TierStats) float64 { return t.Pending.Age }, nil, nil},
		{"strata.tier.lost", "{write}", "Writes that were given up.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Lost) }, nil, nil},
		{"strata.store.entries", "{entry}", "Live entries of the tier's store.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Entries) }, nil, nil},
		{"strata.store.bytes", "By", "Bytes in use by the tier's store.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Bytes) }, nil, nil},
		{"strata.store.capacity", "By", "Limit of the bytes in use; 0: none.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Capacity) }, nil, nil},
		{"strata.store.evictions", "{entry}", "Entries dropped for room.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Evictions) }, nil, nil},
		{"strata.store.corrupt", "{entry}", "Entries of the store that failed their check.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Corrupt) }, nil, nil},
	}
}

func available(t *chain.TierStats) float64 {
	if t.Breaker == "closed" || t.Breaker == "" {
		return 1
	}
	return 0
}

// Register exports the statistics of source through instruments of meter, until
// the registration is ended with Unregister. Registering a source a second time
// counts it twice in backends that add up what has equal attributes: give
// several chains different names.
func Register(meter metric.Meter, source Source, opts *Options) (metric.Registration, error) {
	if meter == nil || source == nil {
		return nil, errors.New("otel: there is no meter or no chain")
	}
	figures := slices.Concat(chainFigures(), tierFigures(), ruleFigures())
	made := make([]metric.Float64Observable, len(figures))
	all := make([]metric.Observable, len(figures))
	for i, f := range figures {
		o, err := f.instrument(meter)
		if err != nil {
			return nil, fmt.Errorf("otel: %s: %w", f.name, err)
		}
		made[i], all[i] = o, o
	}
	base := opts.attributes()
	reg, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := source.Stats()
		observe(figures, func(f *figure) func(*chain.Stats) float64 { return f.chain }, &s, func(i int, v float64) {
			o.ObserveFloat64(made[i], v, metric.WithAttributes(base...))
		})
		for j := range s.Tiers {
			t := &s.Tiers[j]
			attrs := labelled(base, "strata.tier", t.Name)
			observe(figures, func(f *figure) func(*chain.TierStats) float64 { return f.tier }, t, func(i int, v float64) {
				o.ObserveFloat64(made[i], v, metric.WithAttributes(attrs...))
			})
		}
		for j := range s.Rules {
			r := &s.Rules[j]
			attrs := labelled(base, "strata.rule", r.Name)
			observe(figures, func(f *figure) func(*chain.RuleStats) float64 { return f.rule }, r, func(i int, v float64) {
				o.ObserveFloat64(made[i], v, metric.WithAttributes(attrs...))
			})
			for k := range r.Tiers {
				t := &r.Tiers[k]
				observe(figures, func(f *figure) func(*chain.RuleTierStats) float64 { return f.ruleTier }, t, func(i int, v float64) {
					o.ObserveFloat64(made[i], v, metric.WithAttributes(labelled(attrs, "strata.tier", t.Name)...))
				})
			}
		}
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return reg, nil
}

// observe reports those of the figures that can be read from s.
func observe[S any](figures []figure, of func(*figure) func(*S) float64, s *S, report func(i int, v float64)) {
	for i := range figures {
		if read := of(&figures[i]); read != nil {
			report(i, read(s))
		}
	}
}

// labelled returns attrs and one more.
func labelled(attrs []attribute.KeyValue, name, value string) []attribute.KeyValue {
	return append(attrs[:len(attrs):len(attrs)], attribute.String(name, value))
}

func (f *figure) instrument(m metric.Meter) (metric.Float64Observable, error) {
	if f.counter {
		return m.Float64ObservableCounter(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.help))
	}
	return m.Float64ObservableGauge(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.help))
}
