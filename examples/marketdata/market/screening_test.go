package market

import (
	"math"
	"testing"
)

// path returns daily bars with the given closes.
func path(closes ...float64) []Bar {
	bars := make([]Bar, len(closes))
	for i, c := range closes {
		bars[i] = Bar{Date: day(1, 2).AddDate(0, 0, i), Open: c, High: c, Low: c, Close: c}
	}
	return bars
}

// trend returns n closes from 100 on, each times the factor.
func trend(n int, factor float64) []Bar {
	c := make([]float64, n)
	for i := range c {
		c[i] = 100 * math.Pow(factor, float64(i))
	}
	return path(c...)
}

func TestScreen(t *testing.T) {
	got := screen(map[string][]Bar{
		"SLOW":  trend(60, 1.001),
		"FAST":  trend(60, 1.01),
		"ALSO":  trend(60, 1.01),
		"FALLS": trend(60, 0.99),
		"YOUNG": trend(screenAverage-1, 1.01), // no average yet
		"NEW":   trend(3, 1.01),
		"EMPTY": nil,
	})
	want := []string{"ALSO", "FAST", "SLOW"}
	if len(got) != len(want) {
		t.Fatalf("candidates = %+v, want %v", got, want)
	}
	for i, s := range want {
		if got[i].Symbol != s {
			t.Errorf("candidate %d = %s, want %s", i, got[i].Symbol, s)
		}
	}
	if want := math.Pow(1.01, screenGain) - 1; math.Abs(got[0].Gain-want) > 1e-12 {
		t.Errorf("gain = %v, want %v", got[0].Gain, want)
	}
}

func TestScreenNothing(t *testing.T) {
	if got := screen(nil); len(got) != 0 {
		t.Errorf("screen(nil) = %v, want nothing", got)
	}
}
