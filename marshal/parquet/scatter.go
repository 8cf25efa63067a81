package parquet

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// directColumn is a column chunk whose values can be read in place: a single
// PLAIN page without nulls and compression, of the very type of the field.
type directColumn struct {
	c    *column
	l    *leaf
	body []byte
}

// directBody returns the values of such a chunk, nil if it is not one.
func directBody(c *column, l *leaf, k *chunkMeta, pages []byte, rows int) []byte {
	if l.optional || c.optional || k.codec != codecNone || c.size == 0 || c.size != l.size || k.dict > 0 || !c.same(l) {
		return nil
	}
	cur := cursor{b: pages}
	var h pageHeader
	if !h.read(&cur) || h.typ != pageData || h.encoding != encPlain || h.n != rows || h.hasCRC {
		return nil
	}
	if h.raw != h.stored || h.raw > len(pages)-cur.i || h.raw/c.size < rows {
		return nil
	}
	return pages[cur.i : cur.i+rows*c.size]
}

// same reports whether the leaf holds the type of the field, so that values
// need no conversion but that of a time's unit.
func (c *column) same(l *leaf) bool {
	switch l.class {
	case classInt:
		return c.kind >= kInt8 && c.kind <= kInt64 && c.unit == unitNone
	case classUint:
		return c.kind >= kUint8 && c.kind <= kUint64
	case classTime:
		return c.kind == kTime && l.phys == physInt64 || c.kind == kInt64 && c.unit == l.unit
	case classFloat:
		return c.kind == kFloat32 || c.kind == kFloat64
	}
	return false
}

// scatter copies n values from row lo on to fields that begin at base and lie
// stride apart.
func (d *directColumn) scatter(base unsafe.Pointer, stride uintptr, lo, n int) error {
	src := d.body[lo*d.c.size:][:n*d.c.size]
	ok := true
	switch d.c.kind {
	case kFloat64, kInt64, kUint64:
		scatter64(base, stride, src)
	case kTime:
		scatterTimes(base, stride, src, d.l.unit)
	case kFloat32, kInt32, kUint32:
		scatter32(base, stride, src)
	case kInt8:
		ok = scatterSmall[int8](base, stride, src)
	case kInt16:
		ok = scatterSmall[int16](base, stride, src)
	case kUint8:
		ok = scatterSmall[uint8](base, stride, src)
	case kUint16:
		ok = scatterSmall[uint16](base, stride, src)
	}
	if !ok {
		return fmt.Errorf("parquet: column %q: %w", d.c.name, errRange)
	}
	return nil
}

func scatter64(base unsafe.Pointer, stride uintptr, src []byte) {
	for i := 0; len(src) >= 8; i++ {
		*(*uint64)(unsafe.Add(base, uintptr(i)*stride)) = le.Uint64(src)
		src = src[8:]
	}
}

func scatter32(base unsafe.Pointer, stride uintptr, src []byte) {
	for i := 0; len(src) >= 4; i++ {
		*(*uint32)(unsafe.Add(base, uintptr(i)*stride)) = le.Uint32(src)
		src = src[4:]
	}
}

// scatterSmall reports false if a value does not fit.
func scatterSmall[T int8 | int16 | uint8 | uint16](base unsafe.Pointer, stride uintptr, src []byte) bool {
	for i := 0; len(src) >= 4; i++ {
		v := int32(le.Uint32(src))
		if int32(T(v)) != v {
			return false
		}
		*(*T)(unsafe.Add(base, uintptr(i)*stride)) = T(v)
		src = src[4:]
	}
	return true
}

func scatterTimes(base unsafe.Pointer, stride uintptr, src []byte, u unit) {
	for i := 0; len(src) >= 8; i++ {
		*(*time.Time)(unsafe.Add(base, uintptr(i)*stride)) = toTime(int64(le.Uint64(src)), u)
		src = src[8:]
	}
}

// toTime returns the time v units after 1970, in UTC.
func toTime(v int64, u unit) time.Time {
	switch u {
	case unitMillis:
		return time.UnixMilli(v).UTC()
	case unitMicros:
		return time.UnixMicro(v).UTC()
	}
	return time.Unix(0, v).UTC()
}

// fromTime returns the number of units from 1970 to t, rounded up and kept
// within the range of an int64.
func fromTime(t time.Time, u unit) int64 {
	sc := &scales[u]
	sec := t.Unix()
	switch {
	case sec > sc.maxSeconds:
		return math.MaxInt64
	case sec < -sc.maxSeconds:
		return math.MinInt64
	}
	return sec*sc.perSecond + (int64(t.Nanosecond())+sc.nanos-1)/sc.nanos
}
