package main

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// latencies count durations in buckets of which each is at most 1/32 wider than its
// lower end, after HdrHistogram (Gil Tene).
type latencies struct {
	n     uint64
	max   time.Duration
	count [64 * subBuckets]uint64
}

const (
	subBits    = 5
	subBuckets = 1 << subBits
)

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// upTo is the greatest duration of a bucket.
func upTo(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration(uint64(bucket%subBuckets+subBuckets+1)<<shift - 1)
}

func (l *latencies) add(d time.Duration) {
	l.n++
	l.max = max(l.max, d)
	l.count[bucketOf(d)]++
}

func (l *latencies) merge(o *latencies) {
	l.n += o.n
	l.max = max(l.max, o.max)
	for i, n := range o.count {
		l.count[i] += n
	}
}

// quantile returns an upper bound of the q-quantile.
func (l *latencies) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(l.n)), uint64(0)
	for i, n := range l.count {
		if seen += n; seen > rank {
			return min(upTo(i), l.max)
		}
	}
	return l.max
}

// benchResult is what came of a workload. Times are in microseconds.
type benchResult struct {
	Workload  string  `json:"workload"`
	Requests  uint64  `json:"requests"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_micros"`
	P90       float64 `json:"p90_micros"`
	P99       float64 `json:"p99_micros"`
	P999      float64 `json:"p999_micros"`
	Max       float64 `json:"max_micros"`
}

// measure has all clients call f until the time is over. The first error ends it.
func (b *bench) measure(ctx context.Context, p *progress, f func(*rand.Rand) error) (benchResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.duration, errOver)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	var all latencies
	var wg sync.WaitGroup
	began := time.Now()
	for i := range b.clients {
		wg.Go(func() {
			l := new(latencies)
			if err := b.client(ctx, i, began, p, l, f); err != nil {
				stop(err)
			}
			mu.Lock()
			all.merge(l)
			mu.Unlock()
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errOver) {
		return benchResult{}, err
	}
	us := func(d time.Duration) float64 { return float64(d) / 1000 }
	return benchResult{
		Requests: all.n, PerSecond: float64(all.n) / took.Seconds(),
		P50: us(all.quantile(0.5)), P90: us(all.quantile(0.9)), P99: us(all.quantile(0.99)), P999: us(all.quantile(0.999)), Max: us(all.max),
	}, nil
}

type over struct{}

func (over) Error() string { return "the time is over" }

var errOver error = over{}

// client calls f again and again: at once, or when the next call is due.
func (b *bench) client(ctx context.Context, i int, began time.Time, p *progress, l *latencies, f func(*rand.Rand) error) error {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	every := time.Duration(0)
	due := began
	if b.rate > 0 {
		every = time.Duration(float64(b.clients) / b.rate * float64(time.Second))
		due = began.Add(every * time.Duration(i) / time.Duration(b.clients))
	}
	for ctx.Err() == nil {
		start := time.Now()
		if every > 0 {
			if wait := due.Sub(start); wait > 0 {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return nil
				}
			}
			start, due = due, due.Add(every)
		}
		if err := f(r); err != nil {
			return err
		}
		now := time.Now()
		l.add(now.Sub(start))
		if i == 0 && l.n%64 == 0 {
			p.set(min(now.Sub(began), b.duration).Milliseconds(), b.duration.Milliseconds())
		}
	}
	return nil
}
