package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/examples/marketdata/market"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Fetch market data through memory and Parquet, and show what a cache saves",
		Long: `Fetch a year of prices of 31 companies from a slow API into memory and Parquet, ask
for them in many ways, and print where each answer came from: the example of
examples/marketdata, with its data in this binary. The second time no call of the
API is needed. The data goes to --dir, .strata/demo unless given, where the other
commands can look at it. With REDIS_HOST set, Redis is a tier too.`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := a.dir
			if dir == "" {
				dir = filepath.Join(".strata", "demo")
			}
			getenv := func(name string) string { v, _ := a.env(name); return v }
			if err := market.Run(cmd.Context(), &market.Options{Dir: dir, JSON: a.json, Log: a.err, Getenv: getenv}, a.out); err != nil {
				return fail(err)
			}
			if a.json {
				return nil
			}
			_, err := fmt.Fprintf(a.out, "\nLook at it: strata --dir %s scan, strata --dir %s explain price:AAPL\n", dir, dir)
			return fail(err)
		},
	}
}
