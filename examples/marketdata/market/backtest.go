package market

import "fmt"

// The rule that the backtest tries: hold while the short average of the closes
// is above the long one. Numbers are weeks.
const (
	shortAverage = 5
	longAverage  = 15
)

// backtestID names the rule and its numbers in the key of the result.
var backtestID = fmt.Sprintf("sma-%d-%d", shortAverage, longAverage)

// Result is the outcome of a backtest for one symbol. Gains are fractions: 0.1
// is 10 %. Costs and taxes are left out.
type Result struct {
	Symbol   string  `parquet:"symbol"`
	Gain     float64 `parquet:"gain"`
	Hold     float64 `parquet:"hold"`     // buying at the start and keeping
	Drawdown float64 `parquet:"drawdown"` // largest fall from a peak
	Trades   int64   `parquet:"trades"`   // buys
}

// backtest runs the rule over the bars of a symbol. A decision is made at one
// close and takes part in the move to the next, never in the one that led to it.
func backtest(symbol string, bars []Bar) Result {
	r := Result{Symbol: symbol}
	c := closes(bars)
	if len(c) == 0 {
		return r
	}
	r.Hold = c[len(c)-1]/c[0] - 1
	worth, peak, held := 1.0, 1.0, false
	for i := 1; i < len(c); i++ {
		hold := average(c[:i], shortAverage) > average(c[:i], longAverage)
		if hold && !held {
			r.Trades++
		}
		if held = hold; held {
			worth *= c[i] / c[i-1]
		}
		peak = max(peak, worth)
		r.Drawdown = max(r.Drawdown, 1-worth/peak)
	}
	r.Gain = worth - 1
	return r
}
