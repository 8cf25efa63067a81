package hit

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkGet is one hit in memory.
func BenchmarkGet(b *testing.B) {
	b.Run("value=string", func(b *testing.B) { benchmark(b, stringValue) })
	b.Run("value=struct64", func(b *testing.B) { benchmark(b, quoteValue) })
}

func benchmark[V any](b *testing.B, value func(int) V) {
	for _, s := range subjects[V]() {
		b.Run("impl="+s.name, func(b *testing.B) {
			get := s.open(b, value)
			b.Run("mode=serial", func(b *testing.B) { serial(b, get) })
			b.Run("mode=parallel", func(b *testing.B) { parallel(b, get) })
		})
	}
}

func serial[V any](b *testing.B, get func(string) (V, bool)) {
	t := trace()
	misses, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := get(t[i&(traceLen-1)]); !ok {
			misses++
		}
		i++
	}
	if misses > 0 {
		b.Errorf("%d misses in %d gets", misses, i)
	}
}

func parallel[V any](b *testing.B, get func(string) (V, bool)) {
	t := trace()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		misses, i := 0, rand.IntN(traceLen)
		for pb.Next() {
			if _, ok := get(t[i&(traceLen-1)]); !ok {
				misses++
			}
			i++
		}
		if misses > 0 {
			b.Errorf("%d misses in %d gets", misses, i)
		}
	})
}

// TestEveryCacheHits checks that every cache that is measured answers every key
// with its value: a benchmark of misses would flatter.
func TestEveryCacheHits(t *testing.T) {
	t.Run("string", func(t *testing.T) { checkHits(t, stringValue) })
	t.Run("struct64", func(t *testing.T) { checkHits(t, quoteValue) })
}

func checkHits[V comparable](t *testing.T, value func(int) V) {
	for _, s := range subjects[V]() {
		t.Run(s.name, func(t *testing.T) {
			get := s.open(t, value)
			for i, k := range keys() {
				if v, ok := get(k); !ok || v != value(i) {
					t.Fatalf("%s = %v, %v; want %v", k, v, ok, value(i))
				}
			}
		})
	}
}
