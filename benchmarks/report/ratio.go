package main

import (
	"slices"

	"golang.org/x/perf/benchmath"
)

// confidence that is asked of every interval; with fewer than six passes there
// is none so high, and the interval is from the least to the greatest.
const confidence = 0.95

// spread is a median and its confidence interval.
type spread struct{ mid, lo, hi float64 }

func spreadOf(v []float64) spread {
	if len(v) < 6 { // benchmath says infinity then
		s := slices.Sorted(slices.Values(v))
		return spread{mid: median(s), lo: s[0], hi: s[len(s)-1]}
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(v, &benchmath.DefaultThresholds), confidence)
	return spread{mid: s.Center, lo: s.Lo, hi: s.Hi}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percent is half of the interval's width in percent of the median.
func (s spread) percent() float64 {
	if s.mid == 0 {
		return 0
	}
	return (s.hi - s.lo) / 2 / s.mid * 100
}

// undecided reports whether the interval includes 1: of two things with such a
// ratio it cannot be said which is the larger.
func (s spread) undecided() bool { return s.lo <= 1 && 1 <= s.hi }

// ratios sets the passes of a against those of b, one by one.
func ratios(a, b []float64) []float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}
