package parquet

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"
)

var (
	errRange = fmt.Errorf("a value does not fit the field: %w", ErrMismatch)
	errNull  = fmt.Errorf("a null, but the field is neither a pointer nor optional: %w", ErrMismatch)
	errShort = errors.New("page is shorter than declared")
)

// target is the field of the rows that a chunk is decoded to.
type target struct {
	d    *decoder
	c    *column
	l    *leaf
	base unsafe.Pointer // the field of the row span.lo
	span span

	slab unsafe.Pointer // room for what pointers point to
	free int
	elem uintptr
}

// slabValues is how many values of pointer fields are allocated together.
const slabValues = 256

// fill assigns the n values of a page that begins at row.
func (t *target) fill(levels *hybrid, src source, row, n int) error {
	var v cell
	for i := range n {
		at := row + i
		if at >= t.span.hi {
			return nil
		}
		if levels != nil {
			level, ok := levels.next()
			if !ok {
				return damaged("levels end too early")
			}
			if level == 0 {
				if at >= t.span.lo && !t.c.optional {
					return fmt.Errorf("row %d: %w", at, errNull)
				}
				continue
			}
		}
		if !src.next(&v) {
			return damaged("row %d: %v", at, errShort)
		}
		if at < t.span.lo {
			continue
		}
		p := unsafe.Add(t.base, uintptr(at-t.span.lo)*t.d.p.stride)
		if t.c.ptr {
			var err error
			if p, err = t.pointee(p, t.span.hi-at); err != nil {
				return err
			}
		}
		if err := t.assign(p, &v); err != nil {
			return fmt.Errorf("row %d: %w", at, err)
		}
	}
	return nil
}

// pointee makes the pointer at p point to a new value and returns that. rest is
// how many more may be needed.
func (t *target) pointee(p unsafe.Pointer, rest int) (unsafe.Pointer, error) {
	if t.free == 0 {
		t.free, t.elem = min(rest, slabValues), t.c.elem.Size()
		if err := t.d.take(int64(t.free) * int64(t.elem)); err != nil {
			return nil, err
		}
		t.slab = reflect.MakeSlice(reflect.SliceOf(t.c.elem), t.free, t.free).UnsafePointer()
	} else {
		t.slab = unsafe.Add(t.slab, t.elem)
	}
	t.free--
	*(*unsafe.Pointer)(p) = t.slab
	return t.slab, nil
}

// assign stores v, a value of t.l, in the field at p.
func (t *target) assign(p unsafe.Pointer, v *cell) error {
	ok := true
	switch t.c.kind {
	case kBool:
		*(*bool)(p) = v.i != 0
	case kFloat64:
		*(*float64)(p), ok = t.float(v)
	case kFloat32:
		var f float64
		f, ok = t.float(v)
		*(*float32)(p) = float32(f)
		ok = ok && (float64(float32(f)) == f || f != f)
	case kString, kBytes:
		return t.assignBytes(p, v)
	case kTime:
		return t.assignTime((*time.Time)(p), v)
	case kUint64:
		*(*uint64)(p), ok = t.unsigned(v)
	default:
		ok = t.assignInt(p, v)
	}
	if !ok {
		return errRange
	}
	return nil
}

// float returns v as a float64, if that is exact.
func (t *target) float(v *cell) (float64, bool) {
	const exact = 1 << 53
	switch t.l.class {
	case classFloat:
		return v.f, true
	case classUint:
		return float64(uint64(v.i)), uint64(v.i) <= exact
	}
	return float64(v.i), v.i >= -exact && v.i <= exact
}

// signed returns v as an int64, if that is exact.
func (t *target) signed(v *cell) (int64, bool) {
	switch t.l.class {
	case classFloat:
		return int64(v.f), v.f == math.Trunc(v.f) && v.f >= -1<<63 && v.f < 1<<63
	case classUint:
		return v.i, v.i >= 0
	case classTime: // an int64 field that declares a unit
		return rescale(v.i, t.l.unit, t.c.unit)
	}
	return v.i, true
}

// unsigned returns v as a uint64, if that is exact.
func (t *target) unsigned(v *cell) (uint64, bool) {
	switch t.l.class {
	case classFloat:
		return uint64(v.f), v.f == math.Trunc(v.f) && v.f >= 0 && v.f < 1<<64
	case classUint:
		return uint64(v.i), true
	}
	return uint64(v.i), v.i >= 0
}

// rescale converts a number of units, if that is exact.
func rescale(v int64, from, to unit) (int64, bool) {
	a, b := scales[from].nanos, scales[to].nanos
	if a >= b {
		f := a / b
		return v * f, v <= math.MaxInt64/f && v >= math.MinInt64/f
	}
	return v / (b / a), v%(b/a) == 0
}

// assignInt stores v in an integer field of any width but unsigned 64 bits.
func (t *target) assignInt(p unsafe.Pointer, v *cell) bool {
	i, ok := t.signed(v)
	if !ok {
		return false
	}
	switch t.c.kind {
	case kInt8:
		*(*int8)(p), ok = int8(i), int64(int8(i)) == i
	case kInt16:
		*(*int16)(p), ok = int16(i), int64(int16(i)) == i
	case kInt32:
		*(*int32)(p), ok = int32(i), int64(int32(i)) == i
	case kInt64:
		*(*int64)(p) = i
	case kUint8:
		*(*uint8)(p), ok = uint8(i), int64(uint8(i)) == i
	case kUint16:
		*(*uint16)(p), ok = uint16(i), int64(uint16(i)) == i
	case kUint32:
		*(*uint32)(p), ok = uint32(i), int64(uint32(i)) == i
	}
	return ok
}

func (t *target) assignTime(p *time.Time, v *cell) error {
	if t.l.class == classDate {
		*p = time.Unix(v.i*86400, 0).UTC()
	} else {
		*p = toTime(v.i, t.l.unit)
	}
	return nil
}

func (t *target) assignBytes(p unsafe.Pointer, v *cell) error {
	if t.c.kind == kString {
		if t.l.class == classBinary && !utf8.Valid(v.b) {
			return fmt.Errorf("bytes that are not UTF-8 for a string: %w", ErrMismatch)
		}
		if v.s == "" {
			if err := t.d.take(int64(len(v.b))); err != nil {
				return err
			}
			v.s = t.d.arena.copy(v.b, len(v.b)*(t.span.hi-t.span.lo))
		}
		*(*string)(p) = v.s
		v.s = ""
		return nil
	}
	if err := t.d.take(int64(len(v.b))); err != nil {
		return err
	}
	*(*[]byte)(p) = append([]byte{}, v.b...)
	return nil
}
