package segment

import (
	"math/bits"

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
	if len(key) < 32 {
		return hashShort(seed, key)
	}
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(key)
	hi := d.Sum64()
	d.ResetWithSeed(seed ^ loSeed)
	_, _ = d.WriteString(key)
	return Hash{hi, uint32(d.Sum64())}
}

// The primes of XXH64 (Collet, "xxHash fast digest algorithm", version 0.1.1).
const (
	prime1 = 0x9E3779B185EBCA87
	prime2 = 0xC2B2AE3D27D4EB4F
	prime3 = 0x165667B19E3779F9
	prime4 = 0x85EBCA77C2B2AE63
	prime5 = 0x27D4EB2F165667C5
)

// hashShort is HashKey for keys of less than 32 bytes, which XXH64 takes in one
// pass: both hashes at once, and without the copy that a digest makes.
func hashShort(seed uint64, key string) Hash {
	b := bytesOf(key)
	a := seed + prime5 + uint64(len(b))
	c := (seed ^ loSeed) + prime5 + uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		k := bits.RotateLeft64(le.Uint64(b)*prime2, 31) * prime1
		a = bits.RotateLeft64(a^k, 27)*prime1 + prime4
		c = bits.RotateLeft64(c^k, 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		k := uint64(le.Uint32(b)) * prime1
		a = bits.RotateLeft64(a^k, 23)*prime2 + prime3
		c = bits.RotateLeft64(c^k, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, v := range b {
		k := uint64(v) * prime5
		a = bits.RotateLeft64(a^k, 11) * prime1
		c = bits.RotateLeft64(c^k, 11) * prime1
	}
	return Hash{avalanche(a), uint32(avalanche(c))}
}

func avalanche(h uint64) uint64 {
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
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
