package market

import (
	"math"
	"testing"
	"time"
)

func day(month time.Month, d int) time.Time {
	return time.Date(2017, month, d, 0, 0, 0, 0, time.UTC)
}

func TestMonday(t *testing.T) {
	for d, want := range map[time.Time]time.Time{
		day(1, 1): time.Date(2016, 12, 26, 0, 0, 0, 0, time.UTC), // a Sunday ends its week
		day(1, 2): day(1, 2),
		day(1, 3): day(1, 2),
		day(1, 8): day(1, 2),
		day(1, 9): day(1, 9),
	} {
		if got := monday(d); !got.Equal(want) {
			t.Errorf("monday(%s) = %s, want %s", d.Format(time.DateOnly), got.Format(time.DateOnly), want.Format(time.DateOnly))
		}
	}
}

func TestWeekly(t *testing.T) {
	nan := math.NaN()
	got := weeklyBars([]Bar{
		{day(1, 5), 10, 14, 9, 12, 100, 0},
		{day(1, 6), 12, 13, 11, 11, 200, 0},
		// A week of two days: the open of the first is not known, and its close
		// is the highest price that is.
		{day(1, 9), nan, nan, 10, 15, 1, 2},
		{day(1, 10), 13, 14, nan, 9, 2, 1},
	})
	want := []Bar{
		{day(1, 2), 10, 14, 9, 11, 300, 0},
		{day(1, 9), 13, 15, 9, 9, 3, 3},
	}
	if len(got) != len(want) {
		t.Fatalf("%d weeks, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("week %d = %+v, want %+v", i, got[i], want[i])
		}
	}
	if weeklyBars(nil) != nil {
		t.Error("weeks of no days")
	}
}

// A week of which nothing but the close is known has no open, and says so.
func TestWeeklyAllUnknown(t *testing.T) {
	nan := math.NaN()
	got := weeklyBars([]Bar{{day(7, 31), nan, nan, nan, 33.16, 5, 3}})
	if len(got) != 1 {
		t.Fatalf("%d weeks, want 1", len(got))
	}
	w := got[0]
	if !math.IsNaN(w.Open) || w.High != 33.16 || w.Low != 33.16 || w.Close != 33.16 || w.Unknown != 3 {
		t.Errorf("week = %+v", w)
	}
}

// TestWeeklyOfTheFile checks what must hold for real data: no volume is lost,
// and the year's extremes are those of the days.
func TestWeeklyOfTheFile(t *testing.T) {
	a, err := newAPI(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, symbol := range a.Symbols() {
		daily, err := a.Daily(t.Context(), symbol)
		if err != nil {
			t.Fatal(err)
		}
		weeks := weeklyBars(daily)
		if len(weeks) != 52 {
			t.Errorf("%s: %d weeks, want 52", symbol, len(weeks))
		}
		if d, w := summary(daily), summary(weeks); d != w {
			t.Errorf("%s: days give %+v, weeks %+v", symbol, d, w)
		}
	}
}

type totals struct {
	volume    int64
	unknown   int32
	high, low float64
	last      float64
}

func summary(bars []Bar) totals {
	s := totals{low: math.Inf(1)}
	for _, b := range bars {
		s.volume += b.Volume
		s.unknown += b.Unknown
		b.known(func(p float64) { s.high, s.low = max(s.high, p), min(s.low, p) })
		s.last = b.Close
	}
	return s
}
