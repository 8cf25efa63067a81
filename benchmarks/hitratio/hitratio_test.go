package hitratio

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stratacache/strata/benchmarks/caches"
	"github.com/stratacache/strata/benchmarks/turns"
)

// maxRounds bounds the rounds: a ratio differs between them by the caches' random
// choices only.
const maxRounds = 2

// BenchmarkMissRatio replays each sequence to each cache.
func BenchmarkMissRatio(b *testing.B) {
	for _, t := range traces {
		keys := t.keys(b)
		if testing.Short() {
			keys = keys[:min(len(keys), 2_000)]
		}
		names := texts(keys)
		for _, size := range t.sizes {
			b.Run(fmt.Sprintf("trace=%s/entries=%d", t.name, size), func(b *testing.B) {
				var impls []string
				var values [][]float64
				for _, m := range caches.All[string]() {
					if m.Name == "gocache" {
						continue // is ristretto
					}
					bytes := capacity(b, m, size)
					var ratios []float64
					for range rounds() {
						ratios = append(ratios, misses(b, m, &caches.Config[string]{Entries: size, Bytes: bytes, Loader: none}, names))
					}
					impls, values = append(impls, m.Name), append(values, ratios)
				}
				turns.Record(b, b.Name(), impls, "misses/read", values)
				b.SkipNow() // or the framework would measure the function itself
			})
		}
	}
}

func none(context.Context, string) (string, error) { return "", errors.New("no loader") }

// rounds is the -count of go test, within bounds.
func rounds() int {
	n := 1
	if f := flag.Lookup("test.count"); f != nil {
		_, _ = fmt.Sscan(f.Value.String(), &n)
	}
	return min(max(n, 1), maxRounds)
}

// texts are the keys, one string each for all its reads.
func texts(keys []int) []string {
	names, all := map[int]string{}, make([]string, len(keys))
	for i, k := range keys {
		if names[k] == "" {
			names[k] = fmt.Sprintf("price:%07d", k)
		}
		all[i] = names[k]
	}
	return all
}

// misses replays the reads and returns the share that misses.
func misses(b *testing.B, m caches.Maker[string], cfg *caches.Config[string], reads []string) float64 {
	b.Helper()
	c, missed, value := m.Open(b, cfg), 0, valueFor(cfg.Entries)
	for _, k := range reads {
		if _, ok := c.Get(k); ok {
			continue
		}
		missed++
		if err := c.Set(k, value); err != nil {
			b.Fatal(m.Name, err)
		}
		if c.Sync != nil {
			c.Sync()
		}
	}
	return float64(missed) / float64(len(reads))
}

// valueFor is a value of such a size that the entries take some megabytes, of which
// what a store needs for itself is a small part.
func valueFor(entries int) string { return strings.Repeat("v", max(64, 4<<20/entries)) }

// capacity is the number of bytes with which strata's memory holds about entries
// of them. The others are given a number of entries, and do not look at it.
func capacity(b testing.TB, m caches.Maker[string], entries int) int64 {
	b.Helper()
	if m.Name != "strata" && m.Name != "strata-otter" {
		return 0
	}
	bytes := float64(entries * (len(valueFor(entries)) + 256))
	for range 8 {
		if testing.Short() {
			break
		}
		held := held(b, m, int64(bytes), entries)
		if math.Abs(float64(held)/float64(entries)-1) < 0.02 {
			break
		}
		bytes *= float64(entries) / float64(max(held, 1))
	}
	return int64(bytes)
}

// held is how many entries are left of four times as many as are wanted.
func held(b testing.TB, m caches.Maker[string], bytes int64, entries int) int {
	b.Helper()
	c, value := m.Open(b, &caches.Config[string]{Bytes: bytes, Entries: entries, Loader: none}), valueFor(entries)
	for i := range 4 * entries {
		if err := c.Set(fmt.Sprintf("price:%07d", i), value); err != nil {
			b.Fatal(m.Name, err)
		}
	}
	return c.Entries()
}
