// Quickstart reads a price through memory and disk.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
)

func run(ctx context.Context, dir string) error {
	memory, err1 := memstore.New(nil) // nil: the defaults
	disk, err2 := diskstore.Open(dir, nil)
	rules, err3 := policy.Parse([]byte("rules: [{keys: 'price:{symbol}', ttl: 5m}]"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}, {Name: "disk", Store: disk}}, rules, nil)
	if err != nil {
		return err
	}
	defer c.Close(ctx)

	prices := chain.NewCache[float64](c, nil)
	price, err := prices.GetOrLoad(ctx, "price:AAPL", func(context.Context, string) (float64, error) {
		fmt.Println("asking the API") // once in five minutes, restarts included
		return 169.23, nil
	})
	fmt.Println("AAPL:", price)
	return err
}

func main() {
	if err := run(context.Background(), ".strata/quickstart"); err != nil {
		log.Fatal(err)
	}
}
