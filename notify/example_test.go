package notify_test

import (
	"context"
	"fmt"
	"log"

	"github.com/stratacache/strata/notify"
)

type Alert struct {
	Symbol string
	Price  float64
}

func ExampleNewTopics() {
	alerts, err := notify.NewTopics[Alert](notify.NewLocal(), nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sub, err := alerts.Subscribe(ctx, "alerts:*", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := alerts.Publish(ctx, "alerts:price", Alert{"AAPL", 123.45}); err != nil {
		log.Fatal(err)
	}
	for msg, err := range sub.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if msg.Missed != 0 {
			fmt.Println("some alerts were lost: read the current prices")
			continue
		}
		fmt.Println(msg.Topic, msg.Value.Symbol, msg.Value.Price)
		_ = sub.Close() // ends the loop; it never fails on a local bus
	}
	// Output: alerts:price AAPL 123.45
}

func ExampleNewLocal() {
	bus := notify.NewLocal()
	ctx := context.Background()
	sub, err := bus.Subscribe(ctx, "import:done", &notify.SubscribeOptions{Buffer: 1, Overflow: notify.DropOldest})
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range []string{"monday", "tuesday"} {
		if err := bus.Publish(ctx, "import:done", []byte(file)); err != nil {
			log.Fatal(err)
		}
	}
	for range 2 {
		p, err := sub.Next(ctx)
		fmt.Printf("%q missed %d %v\n", p.Data, p.Missed, err)
	}
	// Output:
	// "" missed 1 <nil>
	// "tuesday" missed 0 <nil>
}
