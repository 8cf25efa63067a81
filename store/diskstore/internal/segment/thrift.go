package segment

import (
	"encoding/binary"
	"errors"
)

// The compact protocol of Apache Thrift, as far as Parquet's metadata needs it.
const (
	tTrue, tFalse, tByte, tI16, tI32, tI64, tDouble, tBinary, tList, tSet, tMap, tStruct = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
)

// encoder writes structs. Fields are written in order of their ids.
type encoder struct {
	b    []byte
	last []int // last field id of the open structs
}

func (e *encoder) field(id, typ int) {
	top := len(e.last) - 1
	if d := id - e.last[top]; d > 0 && d <= 15 {
		e.b = append(e.b, byte(d<<4|typ))
	} else {
		e.b = append(e.b, byte(typ))
		e.b = binary.AppendVarint(e.b, int64(id))
	}
	e.last[top] = id
}

func (e *encoder) open()               { e.last = append(e.last, 0) }
func (e *encoder) close()              { e.b = append(e.b, 0); e.last = e.last[:len(e.last)-1] }
func (e *encoder) begin(id int)        { e.field(id, tStruct); e.open() }
func (e *encoder) i32(id int, v int)   { e.field(id, tI32); e.b = binary.AppendVarint(e.b, int64(v)) }
func (e *encoder) i64(id int, v int64) { e.field(id, tI64); e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) i8(id int, v int8)   { e.field(id, tByte); e.b = append(e.b, byte(v)) }
func (e *encoder) str(id int, s string) {
	e.field(id, tBinary)
	e.rawStr(s)
}

func (e *encoder) rawStr(s string) {
	e.b = binary.AppendUvarint(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) boolean(id int, v bool) {
	if v {
		e.field(id, tTrue)
	} else {
		e.field(id, tFalse)
	}
}

func (e *encoder) list(id, typ, n int) {
	e.field(id, tList)
	if n < 15 {
		e.b = append(e.b, byte(n<<4|typ))
		return
	}
	e.b = append(e.b, byte(0xF0|typ))
	e.b = binary.AppendUvarint(e.b, uint64(n))
}

var errThrift = errors.New("malformed metadata")

// maxDepth bounds the nesting of what a decoder skips.
const maxDepth = 16

// decoder reads structs. After a failure err is set and all reads give zero;
// nothing is allocated that the input does not hold.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.err = errThrift
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

// fields calls fn for each field of a struct; fn reads the value or leaves it
// and returns false.
func (d *decoder) fields(fn func(id int, typ byte) bool) {
	last := 0
	for d.err == nil {
		h := d.byte()
		typ := h & 0x0F
		if typ == 0 {
			return
		}
		if delta := int(h >> 4); delta > 0 {
			last += delta
		} else {
			last = int(int16(d.int()))
		}
		if !fn(last, typ) {
			d.skip(typ, maxDepth)
		}
	}
}

// listOf reads the head of a list and calls fn once for each element.
func (d *decoder) listOf(typ byte, fn func()) {
	n, t := d.listHead()
	if t != typ && n > 0 {
		d.fail()
	}
	for i := 0; i < n && d.err == nil; i++ {
		fn()
	}
}

func (d *decoder) listHead() (n int, typ byte) {
	h := d.byte()
	size := uint64(h >> 4)
	if size == 15 {
		size = d.uvarint()
	}
	if size > uint64(len(d.b)) { // an element takes a byte or more
		d.fail()
		return 0, 0
	}
	return int(size), h & 0x0F
}

func (d *decoder) skip(typ byte, depth int) {
	if depth == 0 {
		d.fail()
		return
	}
	switch typ {
	case tTrue, tFalse:
	case tByte:
		d.byte()
	case tI16, tI32, tI64:
		d.uvarint()
	case tDouble:
		if len(d.b) < 8 {
			d.fail()
			return
		}
		d.b = d.b[8:]
	case tBinary:
		d.bytes()
	case tList, tSet:
		n, t := d.listHead()
		for i := 0; i < n && d.err == nil; i++ {
			if t == tTrue || t == tFalse {
				d.byte() // in a list a boolean takes a byte
				continue
			}
			d.skip(t, depth-1)
		}
	case tStruct:
		last := depth - 1
		for d.err == nil {
			h := d.byte()
			if h&0x0F == 0 {
				return
			}
			if h>>4 == 0 {
				d.int()
			}
			d.skip(h&0x0F, last)
		}
	default: // maps do not occur in Parquet
		d.fail()
	}
}
