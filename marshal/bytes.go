package marshal

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Bytes is the codec of byte slices: the value is its own encoding. Append
// copies; the value that Decode returns is its input, read-only. A nil slice
// comes back as an empty one.
func Bytes[V ~[]byte]() Codec[V] { return bytesCodec[V]{} }

// bytesCodec is Bytes without the constraint, which Named cannot state; newBytes
// checks the kind of V instead.
type bytesCodec[V any] struct{}

func newBytes[V any]() (Codec[V], error) {
	if t := reflect.TypeFor[V](); t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
		return nil, fmt.Errorf("marshal: bytes: %v is not a byte slice", t)
	}
	return bytesCodec[V]{}, nil
}

func (bytesCodec[V]) Name() string { return "bytes" }

func (bytesCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	// V has the layout of a slice of bytes: see newBytes.
	return append(dst, *(*[]byte)(unsafe.Pointer(&v))...), nil
}

func (bytesCodec[V]) Decode(data []byte) (V, error) {
	if data == nil {
		data = []byte{}
	}
	data = data[:len(data):len(data)] // appending to the value must not write behind it
	return *(*V)(unsafe.Pointer(&data)), nil
}
