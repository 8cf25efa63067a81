package parquet

import (
	"fmt"
	"math"
	"unsafe"
)

// cell is one value of a file: i for integers, times and booleans, f for
// floats, b for bytes.
type cell struct {
	i int64
	f float64
	b []byte
	s string // b as a string that may be kept, where there is one
}

// source yields the values of a page that are not null.
type source interface {
	// next sets v to the next value; ok is false where the page ends too early.
	next(v *cell) (ok bool)
}

// source returns the values of a data page.
func (d *decoder) source(l *leaf, h *pageHeader, values []byte) (source, error) {
	switch h.encoding {
	case encPlain:
		return plainSource(l, values), nil
	case encPlainDict, encRLEDict:
		if len(values) == 0 {
			return &indexed{dict: &d.dict}, nil // a page of nulls
		}
		if values[0] > 32 {
			return nil, damaged("dictionary indices of %d bits", values[0])
		}
		return &indexed{dict: &d.dict, index: hybrid{b: values[1:], width: uint(values[0])}}, nil
	case encRLE:
		if l.phys != physBool || len(values) < 4 {
			break
		}
		return &runs{hybrid{b: values[4:], width: 1}}, nil
	case encDelta:
		if l.phys == physInt32 || l.phys == physInt64 {
			return &deltaSource{d: newDeltas(values), narrow: l.phys == physInt32, unsigned: l.class == classUint}, nil
		}
	case encDeltaLength:
		if l.phys == physBytes {
			return d.deltaLengths(values, h.n)
		}
	case encSplit:
		if l.size == 0 || len(values)%l.size != 0 {
			break
		}
		if err := d.take(int64(len(values))); err != nil {
			return nil, err
		}
		return plainSource(l, appendJoined(nil, values, l.size)), nil
	}
	return nil, fmt.Errorf("encoding %d: %w", h.encoding, ErrUnsupported)
}

func plainSource(l *leaf, values []byte) source {
	switch l.phys {
	case physBool:
		return &bitSource{b: values}
	case physBytes:
		return &byteSource{b: values}
	}
	return &fixedSource{b: values, l: l}
}

// fixedSource reads PLAIN values of one size.
type fixedSource struct {
	b []byte
	l *leaf
}

func (s *fixedSource) next(v *cell) bool {
	size := s.l.size
	if len(s.b) < size || size == 0 {
		return false
	}
	b := s.b[:size]
	s.b = s.b[size:]
	switch s.l.phys {
	case physInt32:
		v.i = int64(int32(le.Uint32(b)))
		if s.l.class == classUint {
			v.i = int64(uint32(v.i))
		}
	case physInt64:
		v.i = int64(le.Uint64(b))
	case physFloat:
		v.f = float64(math.Float32frombits(le.Uint32(b)))
	case physDoubl:
		v.f = math.Float64frombits(le.Uint64(b))
	case physInt96: // nanoseconds of a Julian day
		const julian1970 = 2440588
		v.i = (int64(le.Uint32(b[8:]))-julian1970)*86400e9 + int64(le.Uint64(b))
	default:
		v.b = b
	}
	return true
}

// byteSource reads PLAIN byte arrays.
type byteSource struct{ b []byte }

func (s *byteSource) next(v *cell) bool {
	if len(s.b) < 4 || uint64(le.Uint32(s.b)) > uint64(len(s.b)-4) {
		return false
	}
	n := 4 + int(le.Uint32(s.b))
	v.b, s.b = s.b[4:n:n], s.b[n:]
	return true
}

// bitSource reads PLAIN booleans.
type bitSource struct {
	b []byte
	i int
}

func (s *bitSource) next(v *cell) bool {
	if s.i/8 >= len(s.b) {
		return false
	}
	v.i = int64(s.b[s.i/8] >> (s.i % 8) & 1)
	s.i++
	return true
}

// runs reads booleans in RLE form.
type runs struct{ h hybrid }

func (s *runs) next(v *cell) bool {
	u, ok := s.h.next()
	v.i = int64(u & 1)
	return ok
}

// deltaSource reads DELTA_BINARY_PACKED integers.
type deltaSource struct {
	d                deltas
	narrow, unsigned bool
}

func (s *deltaSource) next(v *cell) bool {
	i, ok := s.d.next()
	switch {
	case s.narrow && s.unsigned:
		i = int64(uint32(i))
	case s.narrow:
		i = int64(int32(i))
	}
	v.i = i
	return ok
}

// lengthSource reads DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes.
type lengthSource struct {
	lengths deltas
	b       []byte
}

// deltaLengths finds the bytes by reading the lengths once in advance.
func (d *decoder) deltaLengths(values []byte, n int) (source, error) {
	s := &lengthSource{lengths: newDeltas(values)}
	if s.lengths.total > n {
		return nil, damaged("more lengths than values")
	}
	ahead := s.lengths
	for range ahead.total {
		if _, ok := ahead.next(); !ok {
			break
		}
	}
	if ahead.bad {
		return nil, damaged("lengths do not parse")
	}
	s.b = values[ahead.end():]
	return s, nil
}

func (s *lengthSource) next(v *cell) bool {
	n, ok := s.lengths.next()
	if !ok || n < 0 || n > int64(len(s.b)) {
		return false
	}
	v.b, s.b = s.b[:n:n], s.b[n:]
	return true
}

// dictionary holds the distinct values of a chunk.
type dictionary struct{ cells []cell }

// readDictionary decodes a dictionary page. Strings are made here, once for all
// rows that have them.
func (d *decoder) readDictionary(h *pageHeader, l *leaf, k *chunkMeta, body []byte) error {
	if h.encoding != encPlain && h.encoding != encPlainDict {
		return fmt.Errorf("dictionary encoding %d: %w", h.encoding, ErrUnsupported)
	}
	if d.dict.cells != nil {
		return damaged("two dictionaries")
	}
	values, err := d.unpack(k.codec, body, h.raw)
	if err != nil {
		return err
	}
	if h.n > 8*len(values) {
		return damaged("dictionary is shorter than declared")
	}
	if err := d.take(int64(h.n)*int64(unsafe.Sizeof(cell{})) + int64(len(values))); err != nil {
		return err
	}
	cells := make([]cell, h.n)
	src := plainSource(l, values)
	for i := range cells {
		if !src.next(&cells[i]) {
			return damaged("dictionary is shorter than declared")
		}
		if l.class == classText || l.class == classBinary {
			cells[i].s = d.arena.copy(cells[i].b, len(values))
		}
	}
	d.dict.cells = cells
	return nil
}

// indexed reads indices into the dictionary.
type indexed struct {
	dict  *dictionary
	index hybrid
}

func (s *indexed) next(v *cell) bool {
	i, ok := s.index.next()
	if !ok || int64(i) >= int64(len(s.dict.cells)) {
		return false
	}
	*v = s.dict.cells[i]
	return true
}

// arena makes strings in large pieces.
type arena struct{ b []byte }

// copy returns b as a string of its own. about is how many bytes of strings may
// follow.
func (a *arena) copy(b []byte, about int) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > cap(a.b)-len(a.b) {
		a.b = make([]byte, 0, max(len(b), min(about, 1<<16)))
	}
	at := len(a.b)
	a.b = append(a.b, b...)
	return unsafeString(a.b[at:])
}
