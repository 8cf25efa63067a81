package market

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/store"
)

//go:embed data/djia-2017.csv
var priceFile []byte

// callDelay is how long the API takes for a call.
const callDelay = 20 * time.Millisecond

// API stands for a market-data service: a file of real prices behind a delay
// and a counter, so that the example shows what a cache saves without a network
// or an account. It is safe for concurrent use.
type API struct {
	prices *prices
	delay  time.Duration
	calls  atomic.Int64
}

// Info is what the API knows about a company beside its prices.
type Info struct {
	Symbol        string  `json:"symbol"`
	Market        string  `json:"market"`
	Sector        string  `json:"sector"`
	YearHigh      float64 `json:"year_high"`
	YearLow       float64 `json:"year_low"`
	AverageVolume float64 `json:"average_volume"`
}

// newAPI returns the service on the built-in file.
func newAPI(delay time.Duration) (*API, error) {
	p, err := readCSV(bytes.NewReader(priceFile))
	if err != nil {
		return nil, err
	}
	return &API{prices: p, delay: delay}, nil
}

// Calls returns the number of calls so far.
func (a *API) Calls() int64 { return a.calls.Load() }

// Gaps counts the empty cells of the service's file.
func (a *API) Gaps() Gaps { return a.prices.gaps }

// Symbols returns all that the service knows, sorted. It is no call: a client
// has its list of symbols in its settings.
func (a *API) Symbols() []string { return slices.Sorted(maps.Keys(a.prices.bars)) }

// call takes the time of one call, or returns early when ctx ends.
func (a *API) call(ctx context.Context) error {
	a.calls.Add(1)
	t := time.NewTimer(a.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Daily returns a year of daily bars. Like every method that is given a symbol
// it answers with an error that is store.ErrNotFound for one it does not know.
func (a *API) Daily(ctx context.Context, symbol string) ([]Bar, error) {
	if err := a.call(ctx); err != nil {
		return nil, err
	}
	bars, err := a.bars(symbol)
	return slices.Clone(bars), err
}

// Prices returns the last price of each symbol that the service knows, in one
// call.
func (a *API) Prices(ctx context.Context, symbols []string) (map[string]float64, error) {
	if err := a.call(ctx); err != nil {
		return nil, err
	}
	found := make(map[string]float64, len(symbols))
	for _, s := range symbols {
		if bars := a.prices.bars[s]; len(bars) > 0 {
			found[s] = bars[len(bars)-1].Close
		}
	}
	return found, nil
}

// Info returns what is known about a company.
func (a *API) Info(ctx context.Context, symbol string) (Info, error) {
	if err := a.call(ctx); err != nil {
		return Info{}, err
	}
	bars, err := a.bars(symbol)
	if err != nil {
		return Info{}, err
	}
	l := listings[symbol]
	i := Info{Symbol: symbol, Market: l.market, Sector: l.sector, YearLow: math.Inf(1)}
	for _, b := range bars {
		b.known(func(p float64) {
			i.YearHigh, i.YearLow = max(i.YearHigh, p), min(i.YearLow, p)
		})
		i.AverageVolume += float64(b.Volume) / float64(len(bars))
	}
	return i, nil
}

// Tickers returns the symbols of a market ("nyse", "nasdaq", "all"), sorted.
func (a *API) Tickers(ctx context.Context, market string) ([]string, error) {
	if err := a.call(ctx); err != nil {
		return nil, err
	}
	var found []string
	for _, s := range a.Symbols() {
		if market == "all" || market == listings[s].market {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("api: market %q: %w", market, store.ErrNotFound)
	}
	return found, nil
}

func (a *API) bars(symbol string) ([]Bar, error) {
	bars := a.prices.bars[symbol]
	if len(bars) == 0 {
		return nil, fmt.Errorf("api: symbol %q: %w", symbol, store.ErrNotFound)
	}
	return bars, nil
}
