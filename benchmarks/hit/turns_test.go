package hit

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stratacache/strata/benchmarks/caches"
	"github.com/stratacache/strata/benchmarks/turns"
)

var errMiss = errors.New("a miss")

// uniform is an order in which all keys are read alike.
var uniform = sync.OnceValue(func() []string {
	k, rng := keys(), rand.New(rand.NewPCG(3, 4))
	t := make([]string, traceLen)
	for i := range t {
		t[i] = k[rng.IntN(len(k))]
	}
	return t
})

// modes are how the operations of a workload are shared.
func modes(b *testing.B, run func(b *testing.B, callers int)) {
	b.Run("mode=serial", func(b *testing.B) { run(b, 1) })
	b.Run("mode=parallel", func(b *testing.B) { run(b, runtime.GOMAXPROCS(0)) })
}

// opened is a cache that holds all keys.
type opened[V any] struct {
	name string
	*caches.Cache[V]
}

func openAll[V any](b *testing.B, value func(int) V) []opened[V] {
	b.Helper()
	var all []opened[V]
	for _, m := range caches.All[V]() {
		all = append(all, opened[V]{m.Name, m.Open(b, config(value))})
		caches.Fill(b, all[len(all)-1].Cache, keys(), value)
	}
	return all
}

func config[V any](value func(int) V) *caches.Config[V] {
	return &caches.Config[V]{Entries: 4 * keyCount(), Bytes: 256 << 20, Loader: loader(value)}
}

// gets reads in the order of t.
func gets[V any](name string, t []string, get func(string) (V, bool)) turns.Subject {
	return turns.Subject{Name: name, Do: func(i, n int) error {
		for end := i + n; i < end; i++ {
			if _, ok := get(t[i&(traceLen-1)]); !ok {
				return errMiss
			}
		}
		return nil
	}}
}

// BenchmarkL1Hit is one hit in memory, of all caches in turns.
func BenchmarkL1Hit(b *testing.B) {
	b.Run("value=string", func(b *testing.B) { l1Hit(b, stringValue) })
	b.Run("value=struct64", func(b *testing.B) { l1Hit(b, quoteValue) })
}

func l1Hit[V any](b *testing.B, value func(int) V) {
	all := openAll(b, value)
	bare, object := openRistretto(b, value, 0), openRistrettoObject(b, value)
	for _, order := range []struct {
		name string
		keys []string
	}{{"uniform", uniform()}, {"zipf", trace()}} {
		b.Run("order="+order.name, func(b *testing.B) {
			modes(b, func(b *testing.B, callers int) {
				var s []turns.Subject
				for _, c := range all {
					s = append(s, gets(c.name, order.keys, c.Get))
				}
				turns.Run(b, callers, append(s,
					gets("floor-ristretto-without-ttl", order.keys, bare),
					gets("floor-ristretto-object", order.keys, object)))
			})
		})
	}
}

// BenchmarkReadThrough is a hit of a read that names a loader.
func BenchmarkReadThrough(b *testing.B) {
	b.Run("value=string", func(b *testing.B) { readThrough(b, stringValue) })
	b.Run("value=struct64", func(b *testing.B) { readThrough(b, quoteValue) })
}

func readThrough[V any](b *testing.B, value func(int) V) {
	t := trace()
	var all []opened[V]
	for _, m := range caches.All[V]() {
		c := opened[V]{m.Name, m.Open(b, config(value))}
		if c.Load == nil {
			continue
		}
		for _, k := range keys() { // the loader fills it
			if _, err := c.Load(k); err != nil {
				b.Fatal(m.Name, err)
			}
		}
		for _, k := range t { // as in the other workloads, nothing is read for the first time
			if _, err := c.Load(k); err != nil {
				b.Fatal(m.Name, err)
			}
		}
		all = append(all, c)
	}
	modes(b, func(b *testing.B, callers int) {
		var s []turns.Subject
		for _, c := range all {
			s = append(s, turns.Subject{Name: c.name, Do: func(i, n int) error {
				for end := i + n; i < end; i++ {
					if _, err := c.Load(t[i&(traceLen-1)]); err != nil {
						return err
					}
				}
				return nil
			}})
		}
		for _, c := range all {
			if c.name == "strata" { // what the loader's name adds to it; not next to it, or it finds the processor's caches warm
				s = slices.Insert(s, len(s)/2, gets("floor-strata-get", t, c.Get))
			}
		}
		turns.Run(b, callers, s)
	})
}

// BenchmarkMixed is 95 reads to 5 writes of the keys that are there.
func BenchmarkMixed(b *testing.B) {
	all, t := openAll(b, stringValue), trace()
	modes(b, func(b *testing.B, callers int) {
		var s []turns.Subject
		for _, c := range all {
			var misses atomic.Int64 // some drop a write, and the entry with it
			s = append(s, turns.Subject{
				Name: c.name,
				Do: func(i, n int) error {
					missed := 0
					for end := i + n; i < end; i++ {
						k := t[i&(traceLen-1)]
						if i%20 == 7 {
							if err := c.Set(k, "another value"); err != nil {
								return err
							}
						} else if _, ok := c.Get(k); !ok {
							missed++
						}
					}
					misses.Add(int64(missed))
					return nil
				},
				Figures: func(n int) map[string]float64 {
					return map[string]float64{"misses/op": float64(misses.Swap(0)) / float64(max(n, 1))}
				},
			})
		}
		turns.Run(b, callers, s)
	})
}

// BenchmarkL1Set replaces a value in memory.
func BenchmarkL1Set(b *testing.B) {
	all, t := openAll(b, stringValue), trace()
	modes(b, func(b *testing.B, callers int) {
		var s []turns.Subject
		for _, c := range all {
			sub := turns.Subject{Name: c.name, Do: turns.Each(func(i int) error { return c.Set(t[i&(traceLen-1)], "another value") })}
			if c.Sync != nil {
				sub.Settle = func() error { c.Sync(); return nil }
			}
			s = append(s, sub)
		}
		turns.Run(b, callers, s)
	})
}

// loader is a source that has every key.
func loader[V any](value func(int) V) func(context.Context, string) (V, error) {
	return func(_ context.Context, key string) (v V, err error) {
		i, err := strconv.Atoi(key[len("price:SYM"):])
		if err != nil {
			return v, err
		}
		return value(i), nil
	}
}
