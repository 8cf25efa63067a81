package parquet

import "fmt"

// class is what the values of a column in a file mean.
type class uint8

const (
	classOther class = iota // nothing that a field could hold
	classBool
	classInt
	classUint
	classFloat
	classText
	classBinary
	classTime
	classDate
)

// leaf is a column of a file's schema that holds values.
type leaf struct {
	name     string
	top      bool // directly in the row, and neither repeated nor a group
	optional bool
	phys     int
	size     int // bytes of a PLAIN value; 0: variable or bits
	class    class
	unit     unit
	bits     int // of integers
}

// element is a SchemaElement.
type element struct {
	phys, length, rep, children, conv, logical int
	hasType                                    bool
	name                                       []byte
	unit                                       unit
	bits                                       int
	unsigned                                   bool
}

// schema reads the schema: a tree, stored depth first.
func (m *meta) schema(c *cursor) {
	n, t := c.list()
	if n == 0 || t != tStruct {
		c.fail()
		return
	}
	var root element
	root.read(c)
	// pending is the number of children that each open group still waits for.
	pending := make([]int, 0, maxDepth)
	pending = append(pending, root.children)
	for k := 1; k < n && !c.bad; k++ {
		var e element
		e.read(c)
		if len(pending) == 0 || c.bad {
			c.fail()
			return
		}
		top := len(pending) == 1
		pending[len(pending)-1]--
		if e.children == 0 && e.hasType {
			m.leaves = append(m.leaves, e.leaf(top))
		} else if top {
			// Remembered by name, so that a field of that name is a mismatch
			// and not taken for missing; it has no chunk of its own.
			m.grouped = append(m.grouped, string(e.name))
		}
		if e.children > 0 {
			if len(pending) == maxDepth {
				c.fail()
				return
			}
			pending = append(pending, e.children)
		}
		for len(pending) > 0 && pending[len(pending)-1] == 0 {
			pending = pending[:len(pending)-1]
		}
	}
	if len(pending) != 0 {
		c.fail()
	}
	m.nLeaf = len(m.leaves)
}

func (e *element) read(c *cursor) {
	e.conv, e.rep = -1, repRequired
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			break
		}
		switch id {
		case 1:
			e.phys, e.hasType = int(c.int(typ)), true
		case 2:
			e.length = int(c.int(typ))
		case 3:
			e.rep = int(c.int(typ))
		case 4:
			e.name = c.binary(typ)
		case 5:
			e.children = int(c.int(typ))
		case 6:
			e.conv = int(c.int(typ))
		case 10:
			if typ == tStruct {
				e.readLogical(c)
				continue
			}
			c.skip(typ, 0)
		default:
			c.skip(typ, 0)
		}
	}
	if e.children < 0 || e.length < 0 || e.hasType && e.children > 0 {
		c.fail()
	}
}

// readLogical reads the union LogicalType.
func (e *element) readLogical(c *cursor) {
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		e.logical = id
		switch {
		case id == logicalTimestamp && typ == tStruct:
			e.readTimestamp(c)
		case id == logicalInteger && typ == tStruct:
			e.readInteger(c)
		default:
			c.skip(typ, 0)
		}
	}
}

// readTimestamp reads TimestampType. A local timestamp is taken for UTC.
func (e *element) readTimestamp(c *cursor) {
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		if id != 2 || typ != tStruct {
			c.skip(typ, 0)
			continue
		}
		for u := 0; ; {
			typ, ok := c.field(&u)
			if !ok {
				break
			}
			if u >= int(unitMillis) && u <= int(unitNanos) {
				e.unit = unit(u)
			}
			c.skip(typ, 0)
		}
	}
}

// readInteger reads IntType.
func (e *element) readInteger(c *cursor) {
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		switch {
		case id == 1:
			e.bits = int(c.int(typ))
		case id == 2 && (typ == tTrue || typ == tFalse):
			e.unsigned = typ == tFalse
		default:
			c.skip(typ, 0)
		}
	}
}

