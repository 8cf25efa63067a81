package market

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
)

// The keys of the service. policy.MarketData has a rule for each.
var (
	histKey     = policy.MustPattern("hist:{symbol}:{interval}:{period}")
	priceKey    = policy.MustPattern("price:{symbol}")
	infoKey     = policy.MustPattern("info:{symbol}")
	tickersKey  = policy.MustPattern("tickers:{market}")
	screenKey   = policy.MustPattern("screening:{date}")
	backtestKey = policy.MustPattern("backtest:{id}")
)

// The intervals and the period of the price history.
const (
	daily  = "1d"
	weekly = "1wk"
	year   = "1y"
)

// Fetcher answers a service's questions about the market: from memory, else
// Redis if there is one, else disk, else from the API. It is the whole of what
// the service knows about caching, and safe for concurrent use.
type Fetcher struct {
	api *API

	bars      *chain.Cache[[]Bar]
	prices    *chain.Cache[float64]
	infos     *chain.Cache[Info]
	tickers   *chain.Cache[[]string]
	screens   *chain.Cache[[]Candidate]
	backtests *chain.Cache[[]Result]
}

// newFetcher returns a fetcher that caches in c what it gets from api. Each cache
// has the codec of its type: bars and results are Parquet tables, prices text,
// the rest JSON.
func newFetcher(c *chain.Chain, api *API) *Fetcher {
	return &Fetcher{
		api:       api,
		bars:      chain.NewCache[[]Bar](c, nil),
		prices:    chain.NewCache[float64](c, nil),
		infos:     chain.NewCache[Info](c, nil),
		tickers:   chain.NewCache[[]string](c, nil),
		screens:   chain.NewCache[[]Candidate](c, nil),
		backtests: chain.NewCache[[]Result](c, nil),
	}
}

// History returns a year of bars of a symbol, daily or weekly. Weekly bars are
// made from the daily ones, so they cost no call of their own.
func (f *Fetcher) History(ctx context.Context, symbol, interval string) ([]Bar, error) {
	return f.bars.GetOrLoad(ctx, histKey.Key(symbol, interval, year),
		func(ctx context.Context, _ string) ([]Bar, error) {
			switch interval {
			case daily:
				return f.api.Daily(ctx, symbol)
			case weekly:
				days, err := f.History(ctx, symbol, daily)
				return weeklyBars(days), err
			}
			return nil, fmt.Errorf("interval %q is neither %s nor %s", interval, daily, weekly)
		})
}

// Prices returns the last price of each symbol that has one. What no tier holds
// is asked of the API in one call. Symbols that could not be answered are
// missing from the map; the error says why.
func (f *Fetcher) Prices(ctx context.Context, symbols []string) (map[string]float64, error) {
	keys := make([]string, len(symbols))
	for i, s := range symbols {
		keys[i] = priceKey.Key(s)
	}
	results, err := f.prices.GetOrLoadMany(ctx, keys, f.loadPrices)
	if err != nil {
		return nil, err
	}
	found := make(map[string]float64, len(symbols))
	var errs []error
	for i, s := range symbols {
		if p, err := results.Get(keys[i]); err == nil {
			found[s] = p
		} else {
			errs = append(errs, fmt.Errorf("price of %s: %w", s, err))
		}
	}
	return found, errors.Join(errs...)
}

func (f *Fetcher) loadPrices(ctx context.Context, missing []string) (map[string]float64, error) {
	keyOf := make(map[string]string, len(missing))
	symbols := make([]string, 0, len(missing))
	for _, key := range missing {
		parts, ok := priceKey.Parse(key)
		if !ok {
			return nil, fmt.Errorf("%q is not the key of a price", key)
		}
		symbols = append(symbols, parts[0])
		keyOf[parts[0]] = key
	}
	prices, err := f.api.Prices(ctx, symbols)
	byKey := make(map[string]float64, len(prices))
	for s, p := range prices {
		byKey[keyOf[s]] = p
	}
	return byKey, err
}

// Info returns what is known about a company.
func (f *Fetcher) Info(ctx context.Context, symbol string) (Info, error) {
	return f.infos.GetOrLoad(ctx, infoKey.Key(symbol),
		func(ctx context.Context, _ string) (Info, error) { return f.api.Info(ctx, symbol) })
}

// Tickers returns the symbols of a market: "nyse", "nasdaq" or "all".
func (f *Fetcher) Tickers(ctx context.Context, market string) ([]string, error) {
	return f.tickers.GetOrLoad(ctx, tickersKey.Key(market),
		func(ctx context.Context, _ string) ([]string, error) { return f.api.Tickers(ctx, market) })
}

// Screening ranks all companies as of a day. The result is cached like anything
// else, and so are the bars that it is made from.
func (f *Fetcher) Screening(ctx context.Context, date time.Time) ([]Candidate, error) {
	return f.screens.GetOrLoad(ctx, screenKey.Key(date.Format(time.DateOnly)),
		func(ctx context.Context, _ string) ([]Candidate, error) {
			history, err := f.all(ctx, daily)
			return screen(history), err
		})
}

// Backtest tries the crossing of two averages on the weekly bars of every
// company.
func (f *Fetcher) Backtest(ctx context.Context) ([]Result, error) {
	return f.backtests.GetOrLoad(ctx, backtestKey.Key(backtestID),
		func(ctx context.Context, _ string) ([]Result, error) {
			history, err := f.all(ctx, weekly)
			if err != nil {
				return nil, err
			}
			results := make([]Result, 0, len(history))
			for _, s := range f.api.Symbols() {
				results = append(results, backtest(s, history[s]))
			}
			return results, nil
		})
}

// all returns the history of every symbol.
func (f *Fetcher) all(ctx context.Context, interval string) (map[string][]Bar, error) {
	history := make(map[string][]Bar)
	for _, s := range f.api.Symbols() {
		bars, err := f.History(ctx, s, interval)
		if err != nil {
			return nil, err
		}
		history[s] = bars
	}
	return history, nil
}
