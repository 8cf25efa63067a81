package market

import (
	"math"
	"testing"
)

func TestBacktestRising(t *testing.T) {
	r := backtest("UP", trend(52, 1.01))
	if r.Symbol != "UP" || r.Trades != 1 || r.Drawdown > 1e-12 {
		t.Errorf("result = %+v, want one trade without a loss", r)
	}
	// The decision needs longAverage closes, so the move to the one after is the
	// first that counts.
	if want := math.Pow(1.01, 52-longAverage) - 1; math.Abs(r.Gain-want) > 1e-9 {
		t.Errorf("gain = %v, want %v", r.Gain, want)
	}
	if want := math.Pow(1.01, 51) - 1; math.Abs(r.Hold-want) > 1e-9 {
		t.Errorf("buy and hold = %v, want %v", r.Hold, want)
	}
}

func TestBacktestFalling(t *testing.T) {
	if r := backtest("DOWN", trend(52, 0.99)); r.Trades != 0 || r.Gain != 0 || r.Hold >= 0 {
		t.Errorf("result = %+v, want no trade", r)
	}
}

// The crash after a rise is suffered once, for the decision to leave comes after
// the close that shows it.
func TestBacktestLooksBackOnly(t *testing.T) {
	c := closes(trend(30, 1.01))
	c = append(c, c[len(c)-1]/2)
	r := backtest("CRASH", path(c...))
	if math.Abs(r.Drawdown-0.5) > 1e-9 {
		t.Errorf("drawdown = %v, want the whole fall of 0.5", r.Drawdown)
	}
}

func TestBacktestNoBars(t *testing.T) {
	if r := backtest("NONE", nil); r != (Result{Symbol: "NONE"}) {
		t.Errorf("result = %+v", r)
	}
}
