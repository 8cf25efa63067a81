package parquet

import (
	"hash/crc32"
	"unsafe"
)

// pageHeader is a PageHeader with the header of the page's kind.
type pageHeader struct {
	typ, raw, stored int
	crc              uint32
	hasCRC           bool
	n, encoding      int
	defLen, repLen   int // bytes of the levels, version 2
	packed           bool
}

// read reads the header at c and reports whether it is sound by itself.
func (h *pageHeader) read(c *cursor) bool {
	*h = pageHeader{typ: -1, raw: -1, stored: -1, n: -1, packed: true}
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			break
		}
		switch id {
		case 1:
			h.typ = int(c.int(typ))
		case 2:
			h.raw = int(c.int(typ))
		case 3:
			h.stored = int(c.int(typ))
		case 4:
			h.crc, h.hasCRC = uint32(c.int(typ)), true
		case 5, 7:
			h.kind(c, typ, false)
		case 8:
			h.kind(c, typ, true)
		default:
			c.skip(typ, 0)
		}
	}
	return !c.bad && h.typ >= 0 && h.raw >= 0 && h.stored >= 0 && (h.n >= 0 || h.typ == pageIndex)
}

// kind reads DataPageHeader and DictionaryPageHeader, which begin alike, or
// DataPageHeaderV2.
func (h *pageHeader) kind(c *cursor, typ int, v2 bool) {
	if typ != tStruct {
		c.skip(typ, 0)
		return
	}
	for id := 0; ; {
		typ, ok := c.field(&id)
		if !ok {
			return
		}
		switch {
		case id == 1:
			h.n = int(c.int(typ))
		case id == 2 && !v2 || id == 4 && v2:
			h.encoding = int(c.int(typ))
		case id == 5 && v2:
			h.defLen = int(c.int(typ))
		case id == 6 && v2:
			h.repLen = int(c.int(typ))
		case id == 7 && v2:
			h.packed = typ != tFalse
			c.skip(typ, 0)
		default:
			c.skip(typ, 0)
		}
	}
}

// chunk decodes the pages of a column chunk, assigning those values that are in
// the span to the rows that begin at base.
func (d *decoder) chunk(c *column, l *leaf, k *chunkMeta, pages []byte, rows int, s span, base unsafe.Pointer) error {
	t := target{d: d, c: c, l: l, base: unsafe.Add(base, c.offset), span: s}
	d.dict = dictionary{}
	cur := cursor{b: pages}
	for row := 0; row < rows; {
		if row >= s.hi {
			return nil
		}
		var h pageHeader
		if !h.read(&cur) || h.stored > len(pages)-cur.i {
			return damaged("page header does not parse")
		}
		body := pages[cur.i : cur.i+h.stored]
		cur.i += h.stored
		if h.typ == pageIndex {
			continue
		}
		if h.hasCRC && crc32.ChecksumIEEE(body) != h.crc {
			return damaged("page fails its checksum")
		}
		switch h.typ {
		case pageDict:
			if err := d.readDictionary(&h, l, k, body); err != nil {
				return err
			}
			continue
		case pageData, pageDataV2:
		default:
			return damaged("page of unknown kind %d", h.typ)
		}
		if h.n > rows-row {
			return damaged("more values than rows")
		}
		if err := d.dataPage(&t, &h, k, body, row); err != nil {
			return err
		}
		row += h.n
	}
	return nil
}

// unpack decompresses the part of a page that is compressed.
func (d *decoder) unpack(codec int, body []byte, size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	if codec != codecNone {
		if err := d.take(int64(size)); err != nil {
			return nil, err
		}
	}
	return d.zip.decompress(codec, body, size)
}

// dataPage decodes one data page, whose first value is that of row.
func (d *decoder) dataPage(t *target, h *pageHeader, k *chunkMeta, body []byte, row int) error {
	var levels *hybrid
	codec := k.codec
	if h.typ == pageDataV2 {
		if h.defLen < 0 || h.repLen < 0 || h.defLen > len(body)-h.repLen || h.repLen > len(body) || h.raw < h.defLen+h.repLen {
			return damaged("levels exceed their page")
		}
		if t.l.optional {
			levels = &hybrid{b: body[h.repLen : h.repLen+h.defLen], width: 1}
		}
		if !h.packed {
			codec = codecNone
		}
		body = body[h.repLen+h.defLen:]
		h.raw -= h.repLen + h.defLen
	}
	values, err := d.unpack(codec, body, h.raw)
	if err != nil {
		return err
	}
	if h.typ == pageData && t.l.optional {
		if len(values) < 4 || uint64(le.Uint32(values)) > uint64(len(values)-4) {
			return damaged("levels exceed their page")
		}
		n := 4 + int(le.Uint32(values))
		levels = &hybrid{b: values[4:n], width: 1}
		values = values[n:]
	}
	src, err := d.source(t.l, h, values)
	if err != nil {
		return err
	}
	return t.fill(levels, src, row, h.n)
}
