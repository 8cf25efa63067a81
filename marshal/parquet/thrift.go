package parquet

import "encoding/binary"

// Thrift's compact protocol, as far as Parquet needs it:
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

// Wire types of the compact protocol.
const (
	tStop   = 0
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI16    = 4
	tI32    = 5
	tI64    = 6
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12
)

// maxDepth bounds the nesting of skipped values.
const maxDepth = 16

// field appends the header of a field whose id is delta above the previous one.
func field(b []byte, delta, typ int) []byte { return append(b, byte(delta<<4|typ)) }

// zigzag appends a signed integer of any width.
func zigzag(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v<<1)^uint64(v>>63))
}

func fieldInt(b []byte, delta, typ int, v int64) []byte { return zigzag(field(b, delta, typ), v) }

func fieldBytes(b []byte, delta int, s string) []byte {
	return putString(field(b, delta, tBinary), s)
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putList(b []byte, n, typ int) []byte {
	if n < 15 {
		return append(b, byte(n<<4|typ))
	}
	return binary.AppendUvarint(append(b, byte(0xf0|typ)), uint64(n))
}

// cursor reads the compact protocol from bytes that may be damaged. After the
// first mistake bad is set and all methods return zero values, so that callers
// need check it only where they loop.
type cursor struct {
	b   []byte
	i   int
	bad bool
}

func (c *cursor) fail() { c.bad, c.i = true, len(c.b) }

func (c *cursor) byte() byte {
	if c.i >= len(c.b) {
		c.fail()
		return 0
	}
	v := c.b[c.i]
	c.i++
	return v
}

func (c *cursor) uvarint() uint64 {
	if c.i < len(c.b) && c.b[c.i] < 0x80 {
		c.i++
		return uint64(c.b[c.i-1])
	}
	v, n := binary.Uvarint(c.b[c.i:])
	if n <= 0 {
		c.fail()
		return 0
	}
	c.i += n
	return v
}

func (c *cursor) zigzag() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)-c.i) {
		c.fail()
		return nil
	}
	v := c.b[c.i : c.i+int(n)]
	c.i += int(n)
	return v
}

// field reads a field header. id is the previous field's id on entry; ok is
// false at the end of the struct.
func (c *cursor) field(id *int) (typ int, ok bool) {
	h := c.byte()
	typ = int(h & 15)
	if typ == tStop || c.bad {
		return 0, false
	}
	if d := int(h >> 4); d != 0 {
		*id += d
	} else {
		*id = int(int16(c.zigzag()))
	}
	return typ, !c.bad
}

// list reads a list header. The length never exceeds what is left of the
// input: every element takes at least one byte.
func (c *cursor) list() (n, typ int) {
	h := c.byte()
	n, typ = int(h>>4), int(h&15)
	if n == 15 {
		u := c.uvarint()
		if u > uint64(len(c.b)-c.i) {
			c.fail()
			return 0, 0
		}
		n = int(u)
	}
	if n > len(c.b)-c.i {
		c.fail()
		return 0, 0
	}
	return n, typ
}

// int reads an integer field of type typ; other types are skipped.
func (c *cursor) int(typ int) int64 {
	switch typ {
	case tI16, tI32, tI64:
		return c.zigzag()
	case tByte:
		return int64(int8(c.byte()))
	}
	c.skip(typ, 0)
	return 0
}

// binary reads a binary field; other types are skipped.
func (c *cursor) binary(typ int) []byte {
	if typ == tBinary {
		return c.bytes()
	}
	c.skip(typ, 0)
	return nil
}

func (c *cursor) advance(n int) {
	if n > len(c.b)-c.i {
		c.fail()
		return
	}
	c.i += n
}

// skip passes over a value of type typ.
func (c *cursor) skip(typ, depth int) {
	switch typ {
	case tTrue, tFalse:
	case tByte:
		c.advance(1)
	case tI16, tI32, tI64:
		c.uvarint()
	case tDouble:
		c.advance(8)
	case tBinary:
		c.bytes()
	case tList, tSet, tMap, tStruct:
		if depth >= maxDepth {
			c.fail()
			return
		}
		c.skipNested(typ, depth+1)
	default:
		c.fail()
	}
}

func (c *cursor) skipNested(typ, depth int) {
	switch typ {
	case tStruct:
		for id := 0; ; {
			t, ok := c.field(&id)
			if !ok {
				return
			}
			c.skip(t, depth)
		}
	case tMap:
		n := c.uvarint()
		if n == 0 {
			return
		}
		kv := c.byte()
		for ; n > 0 && !c.bad; n-- {
			c.skipElem(int(kv>>4), depth)
			c.skipElem(int(kv&15), depth)
		}
	default:
		n, t := c.list()
		for ; n > 0 && !c.bad; n-- {
			c.skipElem(t, depth)
		}
	}
}

// skipElem passes over an element of a collection, where a boolean takes a
// byte of its own.
func (c *cursor) skipElem(typ, depth int) {
	if typ == tTrue || typ == tFalse {
		c.advance(1)
		return
	}
	c.skip(typ, depth)
}
