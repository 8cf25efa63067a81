package parquet

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// Codec encodes values of V, a slice of structs, as Parquet files in memory.
// It is safe for concurrent use.
type Codec[V any] struct {
	plan     *plan
	zip      *compressor
	encoders sync.Pool // of *encoder
	decoders sync.Pool // of *decoder
}

// New returns a codec for V, which must be a slice of structs. opts may be nil.
// An error names the field of the struct or of opts that is wrong.
func New[V any](opts *Options) (*Codec[V], error) {
	resolved, err := opts.resolved()
	if err != nil {
		return nil, err
	}
	p, err := newPlan(reflect.TypeFor[V](), resolved)
	if err != nil {
		return nil, err
	}
	zip := newCompressor()
	return &Codec[V]{
		plan: p, zip: zip,
		encoders: sync.Pool{New: func() any { return &encoder{p: p, zip: zip} }},
		decoders: sync.Pool{New: func() any { return &decoder{p: p, zip: zip} }},
	}, nil
}

// Name returns "parquet".
func (c *Codec[V]) Name() string { return "parquet" }

// Append appends v to dst as a complete Parquet file and returns the extended
// slice. It fails for a string that is not UTF-8, for a time that its column
// cannot hold, and for more than 2 GiB of one column in a row group. On an
// error it returns dst as it was.
func (c *Codec[V]) Append(dst []byte, v V) ([]byte, error) {
	rows := (*[]struct{})(unsafe.Pointer(&v)) // V is a slice: see newPlan
	e := c.encoders.Get().(*encoder)
	defer c.encoders.Put(e)
	return e.file(dst, unsafe.Pointer(unsafe.SliceData(*rows)), len(*rows))
}

// Decode returns the rows of the Parquet file data, by whomever it was written.
// The result shares no memory with data. A file without rows gives an empty V
// that is not nil.
//
// An error is store.ErrCorrupt for a damaged file, ErrMismatch for one that
// does not fit V, ErrUnsupported for features that this package does not read,
// or store.ErrTooLarge (see Options.MaxExpansion).
func (c *Codec[V]) Decode(data []byte) (V, error) {
	return c.decode(data, request{})
}

// Columns is Decode for some columns, by their names in the file: the other
// fields are left zero and their columns are not read.
func (c *Codec[V]) Columns(data []byte, columns ...string) (V, error) {
	return c.decode(data, request{columns: append([]string{}, columns...)})
}

// Range is Decode for the rows whose time t satisfies from <= t < to; a zero
// time is no limit. See Options.TimeColumn for which column counts. With
// columns given, only these and the time are read.
//
// Row groups out of the range are skipped by their statistics. In files of this
// package with rows in the order of time the limits are found by bisection and
// nothing outside of them is decoded.
func (c *Codec[V]) Range(data []byte, from, to time.Time, columns ...string) (V, error) {
	const far = 1 << 55 // seconds; beyond any time in a file
	req := request{ranged: true, from: from, to: to}
	if from.IsZero() {
		req.from = time.Unix(-far, 0)
	}
	if to.IsZero() {
		req.to = time.Unix(far, 0)
	}
	if len(columns) > 0 {
		req.columns = columns
	}
	return c.decode(data, req)
}

// decode runs a request. A panic would be a mistake in this package; it must
// not take the program down for bytes that somebody else wrote.
func (c *Codec[V]) decode(data []byte, req request) (v V, err error) {
	d := c.decoders.Get().(*decoder)
	defer func() {
		if r := recover(); r != nil {
			err = damaged("decoding failed: %v", r)
			return // the decoder is not used again
		}
		c.decoders.Put(d)
	}()
	rows, err := d.file(data, req)
	if err != nil {
		return v, err
	}
	v, ok := rows.Interface().(V)
	if !ok {
		return v, fmt.Errorf("parquet: %v is not %T", rows.Type(), v)
	}
	return v, nil
}