// leaf interprets the element.
func (e *element) leaf(top bool) leaf {
	l := leaf{name: string(e.name), phys: e.phys, optional: e.rep == repOptional, top: top && e.rep != repRepeated}
	switch e.phys {
	case physBool:
		l.class = classBool
	case physInt32, physInt64:
		l.size = 4 * e.phys
		e.integer(&l)
	case physInt96:
		l.size, l.class, l.unit = 12, classTime, unitNanos
	case physFloat, physDoubl:
		l.size = 4 * (e.phys - physInt64 - 1)
		l.class = classFloat
	case physBytes, physFixed:
		if e.phys == physFixed {
			l.size = e.length
		}
		e.binary(&l)
	}
	return l
}

func (e *element) integer(l *leaf) {
	l.class, l.bits = classInt, 8*l.size
	switch {
	case e.logical == logicalTimestamp && e.unit != unitNone && e.phys == physInt64:
		l.class, l.unit = classTime, e.unit
	case e.logical == logicalInteger:
		if e.unsigned {
			l.class = classUint
		}
		if e.bits > 0 && e.bits < l.bits {
			l.bits = e.bits
		}
	case e.logical == logicalDate:
		l.class = classDate
	case e.logical != 0:
		l.class = classOther
	case e.conv == convDate:
		l.class = classDate
	case (e.conv == convMillis || e.conv == convMicros) && e.phys == physInt64:
		l.class, l.unit = classTime, unitMillis+unit(e.conv-convMillis)
	case e.conv >= convUint8 && e.conv < convInt8:
		l.class = classUint
	case e.conv >= 0 && (e.conv < convInt8 || e.conv >= convJSON):
		l.class = classOther
	}
}

func (e *element) binary(l *leaf) {
	l.class = classBinary
	switch {
	case e.phys == physFixed && e.length == 0:
		l.class = classOther
	case e.logical == logicalString || e.logical == logicalEnum || e.logical == logicalJSON:
		l.class = classText
	case e.logical == logicalBSON || e.logical == logicalUUID:
	case e.logical != 0:
		l.class = classOther
	case e.conv == convUTF8 || e.conv == convEnum || e.conv == convJSON:
		l.class = classText
	case e.conv >= 0 && e.conv != convBSON:
		l.class = classOther
	}
}

// leaf returns how the column appears in a file of ours whose automatic
// resolution is auto.
func (c *column) leaf(auto unit) leaf {
	l := leaf{name: c.name, top: true, optional: c.optional, phys: c.phys, size: c.size, unit: c.resolution(auto)}
	switch {
	case l.unit != unitNone:
		l.class = classTime
	case c.kind == kBool:
		l.class = classBool
	case c.kind == kString:
		l.class = classText
	case c.kind == kBytes:
		l.class = classBinary
	case c.kind >= kFloat32:
		l.class = classFloat
	case c.kind >= kUint8:
		l.class, l.bits = classUint, 8<<(c.kind-kUint8)
	default:
		l.class, l.bits = classInt, 8<<(c.kind-kInt8)
	}
	return l
}

// fits returns nil if values of l can be put into c, each on its own merits.
func (c *column) fits(l *leaf) error {
	var ok bool
	switch c.kind {
	case kBool:
		ok = l.class == classBool
	case kString, kBytes:
		ok = l.class == classText || l.class == classBinary
	case kTime:
		ok = l.class == classTime || l.class == classDate
	case kFloat32, kFloat64:
		ok = l.class == classFloat || l.class == classInt || l.class == classUint
	default:
		ok = l.class == classInt || l.class == classUint || l.class == classFloat
		if c.unit != unitNone {
			ok = l.class == classTime
		}
	}
	if !ok || !l.top {
		return fmt.Errorf("parquet: column %q has another type than the field: %w", c.name, ErrMismatch)
	}
	return nil
}
