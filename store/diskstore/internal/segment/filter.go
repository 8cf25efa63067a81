package segment

import "encoding/binary"

// The filter is a split block Bloom filter (Putze, Sanders, Singler, "Cache-,
// Hash- and Space-Efficient Bloom Filters", 2007; the salts are those of the
// Parquet format): a key sets one bit in each of the eight 32-bit words of one
// 32-byte block, so that a probe touches one cache line.
const (
	filterBlock   = 32
	filterBitsKey = 12 // about 0.5 % false positives
)

var salts = [8]uint32{
	0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
	0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
}

// Probe is a key made ready to be looked up in many segments.
type Probe struct {
	Hash
	mask [4]uint64
}

// NewProbe computes what does not depend on the segment.
func NewProbe(h Hash) Probe {
	p := Probe{Hash: h}
	low := uint32(h.Hi) ^ h.Lo
	for i := range p.mask {
		a := uint64(1) << (low * salts[2*i] >> 27)
		b := uint64(1) << (low * salts[2*i+1] >> 27)
		p.mask[i] = a | b<<32
	}
	return p
}

// filterSize returns the size in bytes of a filter for so many keys.
func filterSize(keys int) int {
	return max(1, (keys*filterBitsKey+filterBlock*8-1)/(filterBlock*8)) * filterBlock
}

// filterOffset returns where the block of a hash begins.
func filterOffset(hi uint64, size int) int {
	return int((hi >> 32) * uint64(size/filterBlock) >> 32 * filterBlock)
}

func filterAdd(filter []byte, h Hash) {
	p := NewProbe(h)
	b := filter[filterOffset(h.Hi, len(filter)):][:filterBlock]
	for i, m := range p.mask {
		w := binary.LittleEndian.Uint64(b[8*i:])
		binary.LittleEndian.PutUint64(b[8*i:], w|m)
	}
}

// has reports whether the block may hold the probe's key.
func (p *Probe) has(b []byte) bool {
	_ = b[31]
	le := binary.LittleEndian
	return le.Uint64(b)&p.mask[0] == p.mask[0] && le.Uint64(b[8:])&p.mask[1] == p.mask[1] &&
		le.Uint64(b[16:])&p.mask[2] == p.mask[2] && le.Uint64(b[24:])&p.mask[3] == p.mask[3]
}
