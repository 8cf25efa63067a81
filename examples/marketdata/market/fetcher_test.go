package market

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stratacache/strata/store"
)

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newTestFetcher returns a fetcher on an API without delay and a chain of memory
// and disk.
func newTestFetcher(t *testing.T) (*Fetcher, *sources) {
	t.Helper()
	api, err := newAPI(0)
	if err != nil {
		t.Fatal(err)
	}
	seen := newSources(quiet())
	c, err := openChain(t.TempDir(), nil, seen, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return newFetcher(c, api), seen
}

// What lies on disk: bars as a table that pandas reads, a price as its digits.
func TestCodecs(t *testing.T) {
	f, _ := newTestFetcher(t)
	if _, err := pass(t.Context(), f, newSources(quiet())); err != nil {
		t.Fatal(err)
	}
	// What was loaded reaches the disk behind the reader's back.
	if err := f.prices.Chain().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"hist:AAPL:1d:1y": "parquet", "hist:AAPL:1wk:1y": "parquet", "backtest:" + backtestID: "parquet",
		"price:AAPL": "text", "tickers:all": "json", "info:AAPL": "json",
	} {
		x, err := f.prices.Chain().Explain(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		disk := x.Tiers[len(x.Tiers)-1]
		if codec, _, _ := strings.Cut(disk.Codec, "+"); !disk.Present || codec != want {
			t.Errorf("%s: want %s on disk:\n%s", key, want, x)
		}
	}
}

func TestHistory(t *testing.T) {
	f, seen := newTestFetcher(t)
	weeks, err := f.History(t.Context(), "AAPL", weekly)
	if err != nil || len(weeks) != 52 {
		t.Fatalf("%d weeks, %v; want 52", len(weeks), err)
	}
	days, err := f.History(t.Context(), "AAPL", daily)
	if err != nil || len(days) != 251 {
		t.Fatalf("%d days, %v; want 251", len(days), err)
	}
	if n := f.api.Calls(); n != 1 {
		t.Errorf("%d API calls, want 1: weeks are made from days", n)
	}
	for key, want := range map[string]string{"hist:AAPL:1wk:1y": loaded, "hist:AAPL:1d:1y": "memory"} {
		if got := seen.of(key); got != want {
			t.Errorf("%s came from %q, want %q", key, got, want)
		}
	}
	if _, err := f.History(t.Context(), "AAPL", "1m"); err == nil {
		t.Error("an unknown interval is answered")
	}
}

func TestHistoryUnknownSymbol(t *testing.T) {
	f, _ := newTestFetcher(t)
	for _, interval := range []string{daily, weekly} {
		if _, err := f.History(t.Context(), "NONE", interval); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: error = %v, want store.ErrNotFound", interval, err)
		}
	}
}

// A symbol with the separator in it must not become another key.
func TestHistoryHostileSymbol(t *testing.T) {
	f, _ := newTestFetcher(t)
	if _, err := f.History(t.Context(), "AAPL", daily); err != nil {
		t.Fatal(err)
	}
	if bars, err := f.History(t.Context(), "AAPL:1d:1y", daily); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%d bars, %v; want store.ErrNotFound", len(bars), err)
	}
}

func TestPrices(t *testing.T) {
	f, _ := newTestFetcher(t)
	p, err := f.Prices(t.Context(), []string{"MMM", "AAPL"})
	if err != nil || len(p) != 2 || p["MMM"] != 235.37 || p["AAPL"] != 169.23 {
		t.Fatalf("prices = %v, %v", p, err)
	}
	// One more: only that is asked for, and in one call. What nobody knows does
	// not keep the others from being answered.
	p, err = f.Prices(t.Context(), []string{"MMM", "BA", "NONE"})
	if len(p) != 2 || p["BA"] != 294.91 {
		t.Errorf("prices = %v", p)
	}
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error = %v, want store.ErrNotFound for NONE", err)
	}
	if n := f.api.Calls(); n != 2 {
		t.Errorf("%d API calls, want 2", n)
	}
}

func TestInfoAndTickers(t *testing.T) {
	f, _ := newTestFetcher(t)
	for range 2 {
		if i, err := f.Info(t.Context(), "BA"); err != nil || i.Sector != "Industrials" {
			t.Errorf("Info = %+v, %v", i, err)
		}
		if l, err := f.Tickers(t.Context(), "nasdaq"); err != nil || len(l) != 7 {
			t.Errorf("Tickers = %v, %v", l, err)
		}
	}
	if n := f.api.Calls(); n != 2 {
		t.Errorf("%d API calls, want 2", n)
	}
}

func TestScreeningAndBacktest(t *testing.T) {
	f, _ := newTestFetcher(t)
	for range 2 {
		c, err := f.Screening(t.Context(), lastDay)
		if err != nil || len(c) != 25 || c[0].Symbol != "CAT" {
			t.Errorf("Screening = %+v, %v", c, err)
		}
		r, err := f.Backtest(t.Context())
		if err != nil || len(r) != 31 || r[0].Symbol != "AABA" {
			t.Errorf("Backtest = %+v, %v", r, err)
		}
	}
	if n := f.api.Calls(); n != 31 {
		t.Errorf("%d API calls, want 31: one daily history each", n)
	}
}
