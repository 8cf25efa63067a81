package hitratio

import (
	"math"
	"testing"

	"github.com/stratacache/strata/benchmarks/caches"
)

// TestSameSize: the caches that count bytes hold as many entries at the end of a
// sequence as the others are given, so that a miss ratio says nothing of their sizes.
func TestSameSize(t *testing.T) {
	const size = 1_000
	keys := texts(zipf(1.0)[:50_000])
	for _, m := range caches.All[string]()[:2] {
		bytes := capacity(t, m, size)
		c, value := m.Open(t, &caches.Config[string]{Entries: size, Bytes: bytes, Loader: none}), valueFor(size)
		for _, k := range keys {
			if _, ok := c.Get(k); ok {
				continue
			}
			if err := c.Set(k, value); err != nil {
				t.Fatal(err)
			}
		}
		held := c.Entries()
		t.Logf("%s: %d bytes, %d entries", m.Name, bytes, held)
		if !testing.Short() && math.Abs(float64(held)/size-1) > 0.05 {
			t.Errorf("%s holds %d entries at the end, the others %d", m.Name, held, size)
		}
	}
}
