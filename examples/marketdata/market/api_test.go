package market

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/store"
)

func TestAPIAnswers(t *testing.T) {
	a, err := newAPI(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	p, err := a.Prices(ctx, []string{"MMM", "NONE"})
	if err != nil || len(p) != 1 || p["MMM"] != 235.37 {
		t.Errorf("Prices = %v, %v", p, err)
	}
	i, err := a.Info(ctx, "MMM")
	if err != nil || i.Symbol != "MMM" || i.Market != "nyse" || i.Sector != "Industrials" ||
		!(i.YearLow > 0 && i.YearLow < 235.37 && i.YearHigh >= 235.37) || math.IsNaN(i.AverageVolume) {
		t.Errorf("Info = %+v, %v", i, err)
	}
	all, err := a.Tickers(ctx, "all")
	if err != nil || len(all) != 31 || !slices.IsSorted(all) {
		t.Errorf("Tickers(all) = %v, %v", all, err)
	}
	nasdaq, err := a.Tickers(ctx, "nasdaq")
	if err != nil || len(nasdaq) != 7 {
		t.Errorf("Tickers(nasdaq) = %v, %v", nasdaq, err)
	}
	if n := a.Calls(); n != 4 {
		t.Errorf("%d calls counted, want 4", n)
	}
}

// What the API does not know is an explicit "not found", which a chain may
// remember; nothing else is.
func TestAPINotFound(t *testing.T) {
	a, err := newAPI(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, dailyErr := a.Daily(ctx, "NONE")
	_, infoErr := a.Info(ctx, "NONE")
	_, tickersErr := a.Tickers(ctx, "moon")
	for _, err := range []error{dailyErr, infoErr, tickersErr} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error = %v, want store.ErrNotFound", err)
		}
	}
}

func TestAPIDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAPI(20 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := a.Daily(t.Context(), "AAPL"); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Errorf("a call took %v, want 20ms", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if _, err := a.Daily(ctx, "AAPL"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the context's", err)
		}
	})
}

// Callers own what they get: changing it must not change the API's data.
func TestAPICopies(t *testing.T) {
	a, err := newAPI(0)
	if err != nil {
		t.Fatal(err)
	}
	bars, err := a.Daily(t.Context(), "AAPL")
	if err != nil {
		t.Fatal(err)
	}
	bars[0].Close = -1
	if again, _ := a.Daily(t.Context(), "AAPL"); again[0].Close == -1 {
		t.Error("a caller changed the API's data")
	}
}
