package remote

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkRemote reports each subject's time as a ratio to go-redis.
func BenchmarkRemote(b *testing.B) {
	s := start(b)
	hits, batched, sets := s.hits(b), s.batches(b), s.sets(b)
	b.Run("op=hit/mode=serial", func(b *testing.B) { compare(b, hits, 1, 400) })
	b.Run("op=hit/mode=64", func(b *testing.B) { compare(b, hits, 64, 3200) })
	b.Run("op=batch100/mode=serial", func(b *testing.B) { compare(b, batched, 1, batches) })
	b.Run("op=set/mode=serial", func(b *testing.B) { compare(b, sets, 1, 400) })
	b.Run("op=set/mode=64", func(b *testing.B) { compare(b, sets, 64, 3200) })
}

// compare runs rounds of one slice of calls per subject, and reports the ratios to
// the first subject.
func compare(b *testing.B, all []subject, goroutines, calls int) {
	if testing.Short() {
		calls = goroutines
	}
	var rounds [][]float64
	for b.Loop() {
		took := make([]float64, len(all))
		for i := range all {
			n := (i + len(rounds)) % len(all)
			took[n] = float64(slice(b, all[n], goroutines, calls))
		}
		rounds = append(rounds, took)
	}
	for n, s := range all {
		r := make([]float64, len(rounds))
		for i, took := range rounds {
			r[i] = took[n] / took[0]
		}
		slices.Sort(r)
		b.ReportMetric(r[len(r)/2], "x-"+s.name)
	}
}

// slice returns how long the calls took, shared by the goroutines.
func slice(b *testing.B, s subject, goroutines, calls int) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	began := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < calls; i += goroutines {
				if err := s.call(ctx, i); err != nil {
					b.Errorf("%s: %v", s.name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
