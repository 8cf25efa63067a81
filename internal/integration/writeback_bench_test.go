package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
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

// BenchmarkFlushToRedis compares a write-back of 2048 values, from the first Set
// to an empty queue, with a pipeline written by hand.
func BenchmarkFlushToRedis(b *testing.B) {
	s := redistest.Start(b)
	const n, size = 2048, 512
	value := strings.Repeat("v", 1<<10)
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k:%d", i)
	}
	ctx := context.Background()
	b.Run("way=pipeline", func(b *testing.B) {
		client := redis.NewClient(s.Options())
		defer client.Close()
		for b.Loop() {
			for at := 0; at < n; at += size {
				p := client.Pipeline()
				for _, key := range keys[at : at+size] {
					p.Set(ctx, key, value, time.Hour)
				}
				if _, err := p.Exec(ctx); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "sets/s")
	})
	b.Run("way=chain", func(b *testing.B) {
		c, err := chain.New([]chain.Tier{{Name: "redis", Store: shared(b, s.Addr, ""), WriteBack: true}}, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(ctx)
		cache := chain.NewCache[string](c, nil)
		for b.Loop() {
			for _, key := range keys {
				if err := cache.Set(ctx, key, value); err != nil {
					b.Fatal(err)
				}
			}
			if err := c.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "sets/s")
	})
}
