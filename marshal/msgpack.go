package marshal

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/tinylib/msgp/msgp"
)

// MsgPack is the codec of types for which tinylib/msgp has generated methods.
// Decode walks the message once before it decodes it, because generated code
// allocates what a header declares.
func MsgPack[V any]() (Codec[V], error) {
	if !hasMsgPack[V]() {
		return nil, fmt.Errorf("marshal: msgpack: %v has no MarshalMsg and UnmarshalMsg: generate them with github.com/tinylib/msgp", reflect.TypeFor[V]())
	}
	return msgpackCodec[V]{}, nil
}

// hasMsgPack accepts MarshalMsg on the value or on its pointer: msgp generates
// the latter for large structs.
func hasMsgPack[V any]() bool {
	return implements[V, msgp.Unmarshaler](true) && implements[V, msgp.Marshaler](true)
}

type msgpackCodec[V any] struct{}

func (msgpackCodec[V]) Name() string { return "msgpack" }

func (msgpackCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	if isNil(v) {
		return dst, fmt.Errorf("marshal: msgpack: nil %v", reflect.TypeFor[V]())
	}
	m, ok := any(v).(msgp.Marshaler)
	if !ok {
		m = any(&v).(msgp.Marshaler)
	}
	b, err := m.MarshalMsg(dst)
	if err != nil {
		return dst, fmt.Errorf("marshal: msgpack: %w", err)
	}
	return b, nil
}

func (msgpackCodec[V]) Decode(data []byte) (V, error) {
	v, err := decodeMsgPack[V](data)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("marshal: msgpack: %w", err)
	}
	return *v, nil
}

func decodeMsgPack[V any](data []byte) (*V, error) {
	rest, err := msgp.Skip(data)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errors.New("something follows the value")
	}
	v, target := newTarget[V]()
	rest, err = target.(msgp.Unmarshaler).UnmarshalMsg(data)
	if err == nil && len(rest) > 0 {
		err = errors.New("the data is of another type")
	}
	return v, err
}
