// Marketdata is a stock-market service's data fetcher on strata: memory, then
// Redis if configured, then Parquet files, then the API. It prefetches a year of
// prices of 31 companies, answers what the service's workers ask, and shows
// where each answer came from. The folder market has all of it, for "strata demo"
// runs it too.
//
//	go run ./examples/marketdata --dir /tmp/marketdata
//
// See README.md beside this file.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/redis/go-redis/v9/logging"

	"github.com/stratacache/strata/examples/marketdata/market"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// The client writes a line for each failed dial; the tier's errors say it too.
	logging.Disable()
	if err := market.Main(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "marketdata:", err)
		stop()
		os.Exit(1)
	}
}
