package segment

// The few fixed bytes of a row are summed here: handed to hash/crc32, which
// calls through a function value, they would be moved to the heap on each read.

// slicing8 holds the tables of CRC32C by slices of 8 bytes (Kounavis, Berry, "A
// Systematic Approach to Building High Performance Software-based CRC
// Generators", 2005).
var slicing8 = func() (t [8][256]uint32) {
	t[0] = *castagnoli
	for i := range 256 {
		c := t[0][i]
		for j := 1; j < 8; j++ {
			c = t[0][byte(c)] ^ c>>8
			t[j][i] = c
		}
	}
	return t
}()

// crcByte and crcUint64 advance an inverted checksum.
func crcByte(c uint32, b byte) uint32 { return slicing8[0][byte(c)^b] ^ c>>8 }

func crcUint64(c uint32, v uint64) uint32 {
	t := &slicing8
	a, b := uint32(v)^c, uint32(v>>32)
	return t[7][byte(a)] ^ t[6][byte(a>>8)] ^ t[5][byte(a>>16)] ^ t[4][a>>24] ^
		t[3][byte(b)] ^ t[2][byte(b>>8)] ^ t[1][byte(b>>16)] ^ t[0][b>>24]
}
