package otel

import (
	"context"
	"errors"
	"fmt"

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
}

func chainFigures() []figure {
	return []figure{
		{"strata.misses", "{read}", "Reads for which no tier had a fresh value.", true, func(s *chain.Stats) float64 { return float64(s.Misses) }, nil},
		{"strata.stale", "{read}", "Values served past their soft deadline.", true, func(s *chain.Stats) float64 { return float64(s.Stale) }, nil},
		{"strata.negative_hits", "{read}", "Reads answered by a remembered not found.", true, func(s *chain.Stats) float64 { return float64(s.NegativeHits) }, nil},
		{"strata.pending_hits", "{read}", "Reads answered by a write not yet in its tier.", true, func(s *chain.Stats) float64 { return float64(s.PendingHits) }, nil},
		{"strata.loads", "{load}", "Calls of loaders.", true, func(s *chain.Stats) float64 { return float64(s.Loads) }, nil},
		{"strata.load_errors", "{load}", "Calls of loaders that failed otherwise than by not found.", true, func(s *chain.Stats) float64 { return float64(s.LoadErrors) }, nil},
		{"strata.type_misses", "{entry}", "Entries of another type or codec, treated as misses.", true, func(s *chain.Stats) float64 { return float64(s.TypeMisses) }, nil},
		{"strata.corrupt", "{entry}", "Entries that failed their check, treated as misses.", true, func(s *chain.Stats) float64 { return float64(s.Corrupt) }, nil},
		{"strata.fenced_fills", "{fill}", "Fills dropped because a write or delete had come.", true, func(s *chain.Stats) float64 { return float64(s.Fenced) }, nil},
		{"strata.queue_full", "{write}", "Write-backs that found their queue full.", true, func(s *chain.Stats) float64 { return float64(s.QueueFull) }, nil},
		{"strata.journal.bytes", "By", "Size of the journal of durable writes.", false, func(s *chain.Stats) float64 { return float64(s.Journal.Bytes) }, nil},
		{"strata.journal.records", "{write}", "Durable writes that a tier has yet to take.", false, func(s *chain.Stats) float64 { return float64(s.Journal.Records) }, nil},
		{"strata.negative_entries", "{key}", "Keys remembered as not found.", false, func(s *chain.Stats) float64 { return float64(s.Negatives) }, nil},
	}
}

func tierFigures() []figure {
	return []figure{
		{"strata.tier.hits", "{read}", "Reads that the tier answered.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Hits) }},
		{"strata.tier.misses", "{read}", "Reads that the tier answered with not found.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Misses) }},
		{"strata.tier.errors", "{call}", "Calls that failed.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Errors) }},
		{"strata.tier.skipped", "{call}", "Calls not made because the circuit breaker was open.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Skipped) }},
		{"strata.tier.fills", "{fill}", "Values read or loaded that were put into the tier.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Fills) }},
		{"strata.tier.fills_dropped", "{fill}", "Values read or loaded that were not put into the tier.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Dropped) }},
		{"strata.tier.read_time", "s", "Time spent in the tier's reads.", true, nil, func(t *chain.TierStats) float64 { return t.Reads.Total.Seconds() }},
		{"strata.tier.write_time", "s", "Time spent in the tier's writes.", true, nil, func(t *chain.TierStats) float64 { return t.Writes.Total.Seconds() }},
		{"strata.tier.available", "1", "1 while the tier's circuit breaker is closed, else 0.", false, nil, available},
		{"strata.tier.pending_entries", "{write}", "Writes that wait for the tier.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Entries) }},
		{"strata.tier.pending_bytes", "By", "Size of the writes that wait for the tier.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Bytes) }},
		{"strata.tier.pending_age", "s", "Age of the oldest write that waits for the tier.", false, nil, func(t *chain.TierStats) float64 { return t.Pending.Age }},
		{"strata.tier.lost", "{write}", "Writes that were given up.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Pending.Lost) }},
		{"strata.store.entries", "{entry}", "Live entries of the tier's store.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Entries) }},
		{"strata.store.bytes", "By", "Bytes in use by the tier's store.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Bytes) }},
		{"strata.store.capacity", "By", "Limit of the bytes in use; 0: none.", false, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Capacity) }},
		{"strata.store.evictions", "{entry}", "Entries dropped for room.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Evictions) }},
		{"strata.store.corrupt", "{entry}", "Entries of the store that failed their check.", true, nil, func(t *chain.TierStats) float64 { return float64(t.Store.Corrupt) }},
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
	figures := append(chainFigures(), tierFigures()...)
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
		for i, f := range figures {
			if f.chain != nil {
				o.ObserveFloat64(made[i], f.chain(&s), metric.WithAttributes(base...))
			}
		}
		for j := range s.Tiers {
			t := &s.Tiers[j]
			attrs := metric.WithAttributes(append(base[:len(base):len(base)], attribute.String("strata.tier", t.Name))...)
			for i, f := range figures {
				if f.tier != nil {
					o.ObserveFloat64(made[i], f.tier(t), attrs)
				}
			}
		}
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return reg, nil
}

func (f *figure) instrument(m metric.Meter) (metric.Float64Observable, error) {
	if f.counter {
		return m.Float64ObservableCounter(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.help))
	}
	return m.Float64ObservableGauge(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.help))
}
