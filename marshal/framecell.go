package marshal

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

// set puts a cell into the field of type t at p.
func (c cell) set(t reflect.Type, p unsafe.Pointer) error {
	if t.Kind() == reflect.Pointer {
		if c.kind == 'n' {
			*(*unsafe.Pointer)(p) = nil
			return nil
		}
		v := reflect.New(t.Elem()).UnsafePointer()
		*(*unsafe.Pointer)(p) = v
		t, p = t.Elem(), v
	}
	if t == timeType {
		return c.setTime((*time.Time)(p))
	}
	k := t.Kind()
	switch {
	case c.kind == '0':
		return c.setNumber(k, p)
	case c.kind == 'n' && k == reflect.Float64:
		*(*float64)(p) = math.NaN()
	case c.kind == 'n' && k == reflect.Float32:
		*(*float32)(p) = float32(math.NaN())
	case c.kind == 'n':
		return fmt.Errorf("null does not fit %v: use a pointer", t)
	case c.kind == '"' && k == reflect.String:
		s, err := c.string()
		*(*string)(p) = s
		return err
	case (c.kind == 't' || c.kind == 'f') && k == reflect.Bool:
		*(*bool)(p) = c.kind == 't'
	default:
		return fmt.Errorf("%s does not fit %v", c, t)
	}
	return nil
}

// String describes the cell in errors.
func (c cell) String() string {
	switch {
	case c.kind == 't':
		return "true"
	case c.kind == 'f':
		return "false"
	case len(c.raw) > 40:
		return fmt.Sprintf("%.40q...", c.raw)
	}
	return fmt.Sprintf("%q", c.raw)
}

// setNumber sets a numeric field of kind k. A column of integers with a gap is
// one of floats in pandas, so 3.0 is a 3.
func (c cell) setNumber(k reflect.Kind, p unsafe.Pointer) error {
	var err error
	switch k {
	case reflect.Float64:
		*(*float64)(p), err = strconv.ParseFloat(c.digits(), 64)
	case reflect.Float32:
		var f float64
		f, err = strconv.ParseFloat(c.digits(), 32)
		*(*float32)(p) = float32(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, err = strconv.ParseInt(c.whole(), 10, bitsOf(k))
		storeBits(p, bitsOf(k), uint64(n))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(c.whole(), 10, bitsOf(k))
		storeBits(p, bitsOf(k), n)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil {
		return fmt.Errorf("%s does not fit %v", c, k)
	}
	return nil
}

// digits is the number as a string that lives as long as the document.
func (c cell) digits() string { return unsafe.String(unsafe.SliceData(c.raw), len(c.raw)) }

func (c cell) whole() string {
	c.raw = bytes.TrimSuffix(c.raw, []byte(".0"))
	return c.digits()
}

func bitsOf(k reflect.Kind) int {
	switch k {
	case reflect.Int8, reflect.Uint8:
		return 8
	case reflect.Int16, reflect.Uint16:
		return 16
	case reflect.Int32, reflect.Uint32:
		return 32
	case reflect.Int64, reflect.Uint64:
		return 64
	}
	return strconv.IntSize
}

// isoForms are how pandas writes times with date_format="iso", with and without
// a zone, and what others make of it.
var isoForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"}

// setTime reads milliseconds, as a number or in quotes as labels are, and ISO
// 8601.
func (c cell) setTime(t *time.Time) error {
	switch c.kind {
	case 'n':
		*t = time.Time{} // NaT
		return nil
	case '0', '"':
		if ms, err := strconv.ParseInt(c.whole(), 10, 64); err == nil {
			*t = time.UnixMilli(ms).UTC()
			return nil
		}
	}
	if c.kind == '"' {
		s, err := c.string()
		if err != nil {
			return err
		}
		for _, form := range isoForms {
			if at, err := time.Parse(form, s); err == nil {
				*t = at.UTC()
				return nil
			}
		}
	}
	return fmt.Errorf("%s is not a time", c)
}
