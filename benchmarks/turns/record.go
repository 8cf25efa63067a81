package turns

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

// Record prints results that were measured elsewhere, in turns too: values holds
// for each implementation, in the order of names, a value a round. An
// implementation without any is left out. Where there are very many, as of single
// operations, a line is the median of some that follow each other.
func Record(b *testing.B, name string, names []string, unit string, values [][]float64) {
	b.Helper()
	rounds := 0
	values = slices.Clone(values)
	for i := range values {
		values[i] = thinned(values[i])
	}
	for _, v := range values {
		if len(v) > 0 && (rounds == 0 || len(v) < rounds) {
			rounds = len(v)
		}
	}
	procs := ""
	if n := runtime.GOMAXPROCS(0); n > 1 {
		procs = fmt.Sprint("-", n)
	}
	header(b)
	for round := range rounds {
		if slices.ContainsFunc(values, func(v []float64) bool { return len(v) > 0 && v[round] <= 0 }) {
			continue // too quick for the clock: there is no ratio to it
		}
		for i, v := range values {
			if len(v) > 0 {
				fmt.Printf("%s/impl=%s%s\t1\t%s %s\n", name, names[i], procs, figure(v[round]), unit)
			}
		}
	}
}

// maxLines is the most lines of an implementation.
const maxLines = 20

func thinned(v []float64) []float64 {
	if len(v) <= maxLines {
		return v
	}
	var medians []float64
	for i := range maxLines {
		some := slices.Sorted(slices.Values(v[i*len(v)/maxLines : (i+1)*len(v)/maxLines]))
		medians = append(medians, some[len(some)/2])
	}
	return medians
}

func sorted(figures map[string]float64) []string { return slices.Sorted(maps.Keys(figures)) }

// figure writes v with four digits or more, never with an exponent.
func figure(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}
