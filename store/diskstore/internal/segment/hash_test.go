package segment

import (
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// TestHashKey compares with the library, for all lengths around those that are
// hashed here.
func TestHashKey(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 100 {
		for range 50 {
			key, seed := make([]byte, n), rng.Uint64()
			for i := range key {
				key[i] = byte(rng.Uint32())
			}
			hash := func(seed uint64) uint64 {
				d := xxhash.NewWithSeed(seed)
				_, _ = d.Write(key)
				return d.Sum64()
			}
			want := Hash{hash(seed), uint32(hash(seed ^ 0x9E3779B97F4A7C15))}
			if got := HashKey(seed, string(key)); got != want {
				t.Fatalf("%d bytes: %x, want %x", n, got, want)
			}
		}
	}
}

func BenchmarkHashKey(b *testing.B) {
	key := "key:000000001234"
	for b.Loop() {
		HashKey(42, key)
	}
}
