package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
)

const benchKeys = 100_000

// zipfKeys returns the keys and a trace over them.
func zipfKeys() (keys []string, trace []uint32) {
	keys = make([]string, benchKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("price:%d", i)
	}
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, benchKeys-1)
	trace = make([]uint32, 1<<20)
	for i := range trace {
		trace[i] = uint32(z.Uint64())
	}
	return keys, trace
}

// benchObject is about as large as a decoded price with its deadlines.
type benchObject [7]int64

// reader is a cache that the benchmarks read.
type reader struct {
	name string
	get  func(key string) bool
}

// readers returns full caches of the same content, to be read side by side.
func readers(b *testing.B, keys []string) []reader {
	s := open(b, &memstore.Options{Capacity: 256 << 20, Items: benchKeys})
	plain, ttl := raw(b), raw(b)
	for i, key := range keys {
		o := &benchObject{}
		_ = s.SetObject(key, o, 64, time.Time{})
		plain.Set(key, o, 64)
		ttl.SetWithTTL(key, o, 64, time.Hour)
		if i%1000 == 0 {
			plain.Wait()
			ttl.Wait()
		}
	}
	flush(s)
	plain.Wait()
	ttl.Wait()
	return []reader{
		{"ristretto-ttl", func(key string) bool { _, ok := ttl.Get(key); return ok }},
		{"ristretto", func(key string) bool { _, ok := plain.Get(key); return ok }},
		{"memstore", func(key string) bool { _, ok := s.GetObject(key); return ok }},
	}
}

func raw(b testing.TB) *ristretto.Cache[string, any] {
	c, err := ristretto.NewCache(&ristretto.Config[string, any]{
		NumCounters: benchKeys * 10, MaxCost: 256 << 20, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func BenchmarkGetHit(b *testing.B) {
	keys, trace := zipfKeys()
	for _, r := range readers(b, keys) {
		b.Run("serial/"+r.name, func(b *testing.B) {
			b.ReportAllocs()
			i, missed := 0, 0
			for b.Loop() {
				if !r.get(keys[trace[i&(1<<20-1)]]) {
					missed++
				}
				i++
			}
			if missed > 0 {
				b.Errorf("%d misses", missed)
			}
		})
		b.Run("parallel/"+r.name, func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				i := start.Add(1) * 7919
				for pb.Next() {
					if !r.get(keys[trace[i&(1<<20-1)]]) {
						b.Error("a miss")
					}
					i++
				}
			})
		})
	}
}

func BenchmarkGetMiss(b *testing.B) {
	keys, _ := zipfKeys()
	absent := make([]string, 1<<14)
	for i := range absent {
		absent[i] = fmt.Sprint("absent:", i)
	}
	for _, r := range readers(b, keys) {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.get(absent[i&(1<<14-1)])
				i++
			}
		})
	}
}

// BenchmarkGetEntry reads encoded entries, with and without a deadline.
func BenchmarkGetEntry(b *testing.B) {
	for name, ttl := range map[string]time.Duration{"never": 0, "hour": time.Hour} {
		s := open(b, nil)
		e := store.Entry{Value: []byte("190.25")}
		if ttl > 0 {
			e.Expires = time.Now().Add(ttl)
		}
		_ = s.Set(b.Context(), "k", e)
		flush(s)
		b.Run("ttl="+name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context()
			for b.Loop() {
				_, _ = s.Get(ctx, "k")
			}
		})
	}
}

// BenchmarkSet writes 200,000 new keys to an empty cache, in one burst. The raw
// engine drops most of them ("kept" is the share that can be read afterwards).
func BenchmarkSetBurst(b *testing.B) {
	const n = 200_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("burst:%d", i)
	}
	o := &benchObject{}
	run := func(b *testing.B, fresh func() (set func(string), get func(string) bool, done func())) {
		kept := 0
		for b.Loop() {
			set, get, done := fresh()
			for _, key := range keys {
				set(key)
			}
			b.StopTimer()
			kept = 0
			for _, key := range keys {
				if get(key) {
					kept++
				}
			}
			done()
			b.StartTimer()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/set")
		b.ReportMetric(100*float64(kept)/n, "%kept")
	}
	b.Run("ristretto", func(b *testing.B) {
		run(b, func() (func(string), func(string) bool, func()) {
			c := raw(b)
			return func(k string) { c.Set(k, o, 64) }, func(k string) bool { c.Wait(); _, ok := c.Get(k); return ok }, c.Clear
		})
	})
	b.Run("ristretto-wait", func(b *testing.B) {
		run(b, func() (func(string), func(string) bool, func()) {
			c := raw(b)
			return func(k string) { c.Set(k, o, 64); c.Wait() }, func(k string) bool { _, ok := c.Get(k); return ok }, c.Clear
		})
	})
	b.Run("memstore", func(b *testing.B) {
		run(b, func() (func(string), func(string) bool, func()) {
			s := open(b, &memstore.Options{Capacity: 256 << 20, Items: benchKeys})
			return func(k string) { _ = s.SetObject(k, o, 64, time.Time{}) },
				func(k string) bool { _, ok := s.GetObject(k); return ok }, func() { _ = s.Close() }
		})
	})
}

// BenchmarkSetUpdate overwrites keys that the cache holds.
func BenchmarkSetUpdate(b *testing.B) {
	keys, trace := zipfKeys()
	o := &benchObject{}
	c, s := raw(b), open(b, &memstore.Options{Capacity: 256 << 20, Items: benchKeys})
	for i, key := range keys {
		c.Set(key, o, 64)
		if i%1000 == 0 {
			c.Wait()
		}
		_ = s.SetObject(key, o, 64, time.Time{})
	}
	flush(s)
	for _, w := range []struct {
		name string
		set  func(key string)
	}{
		{"ristretto", func(key string) { c.Set(key, o, 64) }},
		{"memstore", func(key string) { _ = s.SetObject(key, o, 64, time.Time{}) }},
	} {
		b.Run("serial/"+w.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w.set(keys[trace[i&(1<<20-1)]])
				i++
			}
		})
		b.Run("parallel/"+w.name, func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				i := start.Add(1) * 7919
				for pb.Next() {
					w.set(keys[trace[i&(1<<20-1)]])
					i++
				}
			})
		})
	}
}
