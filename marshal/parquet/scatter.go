package parquet

import (
	"fmt"
	"hash/crc32"
	"math"
	"time"
	"unsafe"
)

// directColumn is a column chunk whose values lie next to each other in PLAIN
// form, in the file itself or after unpacking: a single page without nulls, of
// the very type of the field.
type directColumn struct {
	c    *column
	l    *leaf
	body []byte
}

// directPage returns the header and bytes of the page that holds all values of
// such a chunk; ok is false where there is none.
func directPage(c *column, l *leaf, k *chunkMeta, pages []byte, rows int) (h pageHeader, page []byte, ok bool) {
	if c.optional || c.size == 0 || c.size != l.size || k.dict > 0 || !c.same(l) {
		return h, nil, false
	}
	cur := cursor{b: pages}
	if !h.read(&cur) || h.typ != pageData || h.n != rows || h.stored > len(pages)-cur.i {
		return h, nil, false
	}
	switch h.encoding {
	case encPlain, encSplit, encDelta:
	default:
		return h, nil, false
	}
	return h, pages[cur.i : cur.i+h.stored], true
}

// inPlace returns the values of a chunk that can be read from the file as they
// are, nil if they cannot.
func inPlace(c *column, l *leaf, k *chunkMeta, pages []byte, rows int) []byte {
	h, page, ok := directPage(c, l, k, pages, rows)
	if !ok || l.optional || k.codec != codecNone || h.encoding != encPlain || h.hasCRC || h.raw != h.stored || len(page)/c.size < rows {
		return nil
	}
	return page[:rows*c.size]
}

// unpacked returns the values of a chunk that has to be verified, decompressed
// or decoded first. It returns nil for what the slower way must read, or must
// find wrong.
func (d *decoder) unpacked(c *column, l *leaf, k *chunkMeta, pages []byte, rows int) ([]byte, error) {
	h, page, ok := directPage(c, l, k, pages, rows)
	if !ok || l.optional && k.nulls != 0 || h.hasCRC && crc32.ChecksumIEEE(page) != h.crc {
		return nil, nil
	}
	page, err := d.unpack(k.codec, page, h.raw)
	if err != nil {
		return nil, err
	}
	if l.optional {
		if page = skipFullLevels(page, rows); page == nil {
			return nil, nil
		}
	}
	switch h.encoding {
	case encSplit:
		if len(page)%c.size != 0 {
			return nil, nil
		}
		if err := d.take(int64(len(page))); err != nil {
			return nil, err
		}
		page = appendJoined(nil, page, c.size)
	case encDelta:
		if err := d.take(int64(rows) * int64(c.size)); err != nil {
			return nil, err
		}
		page = undelta(page, rows, c.size)
	}
	if len(page)/c.size < rows {
		return nil, nil
	}
	return page[:rows*c.size], nil
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
