package hit

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// slice is how many gets one cache does before it is the next one's turn.
func slice() int {
	if testing.Short() {
		return 200
	}
	return 100_000
}

// BenchmarkRatio runs all caches in turns, a slice of gets each, and reports the
// median of each one's time as a ratio to that of ristretto with a TTL in the
// same round. On a machine that does other things too it says more than the
// times of BenchmarkGet, which are taken minutes apart.
func BenchmarkRatio(b *testing.B) {
	b.Run("value=string", func(b *testing.B) { ratios(b, stringValue) })
	b.Run("value=struct64", func(b *testing.B) { ratios(b, quoteValue) })
}

func ratios[V any](b *testing.B, value func(int) V) {
	all := subjects[V]()
	gets := make([]func(string) (V, bool), len(all))
	for i, s := range all {
		gets[i] = s.open(b, value)
		warm(b, gets[i])
	}
	b.Run("mode=serial", func(b *testing.B) { compare(b, all, gets, 1) })
	b.Run("mode=parallel", func(b *testing.B) { compare(b, all, gets, runtime.GOMAXPROCS(0)) })
}

// warm reads the whole trace once, so that what is measured is not a cache that has
// just been filled.
func warm[V any](b *testing.B, get func(string) (V, bool)) {
	t := trace()
	for i := range min(len(t), 16*slice()) {
		if _, ok := get(t[i]); !ok {
			b.Fatal("a miss")
		}
	}
}

// compare runs rounds of one slice per cache, in an order that is drawn anew each
// round, for a cache pays for what the one before it left in the processor's caches
// and on its goroutines. It reports the ratios.
func compare[V any](b *testing.B, all []subject[V], gets []func(string) (V, bool), goroutines int) {
	base := slices.IndexFunc(all, func(s subject[V]) bool { return s.name == "ristretto-ttl" })
	var rounds [][]float64
	at := 0
	for b.Loop() {
		took := make([]float64, len(all))
		for _, n := range rand.Perm(len(all)) {
			took[n] = float64(timeSlice(b, gets[n], at, goroutines))
		}
		rounds = append(rounds, took)
		at += slice()
	}
	for n, s := range all {
		r := make([]float64, len(rounds))
		for i, took := range rounds {
			r[i] = took[n] / took[base]
		}
		b.ReportMetric(median(r), "x-"+s.name)
	}
}

// timeSlice returns how long it took each of the goroutines to do a slice.
func timeSlice[V any](b *testing.B, get func(string) (V, bool), at, goroutines int) time.Duration {
	t, n := trace(), slice()
	work := func(from int) {
		for i := range n {
			if _, ok := get(t[(from+i)&(traceLen-1)]); !ok {
				b.Error("a miss")
				return
			}
		}
	}
	start := time.Now()
	if goroutines == 1 {
		work(at)
		return time.Since(start)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() { work(at + g*traceLen/goroutines) })
	}
	wg.Wait()
	return time.Since(start)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
