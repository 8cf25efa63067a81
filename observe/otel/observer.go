package otel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// observer records events of a chain.
type observer struct {
	chain.NopObserver
	base    []attribute.KeyValue
	load    metric.Float64Histogram
	flush   metric.Int64Histogram
	breaker metric.Int64Counter

	loaded, absent, failed metric.MeasurementOption
}

// NewObserver returns an observer for chain.Options that records durations of
// loads, sizes of flushes and changes of circuit breakers in instruments of
// meter.
func NewObserver(meter metric.Meter, opts *Options) (chain.Observer, error) {
	if meter == nil {
		return nil, errors.New("otel: there is no meter")
	}
	o := &observer{base: opts.attributes()}
	o.loaded, o.absent, o.failed = o.with("strata.outcome", "loaded"), o.with("strata.outcome", "not_found"), o.with("strata.outcome", "error")
	var errs [3]error
	o.load, errs[0] = meter.Float64Histogram("strata.load.duration", metric.WithUnit("s"), metric.WithDescription("Durations of loads, by outcome."))
	o.flush, errs[1] = meter.Int64Histogram("strata.flush.size", metric.WithUnit("{write}"), metric.WithDescription("Writes that a tier took, or failed to take, at a time."))
	o.breaker, errs[2] = meter.Int64Counter("strata.breaker.changes", metric.WithUnit("{change}"), metric.WithDescription("Changes of a tier's circuit breaker, by new state."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return o, nil
}

func (o *observer) with(pairs ...string) metric.MeasurementOption {
	attrs := o.base[:len(o.base):len(o.base)]
	for i := 0; i < len(pairs); i += 2 {
		attrs = append(attrs, attribute.String(pairs[i], pairs[i+1]))
	}
	return metric.WithAttributes(attrs...)
}

func (o *observer) Load(_ string, d time.Duration, err error) {
	outcome := o.loaded
	switch {
	case errors.Is(err, store.ErrNotFound):
		outcome = o.absent
	case err != nil:
		outcome = o.failed
	}
	o.load.Record(context.Background(), d.Seconds(), outcome)
}

func (o *observer) Flush(tier string, n int, err error) {
	outcome := "taken"
	if err != nil {
		outcome = "error"
	}
	o.flush.Record(context.Background(), int64(n), o.with("strata.tier", tier, "strata.outcome", outcome))
}

func (o *observer) Breaker(tier, state string) {
	o.breaker.Add(context.Background(), 1, o.with("strata.tier", tier, "strata.state", state))
}
