package marshal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// names are the codecs that Named knows, in the order in which errors list
// them.
var names = []string{"json", "json-strict", "cbor", "msgpack", "parquet", "frame", "text", "bytes"}

// For returns the default codec of V; see the package documentation for the
// table.
func For[V any]() (Codec[V], error) {
	t := reflect.TypeFor[V]()
	switch {
	case hasMsgPack[V]():
		return MsgPack[V]()
	case hasText[V]():
		return Text[V]()
	case implements[V, json.Marshaler](false) || implements[V, json.Unmarshaler](true):
		return JSON[V](), nil
	case isProto(t):
		return nil, fmt.Errorf("marshal: %v is a protobuf message: give the cache the codec of marshal/proto", t)
	}
	if c, err := Text[V](); err == nil {
		return c, nil
	}
	if c, err := newBytes[V](); err == nil {
		return c, nil
	}
	if err := encodable(t); err != nil {
		return nil, err
	}
	if isTable(t) {
		if c, err := Parquet[V](); err == nil {
			return c, nil
		}
	}
	return JSON[V](), nil
}

// Named returns the codec of the given name for V. The empty name is that of
// the default.
func Named[V any](name string) (Codec[V], error) {
	t := reflect.TypeFor[V]()
	switch name {
	case "":
		return For[V]()
	case "text":
		return orList(Text[V]())
	case "bytes":
		return orList(newBytes[V]())
	case "msgpack":
		return orList(MsgPack[V]())
	case "parquet":
		return orList(Parquet[V]())
	case "frame":
		return orList(Frame[V]())
	case "json", "json-strict", "cbor":
		if err := encodable(t); err != nil {
			return nil, err
		}
	}
	switch name {
	case "json":
		return JSON[V](), nil
	case "json-strict":
		return StrictJSON[V](), nil
	case "cbor":
		return CBOR[V](), nil
	case "proto":
		return nil, fmt.Errorf("marshal: proto is not looked up by name: give the cache the codec of marshal/proto")
	}
	return orList[V](nil, fmt.Errorf("marshal: there is no codec %q", name))
}

// orList adds to an error what would work for V.
func orList[V any](c Codec[V], err error) (Codec[V], error) {
	if err == nil {
		return c, nil
	}
	var work []string
	for _, name := range names {
		ok := encodable(reflect.TypeFor[V]()) == nil
		switch name {
		case "text":
			_, err := Text[V]()
			ok = err == nil
		case "bytes":
			_, err := newBytes[V]()
			ok = err == nil
		case "msgpack":
			ok = hasMsgPack[V]()
		case "parquet":
			_, err := Parquet[V]()
			ok = err == nil
		case "frame":
			_, err := Frame[V]()
			ok = err == nil
		}
		if ok {
			work = append(work, name)
		}
	}
	return nil, fmt.Errorf("%w (for %v there are: %s)", err, reflect.TypeFor[V](), strings.Join(work, ", "))
}

// isTable reports whether t is a slice of structs.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// isProto tells protobuf messages without linking protobuf.
func isProto(t reflect.Type) bool {
	_, ok := t.MethodByName("ProtoReflect")
	return ok
}

// encodable refuses the kinds that no codec can encode, when a cache is made
// and not on its first write.
func encodable(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("marshal: no codec can encode %v", t)
	}
	return nil
}
