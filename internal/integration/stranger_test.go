package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// A program that knows nothing of strata and two processes write, delete, load and read
// the same few keys, plain and framed, while the processes' connections are killed now and
// then. When all is over, both read what Redis holds, although what their memory holds
// would live for an hour.
func TestStrangerAmongProcesses(t *testing.T) {
	srv, ctx := redistest.Start(t), context.Background()
	rules := policy.MustParse("rules: [{keys: 'price:{id}', ttl: 1h, wire: plain}, {keys: 'info:{id}', ttl: 1h}]")
	var caches []*chain.Cache[string]
	for range 2 {
		remote, err := redisstore.Connect(&redisstore.Config{Addrs: []string{srv.Addr}}, &redisstore.Options{Prefix: "bot:", Wire: rules})
		if err != nil {
			t.Fatal(err)
		}
		feed, err := remote.TrackingFeed(&redisstore.FeedOptions{Block: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{
			chain.Opened(memstore.New(nil)).As("memory"), {Name: "redis", Store: remote, Shared: true},
		}, rules, &chain.Options{Feed: feed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(ctx) })
		caches = append(caches, chain.NewCache[string](c, nil))
	}
	python := srv.Client(t)
	keys := []string{"price:a", "price:b", "info:a", "info:b"}
	for round := range 6 {
		var wg sync.WaitGroup
		for i, c := range caches {
			wg.Go(func() { busy(ctx, c, keys, fmt.Sprint("strata", round, i)) })
		}
		wg.Go(func() {
			for i := range 300 {
				name := "bot:" + keys[rand.IntN(len(keys))]
				if i%3 == 0 {
					python.Del(ctx, name)
				} else {
					python.SetEx(ctx, name, "python"+strconv.Itoa(i), time.Hour)
				}
			}
			if round%2 == 1 {
				srv.Do(t, "CLIENT", "KILL", "TYPE", "pubsub")
			}
		})
		wg.Wait()
		for _, c := range caches {
			for _, key := range keys {
				agree(t, c, python, key)
			}
		}
	}
}

// busy does this and that.
func busy(ctx context.Context, c *chain.Cache[string], keys []string, name string) {
	for i := range 200 {
		key := keys[rand.IntN(len(keys))]
		switch i % 8 {
		case 0:
			_ = c.Set(ctx, key, name+strconv.Itoa(i))
		case 1:
			_ = c.Delete(ctx, key)
		case 2:
			_, _ = c.GetOrLoad(ctx, key, func(context.Context, string) (string, error) { return name + "loaded", nil })
		default:
			_, _ = c.Get(ctx, key)
		}
	}
}

// agree waits until a process, the memory of which is not emptied meanwhile, reads what
// Redis holds.
func agree(t *testing.T, c *chain.Cache[string], python *redis.Client, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		got, err := c.Get(ctx, key)
		held, herr := python.Get(ctx, "bot:"+key).Result()
		absent := errors.Is(herr, redis.Nil) || len(held) >= 3 && held[:3] == "\xc1st" && errors.Is(err, store.ErrNotFound) // a remembered delete
		switch {
		case absent && errors.Is(err, store.ErrNotFound):
			return
		case !absent && err == nil && (held == got || len(held) > len(got) && held[len(held)-len(got):] == got):
			return
		case ctx.Err() != nil:
			t.Fatalf("%s: read %q, %v; Redis holds %q, %v", key, got, err, held, herr)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
