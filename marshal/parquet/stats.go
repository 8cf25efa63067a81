package parquet

import "math"

// maxStat is the longest string that is kept as a bound: bounds are there to
// skip row groups, not to hold values.
const maxStat = 64

// colStats is what the encoder learns of a column in one row group.
type colStats struct {
	at, body    int // of the page's header and of its values, in dst
	raw, stored int // bytes of the page, before and after compression

	minI, maxI int64 // of floats: their floatKey
	minU, maxU uint64
	minB, maxB string
	some       bool // minB and maxB are set
	nulls      int

	last    int64
	sorted  bool // times never decreased
	finer   bool // a time lost digits to the column's resolution
	outside bool // a time does not fit
}

func (s *colStats) reset() {
	*s = colStats{
		minI: math.MaxInt64, maxI: math.MinInt64, minU: math.MaxUint64,
		last: math.MinInt64, sorted: true,
	}
}

func (s *colStats) uint(v uint64) { s.minU, s.maxU = min(s.minU, v), max(s.maxU, v) }

func (s *colStats) bytes(v string) {
	if !s.some || v < s.minB {
		s.minB = v
	}
	if !s.some || v > s.maxB {
		s.maxB = v
	}
	s.some = true
}

// append renders the fields of Statistics: the number of nulls and, where they
// can be told, the bounds. A column with a NaN has none: readers differ in how
// they order it, and would skip rows that they should not.
func (s *colStats) append(b []byte, c *column, n int) []byte {
	b = fieldInt(b, 3, tI64, int64(s.nulls))
	if n == s.nulls {
		return b
	}
	var lo, hi uint64
	size := c.size
	switch c.kind {
	case kBool:
		lo, hi, size = s.minU, s.maxU, 1
	case kString, kBytes:
		if len(s.minB) > maxStat || len(s.maxB) > maxStat {
			return b
		}
		return fieldBytes(fieldBytes(b, 2, s.maxB), 1, s.minB)
	case kFloat32, kFloat64:
		var ok bool
		if lo, hi, ok = s.floatBits(c.kind); !ok {
			return b
		}
	case kUint8, kUint16, kUint32, kUint64:
		lo, hi = s.minU, s.maxU
	default:
		lo, hi = uint64(s.minI), uint64(s.maxI)
	}
	b = appendStat(b, 2, hi, size)
	return appendStat(b, 1, lo, size)
}

// floatBits returns the bounds as bits; ok is false where there was a NaN. A zero
// is widened to -0 or +0, as the format asks, since some compare them as equal.
func (s *colStats) floatBits(k kind) (lo, hi uint64, ok bool) {
	if s.minI < floatKey(math.Float64bits(math.Inf(-1))) || s.maxI > floatKey(math.Float64bits(math.Inf(1))) {
		return 0, 0, false
	}
	least := math.Float64frombits(uint64(floatKey(uint64(s.minI))))
	most := math.Float64frombits(uint64(floatKey(uint64(s.maxI))))
	if least == 0 {
		least = math.Copysign(0, -1)
	}
	if most == 0 {
		most = 0
	}
	if k == kFloat32 {
		return uint64(math.Float32bits(float32(least))), uint64(math.Float32bits(float32(most))), true
	}
	return math.Float64bits(least), math.Float64bits(most), true
}

func appendStat(b []byte, delta int, v uint64, size int) []byte {
	b = append(field(b, delta, tBinary), byte(size))
	for i := range size {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}
