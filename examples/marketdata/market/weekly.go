package market

import (
	"math"
	"time"
)

// weeklyBars sums up daily bars, which must be in the order of their dates, into
// bars of ISO weeks (Monday to Sunday): open of the first day, highest high,
// lowest low, close of the last day, volume of all.
//
// Days with unknown prices take part with what they have. A week opens at the
// first known open, and its high and low span every known price, since a day's
// close is a price that was paid even where its high is missing. What was
// missing is added up in Unknown.
func weeklyBars(daily []Bar) []Bar {
	var weeks []Bar
	for _, d := range daily {
		start := monday(d.Date)
		if n := len(weeks); n == 0 || !weeks[n-1].Date.Equal(start) {
			nan := math.NaN()
			weeks = append(weeks, Bar{Date: start, Open: nan, High: nan, Low: nan, Close: nan})
		}
		weeks[len(weeks)-1].add(&d)
	}
	return weeks
}

// add extends the bar of a week by one more day.
func (b *Bar) add(day *Bar) {
	if math.IsNaN(b.Open) {
		b.Open = day.Open
	}
	day.known(func(p float64) {
		if !(p <= b.High) { // also where High is not known yet
			b.High = p
		}
		if !(p >= b.Low) {
			b.Low = p
		}
	})
	if !math.IsNaN(day.Close) {
		b.Close = day.Close
	}
	b.Volume += day.Volume
	b.Unknown += day.Unknown
}

// monday returns the first day of t's ISO week.
func monday(t time.Time) time.Time {
	back := (int(t.Weekday()) + 6) % 7 // Sunday is 0 in Go and last in ISO 8601
	return t.AddDate(0, 0, -back)
}
