package otel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/observe/otel"
)

// stats stands for a *chain.Chain.
type stats struct{}

func (stats) Stats() chain.Stats {
	return chain.Stats{Tiers: []chain.TierStats{{Name: "memory", Hits: 9}}}
}

func ExampleRegister() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if _, err := otel.Register(provider.Meter("strata"), stats{}, nil); err != nil {
		fmt.Println(err)
		return
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if m.Name == "strata.tier.hits" {
			fmt.Println(m.Data.(metricdata.Sum[float64]).DataPoints[0].Value)
		}
	}
	// Output: 9
}

func ExampleNewObserver() {
	provider := metric.NewMeterProvider()
	observer, err := otel.NewObserver(provider.Meter("strata"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	opts := &chain.Options{Observer: observer}
	fmt.Println(opts.Observer != nil)
	// Output: true
}
