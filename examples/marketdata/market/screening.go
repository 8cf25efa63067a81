package market

import (
	"cmp"
	"slices"
)

// A screening takes the companies that trade above their average of
// screenAverage days and ranks them by their gain over screenGain days.
const (
	screenAverage = 50
	screenGain    = 20
)

// Candidate is one result of a screening.
type Candidate struct {
	Symbol string  `parquet:"symbol"`
	Close  float64 `parquet:"close"`
	Gain   float64 `parquet:"gain"` // over screenGain days; 0.1 is 10 %
}

// screen returns the candidates among the daily bars by symbol, the largest gain
// first and equal ones by name.
func screen(daily map[string][]Bar) []Candidate {
	var found []Candidate
	for symbol, bars := range daily {
		c := closes(bars)
		if len(c) <= screenGain {
			continue
		}
		last := c[len(c)-1]
		if last > average(c, screenAverage) {
			found = append(found, Candidate{symbol, last, last/c[len(c)-1-screenGain] - 1})
		}
	}
	slices.SortFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Gain, a.Gain), cmp.Compare(a.Symbol, b.Symbol))
	})
	return found
}
