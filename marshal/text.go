package marshal

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unsafe"
)

// Text is the codec of single values as other programs print and parse them:
// booleans, integers, floats, strings, types of those kinds, and types with
// MarshalText and UnmarshalText, such as time.Time (RFC 3339).
//
// Booleans are "true" and "false"; "1", "0", "True" and "False" are read too.
// Integers are decimal; a time.Duration is its nanoseconds. Floats are the
// shortest decimal that reads back exactly, never with an exponent, which some
// parsers refuse where there is no decimal point; exponents are read. Not a
// number and the infinities are "NaN", "Infinity" and "-Infinity", which
// Python's float(), JavaScript's Number() and C's strtod read; all their common
// spellings are read here. Strings are stored as they are.
//
// Append does not allocate where dst has room, save for MarshalText.
func Text[V any]() (Codec[V], error) {
	t := reflect.TypeFor[V]()
	if hasText[V]() {
		return marshalText[V]{}, nil
	}
	switch k := t.Kind(); k {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return textCodec[V]{kind: k, bits: int(t.Size()) * 8}, nil
	}
	return nil, fmt.Errorf("marshal: text: %v is neither a number, a string, a bool nor a type with MarshalText and UnmarshalText", t)
}

// textCodec is the codec of a basic kind. Its conversions by unsafe.Pointer are
// between types of one kind, which have one layout; reflection would allocate.
type textCodec[V any] struct {
	kind reflect.Kind
	bits int
}

func (textCodec[V]) Name() string { return "text" }

func (c textCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	p := unsafe.Pointer(&v)
	switch c.kind {
	case reflect.Bool:
		return strconv.AppendBool(dst, *(*bool)(p)), nil
	case reflect.String:
		return append(dst, *(*string)(p)...), nil
	case reflect.Float32:
		return appendFloat(dst, float64(*(*float32)(p)), 32), nil
	case reflect.Float64:
		return appendFloat(dst, *(*float64)(p), 64), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, loadUint(p, c.bits), 10), nil
	default:
		return strconv.AppendInt(dst, loadInt(p, c.bits), 10), nil
	}
}

func (c textCodec[V]) Decode(data []byte) (v V, err error) {
	p := unsafe.Pointer(&v)
	switch c.kind {
	case reflect.String:
		*(*string)(p) = string(data)
		return v, nil
	case reflect.Bool:
		*(*bool)(p), err = parseBool(data)
	case reflect.Float32:
		var f float64
		f, err = parseFloat(data, 32)
		*(*float32)(p) = float32(f)
	case reflect.Float64:
		*(*float64)(p), err = parseFloat(data, 64)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(string(data), 10, c.bits)
		storeBits(p, c.bits, n)
	default:
		var n int64
		n, err = strconv.ParseInt(string(data), 10, c.bits)
		storeBits(p, c.bits, uint64(n))
	}
	if err != nil {
		var zero V
		return zero, textError(data, reflect.TypeFor[V](), err)
	}
	return v, nil
}

// textError keeps the cause, and of the input what a person can use.
func textError(data []byte, t reflect.Type, err error) error {
	var ne *strconv.NumError
	if errors.As(err, &ne) {
		err = ne.Err
	}
	if len(data) > 40 {
		return fmt.Errorf("marshal: text: %d bytes, beginning with %q, are not a value of type %v: %w", len(data), data[:40], t, err)
	}
	return fmt.Errorf("marshal: text: %q is not a value of type %v: %w", data, t, err)
}

func loadInt(p unsafe.Pointer, bits int) int64 {
	switch bits {
	case 8:
		return int64(*(*int8)(p))
	case 16:
		return int64(*(*int16)(p))
	case 32:
		return int64(*(*int32)(p))
	}
	return *(*int64)(p)
}

func loadUint(p unsafe.Pointer, bits int) uint64 {
	switch bits {
	case 8:
		return uint64(*(*uint8)(p))
	case 16:
		return uint64(*(*uint16)(p))
	case 32:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

func storeBits(p unsafe.Pointer, bits int, n uint64) {
	switch bits {
	case 8:
		*(*uint8)(p) = uint8(n)
	case 16:
		*(*uint16)(p) = uint16(n)
	case 32:
		*(*uint32)(p) = uint32(n)
	default:
		*(*uint64)(p) = n
	}
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

var errSyntax = errors.New("invalid syntax")

// parseFloat is strconv.ParseFloat without Go's own forms (0x1p-2, 1_000),
// which no other program writes.
func parseFloat(data []byte, bits int) (float64, error) {
	for _, c := range data {
		if c == 'x' || c == 'X' || c == '_' {
			return 0, errSyntax
		}
	}
	return strconv.ParseFloat(string(data), bits)
}

func parseBool(data []byte) (bool, error) {
	switch string(data) {
	case "true", "1", "True":
		return true, nil
	case "false", "0", "False":
		return false, nil
	}
	return false, errSyntax
}

// marshalText is the codec of types that print and parse themselves.
type marshalText[V any] struct{}

func hasText[V any]() bool {
	return implements[V, encoding.TextUnmarshaler](true) && implements[V, encoding.TextMarshaler](false)
}

func (marshalText[V]) Name() string { return "text" }

func (marshalText[V]) Append(dst []byte, v V) ([]byte, error) {
	if isNil(v) {
		return dst, fmt.Errorf("marshal: text: a nil %v has no text", reflect.TypeFor[V]())
	}
	if a, ok := any(v).(encoding.TextAppender); ok {
		b, err := a.AppendText(dst)
		if err != nil {
			return dst, fmt.Errorf("marshal: text: %w", err)
		}
		return b, nil
	}
	b, err := any(v).(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return dst, fmt.Errorf("marshal: text: %w", err)
	}
	return append(dst, b...), nil
}

func (marshalText[V]) Decode(data []byte) (V, error) {
	v, target := newTarget[V]()
	if err := target.(encoding.TextUnmarshaler).UnmarshalText(data); err != nil {
		var zero V
		return zero, textError(data, reflect.TypeFor[V](), err)
	}
	return *v, nil
}
