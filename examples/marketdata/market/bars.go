package market

import (
	"math"
	"time"
)

// Bar is what a market did in one day or week: a row of an OHLCV table.
type Bar struct {
	// Date is the day, or the Monday of the week, at midnight UTC.
	Date time.Time `parquet:"date"`
	// Open, High, Low and Close are US dollars. One that the source does not
	// know is NaN, which Parquet, pandas and DuckDB all read as such.
	Open  float64 `parquet:"open"`
	High  float64 `parquet:"high"`
	Low   float64 `parquet:"low"`
	Close float64 `parquet:"close"`
	// Volume is the number of shares traded.
	Volume int64 `parquet:"volume"`
	// Unknown counts the prices that the source did not have: of this day, or
	// of all days of this week. A bar with Unknown > 0 is to be used with care.
	Unknown int32 `parquet:"unknown"`
}

// known calls f with those prices of the bar that are known.
func (b *Bar) known(f func(float64)) {
	for _, p := range [...]float64{b.Open, b.High, b.Low, b.Close} {
		if !math.IsNaN(p) {
			f(p)
		}
	}
}

// closes returns the closing prices of the bars, in their order. Every source
// row has one.
func closes(bars []Bar) []float64 {
	c := make([]float64, len(bars))
	for i := range bars {
		c[i] = bars[i].Close
	}
	return c
}

// average returns the mean of the last n values, and NaN where there are fewer.
func average(values []float64, n int) float64 {
	if n <= 0 || len(values) < n {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range values[len(values)-n:] {
		sum += v
	}
	return sum / float64(n)
}
