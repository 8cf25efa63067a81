package diskstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stratacache/strata/store"
)

func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%012d", i)
	}
	return keys
}

func loadKeys(b testing.TB, s *Store, keys []string, value []byte) {
	b.Helper()
	err := s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for _, k := range keys {
			if !yield(k, store.Entry{Value: value}) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, size := range []int{64, 1024} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			keys, value := benchKeys(200_000), make([]byte, size)
			b.SetBytes(int64(len(keys) * (size + 16)))
			for b.Loop() {
				s, err := Open(b.TempDir(), nil)
				if err != nil {
					b.Fatal(err)
				}
				loadKeys(b, s, keys, value)
				b.StopTimer()
				_ = s.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/entry")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{64, 1024, 32 << 10} {
		n := min(200_000, 256<<20/size)
		keys := benchKeys(2 * n)
		s, err := Open(b.TempDir(), nil)
		if err != nil {
			b.Fatal(err)
		}
		loadKeys(b, s, keys[:n], make([]byte, size))
		buf := make([]byte, 0, size)
		order := rand.New(rand.NewPCG(1, 1)).Perm(n)
		run := func(name string, fn func(key string) error) {
			b.Run(fmt.Sprintf("op=%s/size=%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := fn(keys[order[i%n]]); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
		run("append", func(key string) error { _, _, err := s.Append(ctx, buf, key); return err })
		run("get", func(key string) error { _, err := s.Get(ctx, key); return err })
		run("view", func(key string) error {
			v, err := s.View(ctx, key)
			v.Release()
			return err
		})
		absent := keys[n:]
		b.Run(fmt.Sprintf("op=miss/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := s.Get(ctx, absent[order[i%n]]); !errors.Is(err, store.ErrNotFound) {
					b.Fatal(err)
				}
				i++
			}
		})
		_ = s.Close()
	}
}

func BenchmarkSet(b *testing.B) {
	for _, sync := range []Sync{SyncInterval, SyncAlways} {
		b.Run(fmt.Sprintf("sync=%d/size=1024", sync), func(b *testing.B) {
			s, err := Open(b.TempDir(), &Options{Sync: sync})
			if err != nil {
				b.Fatal(err)
			}
			keys, value := benchKeys(100_000), make([]byte, 1024)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := s.Set(ctx, keys[i%len(keys)], store.Entry{Value: value}); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.StopTimer()
			_ = s.Close()
		})
	}
}
