package integration

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// BenchmarkDurableSet compares durable Sets with one sync a write.
func BenchmarkDurableSet(b *testing.B) {
	value := strings.Repeat("v", 100)
	b.Run("way=fsync-each", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var mu sync.Mutex
		b.SetParallelism(32) // 64 writers on two processors
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				mu.Lock()
				_, err := f.WriteString(value)
				if err == nil {
					err = f.Sync()
				}
				mu.Unlock()
				if err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("way=chain", func(b *testing.B) {
		set, err := policy.Parse([]byte(durableRules))
		if err != nil {
			b.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory(b)}, {Name: "disk", Store: disk(b, b.TempDir())}}, set,
			&chain.Options{Pending: chain.PendingOptions{Journal: b.TempDir()}})
		if err != nil {
			b.Fatal(err)
		}
		cache := chain.NewCache[string](c, nil)
		var n atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := cache.Set(context.Background(), fmt.Sprintf("k:%d", n.Add(1)%4096), value); err != nil {
					b.Error(err)
				}
			}
		})
		b.StopTimer()
		_ = c.Close(context.Background())
	})
}

// BenchmarkFlushToRedis compares write-back to Redis with a go-redis pipeline of
// plain SETs written by hand, 2048 values of 1 KiB in batches of 512. They take
// turns; reported are medians, and the pipeline's as a ratio to the others': the
// chain from the first Set until its queue is empty, and the flush alone of writes
// that have been made before.
func BenchmarkFlushToRedis(b *testing.B) {
	s := redistest.Start(b)
	const n, size = 2048, 512
	ctx, value, keys := context.Background(), strings.Repeat("v", 1<<10), make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k:%d", i)
	}
	client := redis.NewClient(s.Options())
	defer client.Close()
	pipeline := func() error {
		for batch := range slices.Chunk(keys, size) {
			p := client.Pipeline()
			for _, key := range batch {
				p.Set(ctx, key, value, time.Hour)
			}
			if _, err := p.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	gate := &gated{Store: shared(b, s.Addr, "")}
	c, err := chain.New([]chain.Tier{{Name: "redis", Store: gate, WriteBack: true}}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	cache := chain.NewCache[string](c, nil)
	sets := func() (err error) {
		for _, key := range keys {
			err = cmp.Or(err, cache.Set(ctx, key, value))
		}
		return err
	}
	var by [3][]time.Duration
	for b.Loop() {
		clock := func(way int, work func() error) {
			began := time.Now()
			if err := work(); err != nil {
				b.Fatal(err)
			}
			by[way] = append(by[way], time.Since(began))
		}
		clock(0, pipeline)
		clock(1, func() error { return cmp.Or(sets(), c.Flush(ctx)) })
		gate.mu.Lock() // until all Sets are made
		if err := sets(); err != nil {
			b.Fatal(err)
		}
		clock(2, func() error { gate.mu.Unlock(); return c.Flush(ctx) })
	}
	var median [3]float64
	for way := range by {
		slices.Sort(by[way])
		median[way] = by[way][len(by[way])/2].Seconds()
	}
	b.ReportMetric(n/median[0], "pipeline-sets/s")
	b.ReportMetric(median[0]/median[1], "x-chain")
	b.ReportMetric(median[0]/median[2], "x-flush")
}

// gated is a Redis tier whose writes wait until the gate opens.
type gated struct {
	*redisstore.Store
	mu sync.RWMutex
}

func (g *gated) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.Store.SetMany(ctx, entries)
}
