package config_test

import (
	"context"
	"fmt"
	"os"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/config"
)

func ExampleLoad() {
	cfg, err := config.Load("", os.LookupEnv) // or the path of a strata.yaml
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	c, err := cfg.Build(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	prices := chain.NewCache[float64](c, nil)
	p, err := prices.GetOrLoad(ctx, "price:AAPL", func(context.Context, string) (float64, error) { return 187.25, nil })
	fmt.Println(p, err)
	// Output: 187.25 <nil>
}
