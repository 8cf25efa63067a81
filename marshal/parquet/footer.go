package parquet

import (
	"bytes"
	"slices"
)

// meta is what a reader needs of a file's footer.
type meta struct {
	data   []byte
	body   int // where the footer begins, and pages end
	rows   int64
	leaves []leaf
	nLeaf  int
	// grouped are the names of columns with columns of their own.
	grouped []string
	groups  []groupMeta
	chunks  []chunkMeta // of the groups one after the other, nLeaf each
}

type groupMeta struct {
	rows     int64
	sortedBy int // the leaf whose values ascend; -1: none is declared
}

type chunkMeta struct {
	phys, codec int
	values      int64
	stored      int64
	data, dict  int64
	lo, hi      []byte // bounds of the values; nil: unknown
	nulls       int64
	elsewhere   bool // in another file
	hasMeta     bool
}

const trailer = 8 // footer length and magic

// parse reads the footer of data. The slices of m are reused.
func (m *meta) parse(data []byte, p *plan) error {
	n := len(data)
	if n < 4+trailer || string(data[n-4:]) != "PAR1" || string(data[:4]) != "PAR1" {
		return damaged("not a Parquet file")
	}
	length := le.Uint32(data[n-trailer:])
	if uint64(length) > uint64(n-4-trailer) {
		return damaged("footer of %d bytes in a file of %d", length, n)
	}
	*m = meta{data: data, body: n - trailer - int(length), rows: -1,
		leaves: m.leaves[:0], grouped: m.grouped[:0], groups: m.groups[:0], chunks: m.chunks[:0]}
	c := cursor{b: data[m.body : n-trailer]}
	id := 0
	for v, head := range p.schema {
		if bytes.HasPrefix(c.b, head) { // our own schema: no need to read it
			c.i, id = len(head), 2
			m.leaves = append(m.leaves, p.leaves[v]...)
			m.nLeaf = len(m.leaves)
			break
		}
	}
	m.fields(&c, id)
	switch {
	case c.bad:
		return damaged("footer does not parse")
	case m.rows < 0 || m.nLeaf == 0:
		return damaged("footer is not complete")
	}
	return m.check()
}

// fields reads FileMetaData after field id.
func (m *meta) fields(c *cursor, id int) {
	for {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		switch {
		case id == 2 && typ == tList && m.nLeaf == 0:
			m.schema(c)
		case id == 3 && typ == tI64:
			m.rows = c.zigzag()
		case id == 4 && typ == tList && m.nLeaf != 0:
			n, t := c.list()
			if n > 0 && t != tStruct {
				c.fail()
			}
			for ; n > 0 && !c.bad; n-- {
				m.group(c)
			}
		default:
			c.skip(typ, 0)
		}
	}
}

// group reads a RowGroup.
func (m *meta) group(c *cursor) {
	g := groupMeta{rows: -1, sortedBy: -1}
	first := len(m.chunks)
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			break
		}
		switch {
		case id == 1 && typ == tList:
			n, t := c.list()
			if n > 0 && t != tStruct || n != m.nLeaf {
				c.fail()
			}
			for ; n > 0 && !c.bad; n-- {
				m.chunk(c)
			}
		case id == 3 && typ == tI64:
			g.rows = c.zigzag()
		case id == 4 && typ == tList:
			g.sortedBy = sortedBy(c)
		default:
			c.skip(typ, 0)
		}
	}
	if len(m.chunks)-first != m.nLeaf || g.rows < 0 {
		c.fail()
	}
	m.groups = append(m.groups, g)
}

// sortedBy reads sorting columns and returns the first, if it ascends.
func sortedBy(c *cursor) int {
	n, t := c.list()
	if n > 0 && t != tStruct {
		c.fail()
	}
	first := -1
	for k := 0; k < n && !c.bad; k++ {
		leaf, ascends := -1, false
		for id := 0; ; {
			typ, ok := c.field(&id)
			if !ok {
				break
			}
			switch id {
			case 1:
				leaf = int(c.int(typ))
			case 2:
				ascends = typ == tFalse
				fallthrough
			default:
				c.skip(typ, 0)
			}
		}
		if k == 0 && ascends {
			first = leaf
		}
	}
	return first
}

// chunk reads a ColumnChunk.
func (m *meta) chunk(c *cursor) {
	k := chunkMeta{nulls: -1}
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			break
		}
		switch {
		case id == 1:
			k.elsewhere = true
			c.skip(typ, 0)
		case id == 3 && typ == tStruct:
			k.hasMeta = true
			k.columnMeta(c)
		default:
			c.skip(typ, 0)
		}
	}
	m.chunks = append(m.chunks, k)
}

// columnMeta reads ColumnMetaData.
func (k *chunkMeta) columnMeta(c *cursor) {
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		switch id {
		case 1:
			k.phys = int(c.int(typ))
		case 4:
			k.codec = int(c.int(typ))
		case 5:
			k.values = c.int(typ)
		case 7:
			k.stored = c.int(typ)
		case 9:
			k.data = c.int(typ)
		case 11:
			k.dict = c.int(typ)
		case 12:
			if typ == tStruct {
				k.statistics(c)
				continue
			}
			c.skip(typ, 0)
		default:
			c.skip(typ, 0)
		}
	}
}

// statistics reads Statistics. The deprecated bounds are ignored: their order
// was never defined.
func (k *chunkMeta) statistics(c *cursor) {
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		switch id {
		case 3:
			k.nulls = c.int(typ)
		case 5:
			k.hi = c.binary(typ)
		case 6:
			k.lo = c.binary(typ)
		default:
			c.skip(typ, 0)
		}
	}
}

// check compares the counts of the footer with each other.
func (m *meta) check() error {
	var rows int64
	for i := range m.groups {
		g := &m.groups[i]
		if rows += g.rows; rows < 0 || rows > m.rows {
			return damaged("row groups hold more rows than the file")
		}
	}
	if rows != m.rows {
		return damaged("row groups hold %d rows of %d", rows, m.rows)
	}
	return nil
}

// chunkOf returns the chunk of a leaf in a group and the bytes of its pages.
func (m *meta) chunkOf(group, leaf int) (*chunkMeta, []byte, error) {
	k := &m.chunks[group*m.nLeaf+leaf]
	l := &m.leaves[leaf]
	if !k.hasMeta || k.elsewhere {
		return nil, nil, damaged("column %q has no data in this file", l.name)
	}
	from := k.data
	if k.dict > 0 && k.dict < from {
		from = k.dict
	}
	if from < 4 || k.stored < 0 || from > int64(m.body) || k.stored > int64(m.body)-from {
		return nil, nil, damaged("column %q lies outside of the file", l.name)
	}
	if k.phys != l.phys || k.values != m.groups[group].rows {
		return nil, nil, damaged("column %q: chunk and schema disagree", l.name)
	}
	return k, m.data[from : from+k.stored], nil
}

// find returns the leaf of that name, -1 if there is none.
func (m *meta) find(name string) int {
	return slices.IndexFunc(m.leaves, func(l leaf) bool { return l.top && l.name == name })
}
