package redisbus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/notify"
	"github.com/stratacache/strata/notify/redisbus"
)

type Alert struct {
	Symbol string
	Price  float64
}

func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	bus, err := redisbus.New(client, &redisbus.Options{Prefix: "bot:"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = bus.Close() }()

	alerts, err := notify.NewTopics[Alert](bus, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sub, err := alerts.Subscribe(ctx, "alerts:*", nil)
	if err != nil {
		log.Fatal(err)
	}
	for msg, err := range sub.All(ctx) {
		switch {
		case err != nil:
			log.Print(err)
		case msg.Missed != 0:
			fmt.Println("some alerts were lost: read the current prices")
		default:
			fmt.Println(msg.Topic, msg.Value.Symbol, msg.Value.Price)
		}
	}
}

// Workers of one service share the alerts: each is dealt with by one of them, and
// by another where that one dies before it acknowledges it.
func ExampleNewStream() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	bus, err := redisbus.NewStream(client, &redisbus.StreamOptions{Prefix: "bot:", Group: "mailer"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = bus.Close() }()

	alerts, err := notify.NewTopics[Alert](bus, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sub, err := alerts.Subscribe(ctx, "alerts:*", nil)
	if err != nil {
		log.Fatal(err)
	}
	for msg, err := range sub.All(ctx) {
		switch {
		case err != nil:
			log.Print(err)
		case msg.Missed != 0:
			fmt.Println("the mailer was too slow: some alerts are gone")
		default:
			fmt.Println("mail:", msg.Value.Symbol, msg.Value.Price)
		}
		if err := msg.Ack(ctx); err != nil {
			log.Print(err) // it will come again
		}
	}
}
