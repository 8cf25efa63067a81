package prom_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/observe/prom"
)

// stats stands for a *chain.Chain.
type stats struct{}

func (stats) Stats() chain.Stats {
	return chain.Stats{Tiers: []chain.TierStats{{Name: "memory", Hits: 9}}}
}

func ExampleRegister() {
	reg := prometheus.NewRegistry()
	if _, err := prom.Register(reg, stats{}, nil); err != nil {
		fmt.Println(err)
		return
	}
	families, err := reg.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		if f.GetName() == "strata_tier_hits_total" {
			fmt.Println(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	// Output: 9
}
