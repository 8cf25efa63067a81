package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	srv, caches := twoOfThem(t, true)
	d := newDiary()
	for round := range 6 {
		var wg sync.WaitGroup
		for _, c := range caches {
			wg.Go(func() { d.busy(t.Context(), c, 200, true) })
		}
		wg.Go(func() { d.stranger(t, srv, round%2 == 1) })
		wg.Wait()
		d.agreed(t, srv, caches)
	}
}

// The same without the stranger, whose next write makes good what came before, and in short
// rounds, so that the last operations of the two are often of one millisecond. Without
// tracking nobody tells of what others load.
func TestProcessesWithinAMillisecond(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	for _, tracking := range []bool{true, false} {
		t.Run(fmt.Sprintf("tracking=%v", tracking), func(t *testing.T) {
			srv, caches := twoOfThem(t, tracking)
			d := newDiary()
			for range rounds {
				var wg sync.WaitGroup
				for _, c := range caches {
					wg.Go(func() { d.busy(t.Context(), c, 16, tracking) })
				}
				wg.Wait()
				d.agreed(t, srv, caches)
			}
		})
	}
}

// fewKeys are those of these tests; wire says of the first two that they are plain.
var fewKeys = []string{"price:a", "price:b", "info:a", "info:b"}

// twoOfThem returns the caches of two processes that share a server.
func twoOfThem(t *testing.T, tracking bool) (*redistest.Server, []*chain.Cache[string]) {
	t.Helper()
	srv := redistest.Start(t)
	rules := policy.MustParse("rules: [{keys: 'price:{id}', ttl: 1h, wire: plain}, {keys: 'info:{id}', ttl: 1h}]")
	var caches []*chain.Cache[string]
	for range 2 {
		remote, err := redisstore.Connect(&redisstore.Config{Addrs: []string{srv.Addr}}, &redisstore.Options{Prefix: "bot:", Wire: rules})
		if err != nil {
			t.Fatal(err)
		}
		opts := &redisstore.FeedOptions{Block: 50 * time.Millisecond}
		var feed store.Feed
		if tracking {
			feed, err = remote.TrackingFeed(opts)
		} else {
			feed, err = remote.Feed(opts)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{
			chain.Opened(memstore.New(nil)).As("memory"), {Name: "redis", Store: remote, Shared: true},
		}, rules, &chain.Options{Feed: feed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		caches = append(caches, chain.NewCache[string](c, nil))
	}
	return srv, caches
}

// diary knows when the last write or delete of each key began, Unix nanoseconds.
type diary map[string]*atomic.Int64

func newDiary() diary {
	d := diary{}
	for _, key := range fewKeys {
		d[key] = new(atomic.Int64)
	}
	return d
}

// stamped returns a value that says who made it, and when.
func stamped(kind string) (string, int64) {
	now := time.Now().UnixNano()
	return kind + strconv.FormatInt(now, 10), now
}

// begun returns when a value was made, and by whom; zeros where there is none.
func begun(value string) (at int64, kind string) {
	const n = len("L1234567890123456789")
	if len(value) < n {
		return 0, ""
	}
	value = value[len(value)-n:] // behind the head of a frame
	at, err := strconv.ParseInt(value[1:], 10, 64)
	if err != nil {
		return 0, ""
	}
	return at, value[:1]
}

// writes notes that a write or delete of key begins, and returns a value for it.
func (d diary) writes(key, kind string) string {
	value, now := stamped(kind)
	for last := d[key].Load(); last < now && !d[key].CompareAndSwap(last, now); last = d[key].Load() {
		continue
	}
	return value
}

// stranger writes and deletes keys without strata, and then kills connections.
func (d diary) stranger(t *testing.T, srv *redistest.Server, kills bool) {
	ctx, python := t.Context(), srv.Client(t)
	for i := range 300 {
		key := fewKeys[rand.IntN(len(fewKeys))]
		if value := d.writes(key, "P"); i%3 == 0 {
			python.Del(ctx, "bot:"+key)
		} else {
			python.SetEx(ctx, "bot:"+key, value, time.Hour)
		}
	}
	if kills {
		srv.Do(t, "CLIENT", "KILL", "TYPE", "pubsub")
	}
}

// busy does n times this and that.
func (d diary) busy(ctx context.Context, c *chain.Cache[string], n int, loads bool) {
	load := func(context.Context, string) (string, error) {
		value, _ := stamped("L")
		return value, nil
	}
	for i := range n {
		key := fewKeys[rand.IntN(len(fewKeys))]
		switch what := i % 8; {
		case what == 0:
			_ = c.Set(ctx, key, d.writes(key, "S"))
		case what == 1:
			d.writes(key, "D")
			_ = c.Delete(ctx, key)
		case what == 2 && loads:
			_, _ = c.GetOrLoad(ctx, key, load)
		default:
			_, _ = c.Get(ctx, key)
		}
	}
}

// agreed waits until all, the memory of which is not emptied meanwhile, read what Redis
// holds.
func (d diary) agreed(t *testing.T, srv *redistest.Server, caches []*chain.Cache[string]) {
	t.Helper()
	ctx, python := context.Background(), srv.Client(t)
	for i, c := range caches {
		for _, key := range fewKeys {
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				got, err := c.Get(ctx, key)
				held, herr := python.Get(ctx, "bot:"+key).Result()
				if (err == nil || errors.Is(err, store.ErrNotFound)) && d.agrees(key, got, held) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("process %d, %s: read %q, %v; Redis holds %q, %v; the last write began at %d", i, key, got, err, held, herr, d[key].Load())
				}
			}
		}
	}
}

// agrees reports whether a process may read got where Redis holds what it does. They are
// the same but for what was loaded: a load that began in the millisecond of a write or
// delete is not kept by Redis, although it may have been the later one, nor is the second
// of two loads of a millisecond.
func (d diary) agrees(key, got, held string) bool {
	mine, kind := begun(got)
	theirs, other := begun(held) // a remembered delete is none
	apart := time.Duration(max(mine-theirs, theirs-mine))
	return mine == theirs || kind == "L" && mine >= d[key].Load() && (other == "" || other == "L" && apart < 2*time.Millisecond)
}
