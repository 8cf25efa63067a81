// Package proto is the codec of Protocol Buffers messages. It is apart from
// marshal so that only programs that use it link the protobuf runtime: give it
// to the cache yourself, because marshal cannot look it up.
//
//	cache := chain.NewCache(c, &chain.CacheOptions[*pb.Quote]{Codec: proto.New[*pb.Quote]()})
package proto

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stratacache/strata/marshal"
)

// New returns the codec of the message type V, a pointer to a generated struct.
// Encodings are deterministic within one version of the program. The encoding
// of a message without any field set is empty, and empty input decodes to it.
// Unknown fields are kept, but data of which V knows no field is an error.
func New[V proto.Message]() marshal.Codec[V] { return codec[V]{} }

type codec[V proto.Message] struct{}

func (codec[V]) Name() string { return "proto" }

func (codec[V]) Append(dst []byte, v V) ([]byte, error) {
	if !valid(v) {
		return dst, fmt.Errorf("marshal: proto: nil %v", reflect.TypeFor[V]())
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, v)
	if err != nil {
		return dst, fmt.Errorf("marshal: proto: %w", err)
	}
	return b, nil
}

func valid[V proto.Message](v V) bool {
	r := reflect.ValueOf(v)
	return r.IsValid() && (r.Kind() != reflect.Pointer || !r.IsNil())
}

func (codec[V]) Decode(data []byte) (V, error) {
	var zero V
	t := reflect.TypeFor[V]()
	if t.Kind() != reflect.Pointer {
		return zero, fmt.Errorf("marshal: proto: %v is not a pointer to a generated message", t)
	}
	v, ok := reflect.New(t.Elem()).Interface().(V)
	if !ok {
		return zero, errors.New("marshal: proto: the type cannot be made")
	}
	if err := proto.Unmarshal(data, v); err != nil {
		return zero, fmt.Errorf("marshal: proto: %w", err)
	}
	if m := v.ProtoReflect(); len(m.GetUnknown()) > 0 && !anySet(m) {
		return zero, fmt.Errorf("marshal: proto: the data has no field of %v", t)
	}
	return v, nil
}

// anySet reports whether a field that the message type knows is set.
func anySet(m protoreflect.Message) bool {
	found := false
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		found = true
		return false
	})
	return found
}
