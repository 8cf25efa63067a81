package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store/memstore"
)

// quote is a struct of 64 bytes.
type quote struct{ Open, High, Low, Close, Bid, Ask, Volume, At float64 }

// warm returns a cache with one key in memory, in front of a tier of bytes.
func warm[V any](tb testing.TB, v V) *chain.Cache[V] {
	tb.Helper()
	memory, err := memstore.New(nil)
	noErr(tb, err)
	c := newChain(tb, two(memory, newMap()), `rules: [{keys: "price:{symbol}", ttl: 1h, refresh_ahead: 0.9, stale_if_error: 1h}]`, nil)
	cache := chain.NewCache[V](c, nil)
	noErr(tb, cache.Set(context.Background(), "price:AAPL", v))
	return cache
}

func never[V any](context.Context, string) (v V, err error) { panic("loaded") }

// A hit in memory allocates nothing, whatever way it is asked for.
func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	allocates := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	quotes, texts := warm(t, quote{Open: 1}), warm(t, "text")
	loadQuote, loadText := never[quote], never[string]
	allocates("Get of a struct", func() { _, _ = quotes.Get(ctx, "price:AAPL") })
	allocates("GetOrLoad of a struct", func() { _, _ = quotes.GetOrLoad(ctx, "price:AAPL", loadQuote) })
	allocates("Get of a string", func() { _, _ = texts.Get(ctx, "price:AAPL") })
	allocates("GetOrLoad of a string", func() { _, _ = texts.GetOrLoad(ctx, "price:AAPL", loadText) })
}

// BenchmarkHit is a hit in memory. GetOrLoad must not be slower than Get.
func BenchmarkHit(b *testing.B) {
	ctx := context.Background()
	cache := warm(b, quote{Open: 1})
	load := never[quote]
	calls := map[string]func(){
		"Get":       func() { _, _ = cache.Get(ctx, "price:AAPL") },
		"GetOrLoad": func() { _, _ = cache.GetOrLoad(ctx, "price:AAPL", load) },
	}
	for _, name := range []string{"Get", "GetOrLoad"} {
		b.Run("op="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				calls[name]()
			}
		})
		b.Run("op="+name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					calls[name]()
				}
			})
		})
	}
}

// BenchmarkHitDuringLoad is a hit while another key of the same chain is loaded.
func BenchmarkHitDuringLoad(b *testing.B) {
	ctx := context.Background()
	cache := warm(b, quote{Open: 1})
	release := make(chan struct{})
	go func() {
		_, _ = cache.GetOrLoad(ctx, "price:MSFT", func(context.Context, string) (quote, error) { <-release; return quote{}, nil })
	}()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = cache.GetOrLoad(ctx, "price:AAPL", never[quote])
	}
	close(release)
}

// BenchmarkSecondTier is a hit in the tier behind a memory that holds nothing.
func BenchmarkSecondTier(b *testing.B) {
	c := newChain(b, two(newObjects(0), newMap()), "", nil)
	cache := chain.NewCache[quote](c, nil)
	noErr(b, cache.Set(context.Background(), "k", quote{Open: 1}))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = cache.Get(context.Background(), "k")
	}
}

// BenchmarkHerd is 1,000 goroutines on one absent key, and 200 on 200 keys, with a
// loader of 20 ms: the time beyond those is ours.
func BenchmarkHerd(b *testing.B) {
	for _, herd := range []struct{ goroutines, keys int }{{1000, 1}, {200, 200}} {
		b.Run(fmt.Sprintf("goroutines=%d/keys=%d", herd.goroutines, herd.keys), func(b *testing.B) {
			memory, err := memstore.New(nil)
			noErr(b, err)
			c := newChain(b, two(memory, newMap()), "", nil)
			cache := chain.NewCache[quote](c, nil)
			for round := 0; b.Loop(); round++ {
				var wg sync.WaitGroup
				for i := range herd.goroutines {
					wg.Go(func() {
						_, _ = cache.GetOrLoad(context.Background(), fmt.Sprint(round, ":", i%herd.keys), func(context.Context, string) (quote, error) {
							time.Sleep(20 * time.Millisecond)
							return quote{}, nil
						})
					})
				}
				wg.Wait()
			}
		})
	}
}

// BenchmarkHerdFloor is what BenchmarkHerd costs without a cache: the same goroutines
// and the same sleep. A caller of its own key has a goroutine that sleeps and hands
// the value over; all callers of one key wait for a channel that is closed.
func BenchmarkHerdFloor(b *testing.B) {
	nap := func(done chan struct{}) {
		time.Sleep(20 * time.Millisecond)
		close(done)
	}
	for _, herd := range []struct{ goroutines, keys int }{{1000, 1}, {200, 200}} {
		b.Run(fmt.Sprintf("goroutines=%d/keys=%d", herd.goroutines, herd.keys), func(b *testing.B) {
			for b.Loop() {
				var wg sync.WaitGroup
				loads := make([]struct {
					once sync.Once
					done chan struct{}
				}, herd.keys)
				for i := range loads {
					loads[i].done = make(chan struct{})
				}
				for i := range herd.goroutines {
					wg.Go(func() {
						l := &loads[i%herd.keys]
						l.once.Do(func() { go nap(l.done) })
						<-l.done
					})
				}
				wg.Wait()
			}
		})
	}
}
