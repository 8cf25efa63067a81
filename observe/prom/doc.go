// Package prom exports the statistics of a chain to Prometheus.
//
// # Use
//
//	if err := prom.Register(prometheus.DefaultRegisterer, c, nil); err != nil { ... }
//
// A [Collector] reads Chain.Stats when it is scraped and costs nothing between
// scrapes. Programs with several chains give each a name in [Options].
//
// # Metrics
//
// All names begin with "strata_". Those of a tier have the label "tier", which
// is its configured name. No label ever holds a key. Hit ratio of a tier:
//
//	rate(strata_tier_hits_total[5m]) / (rate(strata_tier_hits_total[5m]) + rate(strata_tier_misses_total[5m]))
//
// [Metrics] lists every metric with its help text.
package prom
