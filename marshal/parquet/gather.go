package parquet

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
	"unicode/utf8"
	"unsafe"
)

var le = binary.LittleEndian

// gather copies n values, the first at base and each a row apart, to dst in
// PLAIN form and notes their bounds in s. The column is direct.
func (e *encoder) gather(dst []byte, c *column, s *colStats, base unsafe.Pointer, n int) {
	stride := e.p.stride
	switch c.kind {
	case kFloat64:
		gather64f(dst, s, base, stride, n)
	case kFloat32:
		gather32f(dst, s, base, stride, n)
	case kTime:
		gatherTimes(dst, s, base, stride, n, c.resolution(e.auto))
	case kInt64:
		gatherInt64(dst, s, base, stride, n)
	case kInt8:
		gatherInts[int8](dst, s, base, stride, n)
	case kInt16:
		gatherInts[int16](dst, s, base, stride, n)
	case kInt32:
		gatherInts[int32](dst, s, base, stride, n)
	case kUint8:
		gatherUints[uint8](dst, s, base, stride, n)
	case kUint16:
		gatherUints[uint16](dst, s, base, stride, n)
	case kUint32:
		gatherUints[uint32](dst, s, base, stride, n)
	case kUint64:
		for i := range n {
			v := *(*uint64)(unsafe.Add(base, uintptr(i)*stride))
			s.uint(v)
			le.PutUint64(dst[i*8:], v)
		}
	}
}

func gather64f(dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int) {
	lo, hi := s.minI, s.maxI
	for i := range n {
		v := *(*uint64)(unsafe.Add(base, uintptr(i)*stride))
		k := floatKey(v)
		lo, hi = min(lo, k), max(hi, k)
		le.PutUint64(dst[i*8:], v)
	}
	s.minI, s.maxI = lo, hi
}

func gather32f(dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int) {
	for i := range n {
		v := *(*float32)(unsafe.Add(base, uintptr(i)*stride))
		k := floatKey(math.Float64bits(float64(v)))
		s.minI, s.maxI = min(s.minI, k), max(s.maxI, k)
		le.PutUint32(dst[i*4:], math.Float32bits(v))
	}
}

// floatKey maps the bits of a float64 to an integer of the same order, with the
// NaNs beyond the infinities. It is its own reverse.
func floatKey(bits uint64) int64 {
	i := int64(bits)
	return i ^ int64(uint64(i>>63)>>1)
}

func gatherInt64(dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int) {
	lo, hi := s.minI, s.maxI
	for i := range n {
		v := *(*int64)(unsafe.Add(base, uintptr(i)*stride))
		lo, hi = min(lo, v), max(hi, v)
		le.PutUint64(dst[i*8:], uint64(v))
	}
	s.minI, s.maxI = lo, hi
}

func gatherInts[T int8 | int16 | int32](dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int) {
	lo, hi := s.minI, s.maxI
	for i := range n {
		v := int64(*(*T)(unsafe.Add(base, uintptr(i)*stride)))
		lo, hi = min(lo, v), max(hi, v)
		le.PutUint32(dst[i*4:], uint32(int32(v)))
	}
	s.minI, s.maxI = lo, hi
}

func gatherUints[T uint8 | uint16 | uint32](dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int) {
	lo, hi := s.minU, s.maxU
	for i := range n {
		v := uint64(*(*T)(unsafe.Add(base, uintptr(i)*stride)))
		lo, hi = min(lo, v), max(hi, v)
		le.PutUint32(dst[i*4:], uint32(v))
	}
	s.minU, s.maxU = lo, hi
}

// scale is how a unit counts: units in a second, nanoseconds in a unit, and the
// seconds from 1970 that an int64 of units can hold.
type scale struct{ perSecond, nanos, maxSeconds int64 }

var scales = [...]scale{
	unitMillis: {1e3, 1e6, math.MaxInt64/1_000 - 1},
	unitMicros: {1e6, 1e3, math.MaxInt64/1_000_000 - 1},
	unitNanos:  {1e9, 1, math.MaxInt64/1_000_000_000 - 1},
}

func gatherTimes(dst []byte, s *colStats, base unsafe.Pointer, stride uintptr, n int, u unit) {
	sc := &scales[u]
	lo, hi, last := s.minI, s.maxI, s.last
	for i := range n {
		v := s.time(sc, (*time.Time)(unsafe.Add(base, uintptr(i)*stride)))
		lo, hi = min(lo, v), max(hi, v)
		if v < last {
			s.sorted = false
		}
		last = v
		le.PutUint64(dst[i*8:], uint64(v))
	}
	s.minI, s.maxI, s.last = lo, hi, last
}

// time returns t in the units of sc, rounded down, and notes whether that lost
// anything.
func (s *colStats) time(sc *scale, t *time.Time) int64 {
	sec, frac := t.Unix(), int64(t.Nanosecond())
	if sec > sc.maxSeconds || sec < -sc.maxSeconds {
		s.outside = true
	}
	v := sec * sc.perSecond
	if frac != 0 {
		q := frac / sc.nanos
		if q*sc.nanos != frac {
			s.finer = true
		}
		v += q
	}
	return v
}

var errNotUTF8 = errors.New("the string is not UTF-8; use a []byte field")

// appendValue appends the value at p, the count-th that is not null, to
// e.values in PLAIN form.
func (e *encoder) appendValue(c *column, s *colStats, p unsafe.Pointer, count int) error {
	switch c.kind {
	case kBool:
		if count%8 == 0 {
			e.values = append(e.values, 0)
		}
		if v := *(*bool)(p); v {
			e.values[count/8] |= 1 << (count % 8)
			s.uint(1)
		} else {
			s.uint(0)
		}
	case kString:
		v := *(*string)(p)
		if !utf8.ValidString(v) {
			return errNotUTF8
		}
		return e.appendBytes(s, v)
	case kBytes:
		return e.appendBytes(s, unsafeString(*(*[]byte)(p)))
	default:
		at := len(e.values)
		e.values = append(e.values, 0, 0, 0, 0, 0, 0, 0, 0)[:at+c.size]
		e.gather(e.values[at:], c, s, p, 1)
	}
	return nil
}

func (e *encoder) appendBytes(s *colStats, v string) error {
	if len(v) > math.MaxInt32 || len(e.values)+4 > math.MaxInt32-len(v) {
		return errors.New("more than 2 GiB in a row group")
	}
	s.bytes(v)
	e.values = append(le.AppendUint32(e.values, uint32(len(v))), v...)
	return nil
}

// unsafeString views b as a string, for use while b does not change.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// isZero reports whether the value at p is the zero value of the column's type.
func (c *column) isZero(p unsafe.Pointer) bool {
	switch c.kind {
	case kBool, kInt8, kUint8:
		return *(*uint8)(p) == 0
	case kInt16, kUint16:
		return *(*uint16)(p) == 0
	case kInt32, kUint32:
		return *(*uint32)(p) == 0
	case kInt64, kUint64:
		return *(*uint64)(p) == 0
	case kFloat32:
		return math.Float32bits(*(*float32)(p)) == 0
	case kFloat64:
		return math.Float64bits(*(*float64)(p)) == 0
	case kString:
		return *(*string)(p) == ""
	case kBytes:
		return *(*[]byte)(p) == nil
	}
	return (*time.Time)(p).IsZero()
}
