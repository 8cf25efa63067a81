package policy_test

import (
	"fmt"

	"github.com/stratacache/strata/policy"
)

func ExampleParse() {
	set, err := policy.Parse([]byte(`
classes:
  hot: {ttl: 2m}
rules:
  - {keys: "price:{symbol}", class: hot, serve_stale: never}
  - {keys: "hist:{symbol}:{interval}", class: cold, stale_if_error: 7d}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []string{"price:AAPL", "hist:AAPL:1d"} {
		r := set.Match(key)
		fmt.Println(key, r.Name, r.TTL, r.Grace())
	}
	// Output:
	// price:AAPL price 2m0s 0s
	// hist:AAPL:1d hist 24h0m0s 168h0m0s
}

func ExampleNew() {
	set, err := policy.New(
		policy.Rule{Keys: policy.MustPattern("price:{symbol}"), Class: policy.Hot},
		policy.Rule{Keys: policy.MustPattern("user:{id}"), TTL: policy.Never},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Match("price:AAPL").TTL, set.Match("user:7").TTL)
	// Output: 5m0s 0s
}

func ExampleSet_Explain() {
	fmt.Println(policy.MarketData().Explain("tickers:all"))
	// Output: "tickers:all": rule tickers_all: tickers:all matches; it beats tickers:{market}: all is more specific than {market}
}

func ExamplePattern_Key() {
	p := policy.MustPattern("hist:{symbol}:{interval}")
	key := p.Key("BRK:B", "1d")
	parts, ok := p.Parse(key)
	fmt.Println(key, parts, ok)
	// Output: hist:BRK%3AB:1d [BRK:B 1d] true
}
