package marshal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// JSON is the codec of encoding/json: map keys are sorted, so that equal values
// have equal encodings, and <, > and & are left as they are. Fields that the
// data has and V has not are ignored, but data of which V knows no field at all
// is of another type, and an error; so is null for a V without a nil value.
func JSON[V any]() Codec[V] { return newJSON[V]("json", false) }

// StrictJSON is JSON that refuses unknown fields.
func StrictJSON[V any]() Codec[V] { return newJSON[V]("json-strict", true) }

type jsonCodec[V any] struct {
	name   string
	strict bool
	null   bool // null is a value of V
}

func newJSON[V any](name string, strict bool) Codec[V] {
	return jsonCodec[V]{name: name, strict: strict, null: nullable[V]() || implements[V, json.Unmarshaler](true)}
}

func (c jsonCodec[V]) Name() string { return c.name }

// tailWriter appends what it is given.
type tailWriter struct{ b []byte }

func (w *tailWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (c jsonCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	w := tailWriter{dst}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("marshal: json: %w", err)
	}
	return w.b[:len(w.b)-1], nil // without the encoder's newline
}

func (c jsonCodec[V]) Decode(data []byte) (V, error) {
	v := new(V)
	err := c.decode(data, v)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("marshal: json: %w", err)
	}
	return *v, nil
}

func (c jsonCodec[V]) decode(data []byte, v *V) error {
	if c.strict {
		return c.decodeStrict(data, v)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if !c.null && isNull(data) {
		return errNull
	}
	if zeroStruct(reflect.ValueOf(v)) {
		return knowsJSON(data, reflect.TypeFor[V]())
	}
	return nil
}

func (c jsonCodec[V]) decodeStrict(data []byte, v *V) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if len(bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n")) > 0 {
		return errors.New("something follows the value")
	}
	if !c.null && isNull(data) {
		return errNull
	}
	return nil
}

var errNull = errors.New("null is not a value of the type")

func isNull(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" }

// knowsJSON returns an error if data is an object, or a list that begins with
// one, that has fields of which t knows none.
func knowsJSON(data []byte, t reflect.Type) error {
	t = elemStruct(t)
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0]
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || len(fields) == 0 {
		return nil
	}
	for name := range fields {
		probe, err := json.Marshal(map[string]any{name: nil})
		if err != nil {
			return err
		}
		dec := json.NewDecoder(bytes.NewReader(probe))
		dec.DisallowUnknownFields()
		if dec.Decode(reflect.New(t).Interface()) == nil {
			return nil
		}
	}
	return fmt.Errorf("the data has no field of %v", t)
}
