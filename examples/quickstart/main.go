// Quickstart reads a price through memory and disk.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
)

func main() {
	c, err := chain.New([]chain.Tier{
		chain.Opened(memstore.New(nil)).As("memory"), // nil: the defaults
		chain.Opened(diskstore.Open(".strata/quickstart", nil)).As("disk"),
	}, policy.MustParse("rules: [{keys: 'price:{symbol}', ttl: 5m}]"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(context.Background())
	prices := chain.NewCache[float64](c, nil)
	price, err := prices.GetOrLoad(context.Background(), "price:AAPL", func(context.Context, string) (float64, error) {
		fmt.Println("asking the API") // once in five minutes, restarts included
		return 169.23, nil
	})
	fmt.Println("AAPL:", price, err)
}
