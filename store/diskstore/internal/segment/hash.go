package segment

import (
	"github.com/cespare/xxhash/v2"
)

// Hash is the 96-bit hash of a key: rows are sorted by it.
type Hash struct {
	Hi uint64
	Lo uint32
}

// loSeed separates the two halves of the hash.
const loSeed = 0x9E3779B97F4A7C15

// HashKey hashes a key with the store's seed: XXH64 with the seed, and the low
// half of XXH64 with the seed xor loSeed. The seed keeps those who choose keys
// from choosing hashes.
func HashKey(seed uint64, key string) Hash {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(key)
	hi := d.Sum64()
	d.ResetWithSeed(seed ^ loSeed)
	_, _ = d.WriteString(key)
	return Hash{hi, uint32(d.Sum64())}
}

// Less orders hashes.
func (h Hash) Less(o Hash) bool { return h.Hi < o.Hi || h.Hi == o.Hi && h.Lo < o.Lo }

// Compare returns -1, 0 or 1.
func (h Hash) Compare(o Hash) int {
	switch {
	case h.Less(o):
		return -1
	case h == o:
		return 0
	}
	return 1
}
