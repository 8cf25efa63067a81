package market

import (
	"context"
	"time"
)

// lastDay is the last trading day of the file, which the screening is as of.
var lastDay = time.Date(2017, 12, 29, 0, 0, 0, 0, time.UTC)

// question is something a program asks the fetcher, and the keys that the answer
// is cached under.
type question struct {
	keys []string
	ask  func(ctx context.Context, f *Fetcher) error
}

// topic is a group of questions: a line of the report.
type topic struct {
	name      string
	together  int // how many are asked at once
	questions []question
}

// topics are what a day of the service asks: the nightly prefetch of the price
// history, then what the bot's workers want to know.
func topics(symbols []string) []topic {
	return []topic{
		{"daily history", 8, histories(symbols, daily)},
		{"weekly history", 8, histories(symbols, weekly)},
		{"prices, one batch", 1, []question{priceBatch(symbols)}},
		{"company infos", 8, infos(symbols)},
		{"ticker lists", 1, []question{tickerList("nyse"), tickerList("nasdaq"), tickerList("all")}},
		{"screening", 1, []question{{
			keys: []string{screenKey.Key(lastDay.Format(time.DateOnly))},
			ask: func(ctx context.Context, f *Fetcher) error {
				_, err := f.Screening(ctx, lastDay)
				return err
			},
		}}},
		{"backtest", 1, []question{{
			keys: []string{backtestKey.Key(backtestID)},
			ask: func(ctx context.Context, f *Fetcher) error {
				_, err := f.Backtest(ctx)
				return err
			},
		}}},
	}
}

func histories(symbols []string, interval string) []question {
	return each(symbols, func(symbol string) question {
		return question{[]string{histKey.Key(symbol, interval, year)}, func(ctx context.Context, f *Fetcher) error {
			_, err := f.History(ctx, symbol, interval)
			return err
		}}
	})
}

func infos(symbols []string) []question {
	return each(symbols, func(symbol string) question {
		return question{[]string{infoKey.Key(symbol)}, func(ctx context.Context, f *Fetcher) error {
			_, err := f.Info(ctx, symbol)
			return err
		}}
	})
}

func priceBatch(symbols []string) question {
	keys := each(symbols, func(s string) string { return priceKey.Key(s) })
	return question{keys, func(ctx context.Context, f *Fetcher) error {
		_, err := f.Prices(ctx, symbols)
		return err
	}}
}

func tickerList(market string) question {
	return question{[]string{tickersKey.Key(market)}, func(ctx context.Context, f *Fetcher) error {
		_, err := f.Tickers(ctx, market)
		return err
	}}
}

// each returns f of every item.
func each[T, R any](items []T, f func(T) R) []R {
	out := make([]R, len(items))
	for i, item := range items {
		out[i] = f(item)
	}
	return out
}
