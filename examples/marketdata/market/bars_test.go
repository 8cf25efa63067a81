package market

import (
	"math"
	"slices"
	"testing"
)

func TestKnown(t *testing.T) {
	var got []float64
	(&Bar{Open: math.NaN(), High: 3, Low: math.NaN(), Close: 2}).known(func(p float64) { got = append(got, p) })
	if !slices.Equal(got, []float64{3, 2}) {
		t.Errorf("known prices = %v, want [3 2]", got)
	}
}

func TestAverage(t *testing.T) {
	v := []float64{100, 1, 2, 3}
	if got := average(v, 3); got != 2 {
		t.Errorf("average of the last 3 = %v, want 2", got)
	}
	for _, n := range []int{0, -1, 5} {
		if got := average(v, n); !math.IsNaN(got) {
			t.Errorf("average of %d = %v, want NaN", n, got)
		}
	}
}
