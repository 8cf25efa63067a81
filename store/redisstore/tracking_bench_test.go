package redisstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// BenchmarkForeignWriteSeen measures the time from the beginning of a write until another
// process has news of it. By the stream, the writer is strata: a SET, and then an entry.
// By tracking, it is anybody: a SET. The median is seen-p50-us.
func BenchmarkForeignWriteSeen(b *testing.B) {
	for name, how := range map[string]func(s *Store) (store.Feed, func(key string) (store.Change, error)){
		"stream": func(s *Store) (store.Feed, func(key string) (store.Change, error)) {
			f, other := newFeed(b, s, nil), newFeed(b, s, nil)
			return f, func(key string) (store.Change, error) {
				ch := store.Change{Kind: store.ChangeWrite, Key: key, Version: 1}
				if err := s.client.Set(ctx, s.opts.Prefix+key, "v", time.Minute).Err(); err != nil {
					return ch, err
				}
				return ch, other.Publish(ctx, []store.Change{ch})
			}
		},
		"tracking": func(s *Store) (store.Feed, func(key string) (store.Change, error)) {
			return newTracking(b, s, nil), func(key string) (store.Change, error) {
				return touch(key), s.client.Set(ctx, s.opts.Prefix+key, "v", time.Minute).Err()
			}
		},
	} {
		b.Run("impl="+name, func(b *testing.B) {
			s := prefixed(b, Options{})
			f, write := how(s)
			seen := make(chan store.News, 16)
			done := make(chan error, 1)
			go func() { done <- f.Follow(b.Context(), "", func(n store.News) { seen <- n }) }()
			<-seen
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				from := time.Now()
				ch, err := write(fmt.Sprint("k", i))
				if err != nil {
					b.Fatal(err)
				}
				for n := range seen {
					if slices.Contains(n.Changes, ch) {
						break
					}
				}
				took = append(took, time.Since(from))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "seen-p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "seen-p99-us")
		})
	}
}
