package marshal

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// CBOR is the codec of RFC 8949 in its core deterministic encoding: map keys
// are sorted and numbers are of the shortest exact form. Times are RFC 3339
// with nanoseconds. Of data with unknown fields and of null it holds what JSON
// says.
func CBOR[V any]() Codec[V] {
	return cborCodec[V]{null: nullable[V]() || implements[V, cbor.Unmarshaler](true)}
}

type cborCodec[V any] struct {
	null bool
}

// cborLimits are the decoder's bounds on nesting and on the elements of one
// array or map. Lengths are checked against the input before anything is
// allocated, so they bound time, not memory.
const (
	cborNesting  = 64
	cborElements = 1 << 26
)

var cborEnc = sync.OnceValues(func() (cbor.UserBufferEncMode, error) {
	opts := cbor.CoreDetEncOptions()
	opts.Time = cbor.TimeRFC3339Nano
	return opts.UserBufferEncMode()
})

func cborOptions() cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:  cborNesting,
		MaxArrayElements: cborElements,
		MaxMapPairs:      cborElements,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
	}
}

var cborDec = sync.OnceValues(func() (cbor.DecMode, error) { return cborOptions().DecMode() })

// cborProbe tells known fields from unknown ones.
var cborProbe = sync.OnceValues(func() (cbor.DecMode, error) {
	opts := cborOptions()
	opts.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	return opts.DecMode()
})

func (cborCodec[V]) Name() string { return "cbor" }

func (cborCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	enc, err := cborEnc()
	if err == nil {
		buf := bytes.NewBuffer(dst)
		if err = enc.MarshalToBuffer(v, buf); err == nil {
			return buf.Bytes(), nil
		}
	}
	return dst, fmt.Errorf("marshal: cbor: %w", err)
}

func (c cborCodec[V]) Decode(data []byte) (V, error) {
	v := new(V)
	if err := c.decode(data, v); err != nil {
		var zero V
		return zero, fmt.Errorf("marshal: cbor: %w", err)
	}
	return *v, nil
}

func (c cborCodec[V]) decode(data []byte, v *V) error {
	dec, err := cborDec()
	if err != nil {
		return err
	}
	if err := dec.Unmarshal(data, v); err != nil {
		return err
	}
	if !c.null && len(data) == 1 && (data[0] == 0xf6 || data[0] == 0xf7) {
		return errNull
	}
	if zeroStruct(reflect.ValueOf(v)) {
		return knowsCBOR(dec, data, reflect.TypeFor[V]())
	}
	return nil
}

// knowsCBOR is knowsJSON for CBOR, where field names may be numbers.
func knowsCBOR(dec cbor.DecMode, data []byte, t reflect.Type) error {
	t = elemStruct(t)
	var list []cbor.RawMessage
	if dec.Unmarshal(data, &list) == nil && len(list) > 0 {
		data = list[0]
	}
	var fields map[any]cbor.RawMessage
	if dec.Unmarshal(data, &fields) != nil || len(fields) == 0 {
		return nil
	}
	probe, err := cborProbe()
	if err != nil {
		return err
	}
	for name := range fields {
		b, err := cbor.Marshal(map[any]any{name: nil})
		if err != nil {
			return err
		}
		if probe.Unmarshal(b, reflect.New(t).Interface()) == nil {
			return nil
		}
	}
	return fmt.Errorf("the data has no field of %v", t)
}
