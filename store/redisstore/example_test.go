package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// A store on a client that the program has already.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "localhost:6379",
		ContextTimeoutEnabled: true, // or New refuses the client
	})
	tier, err := redisstore.New(client, &redisstore.Options{Prefix: "bot:"})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	err = tier.Set(ctx, "info:AAPL", store.Entry{
		Value:   []byte(`{"sector":"Technology"}`),
		Expires: time.Now().Add(4 * time.Hour),
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := tier.Get(ctx, "info:MSFT"); errors.Is(err, store.ErrNotFound) {
		fmt.Println("not cached")
	}
}

// A store with connections of its own, from a URL.
func ExampleOpen() {
	tier, err := redisstore.Open("rediss://bot:secret@cache.example:6380/0?pool_size=20", &redisstore.Options{
		Prefix: "bot:",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := tier.Close(); err != nil {
			log.Print(err)
		}
	}()
	fmt.Println(tier)
	// Output: redisstore(redis, prefix "bot:")
}

// The settings as the environment of a container gives them.
func ExampleConnect() {
	cfg, err := redisstore.ConfigFromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	if cfg == nil {
		return // no Redis is configured, and none is used
	}
	tier, err := redisstore.Connect(cfg, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tier.Close() }()
}

// Processes that tell each other of their writes, and hear of those of other programs: of
// what a Python worker sets or deletes under "bot:". Nothing is sent before the chain
// follows the feed.
func ExampleStore_TrackingFeed() {
	tier, err := redisstore.Open("redis://localhost:6379", &redisstore.Options{Prefix: "bot:"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tier.Close() }()
	feed, err := tier.TrackingFeed(nil)
	if err != nil {
		log.Fatal(err) // a Ring, say
	}
	options := &chain.Options{Feed: feed} // where the server is too old, OnError and Logger say so
	fmt.Println(tier, options.Feed != nil)
	// Output: redisstore(redis, prefix "bot:") true
}

func ExampleParseURL() {
	cfg, err := redisstore.ParseURL("redis+sentinel://:secret@10.0.0.1,10.0.0.2/mymaster/0")
	fmt.Println(cfg, err)
	// Output: redis 10.0.0.1:26379,10.0.0.2:26379 sentinel master "mymaster" db 0 <nil>
}
