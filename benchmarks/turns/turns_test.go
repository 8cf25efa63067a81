package turns

import (
	"strings"
	"sync/atomic"
	"testing"
)

// TestFigures: benchstat takes no exponents for granted, and four digits tell
// what there is to tell.
func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{123456.7: "123457", 12.345: "12.35", 0.01234: "0.0123", 0: "0.0000", 1e9: "1000000000"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %s, want %s", v, got, want)
		}
	}
}

// TestShares: every operation of a turn is done once, whoever does it, and the
// next turn goes on where the last one ended.
func TestShares(t *testing.T) {
	var seen [400]atomic.Int64
	r := &run{callers: 4, Subject: Subject{Name: "x", Do: Each(func(i int) error {
		seen[i].Add(1)
		return nil
	})}}
	b := &testing.B{}
	r.calibrate(b, length{ops: 103})
	for range 4 {
		r.turn(b)
	}
	if r.n != 100 || len(r.results) != 4 {
		t.Errorf("%d operations a turn, %d results; want 100 and 4", r.n, len(r.results))
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Fatalf("operation %d was done %d times", i, n)
		}
	}
	r.results[0].figures = map[string]float64{"loads/op": 1}
	if got := r.line("BenchmarkX/mode=a", 0); !strings.HasPrefix(got, "BenchmarkX/mode=a/impl=x") || !strings.Contains(got, "\t1.00 loads/op\t") {
		t.Errorf("line is %q", got)
	}
}
