package policy

import "time"

// MarketData returns the rules of a stock-market data service: prices,
// signals, company figures, tickers, price history, screenings and backtests.
func MarketData() *Set {
	rule := func(keys, class string, ttl time.Duration) Rule {
		return Rule{Keys: MustPattern(keys), Class: class, TTL: ttl}
	}
	s, err := New(
		rule("price:{symbol}", Hot, 0),
		rule("price:batch:{timestamp}", Hot, 0),
		rule("signals:active", Hot, time.Hour),
		rule("session:{id}", Hot, 0),
		rule("info:{symbol}", Warm, 0),
		rule("marketcap:{symbol}", Warm, 24*time.Hour),
		rule("tickers:{market}", Warm, 0),
		rule("tickers:all", Warm, 0),
		rule("screening:{date}", Warm, 24*time.Hour),
		rule("hist:{symbol}:{interval}:{period}", Cold, 0),
		rule("backtest:{id}", Cold, 0),
	)
	if err != nil {
		panic(err) // the rules are constants, and tested
	}
	return s
}
