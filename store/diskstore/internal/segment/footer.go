package segment

import (
	"fmt"
	"hash/crc32"
	"strconv"
)

// footerInfo is what a footer says.
type footerInfo struct {
	rows   int64
	groups []group
	meta   map[string]uint64
}

// parseFooter reads Parquet's FileMetaData of a file that Writer wrote. Memory
// is bounded by the footer's size.
func parseFooter(footer []byte) (*footerInfo, error) {
	d := &decoder{b: footer}
	f := &footerInfo{meta: map[string]uint64{}}
	d.fields(func(id int, typ byte) bool {
		switch {
		case id == 3 && typ == tI64:
			f.rows = d.int()
		case id == 4 && typ == tList:
			d.listOf(tStruct, func() { f.groups = append(f.groups, parseGroup(d)) })
		case id == 5 && typ == tList:
			d.listOf(tStruct, func() { parseKV(d, f.meta) })
		default:
			return false
		}
		return true
	})
	if d.err != nil {
		return nil, fmt.Errorf("%w: footer: %w", ErrData, d.err)
	}
	if f.meta[metaFormat] > formatVersion {
		return nil, fmt.Errorf("%w: version %d", ErrVersion, f.meta[metaFormat])
	}
	if f.meta[metaFormat] == 0 {
		return nil, fmt.Errorf("%w: not a segment", ErrData)
	}
	return f, nil
}

func parseKV(d *decoder, meta map[string]uint64) {
	var key, value string
	d.fields(func(id int, typ byte) bool {
		switch {
		case id == 1 && typ == tBinary:
			key = string(d.bytes())
		case id == 2 && typ == tBinary:
			value = string(d.bytes())
		default:
			return false
		}
		return true
	})
	if v, err := strconv.ParseUint(value, 10, 64); err == nil {
		meta[key] = v
	}
}

func parseGroup(d *decoder) (g group) {
	d.fields(func(id int, typ byte) bool {
		switch {
		case id == 1 && typ == tList:
			col := 0
			d.listOf(tStruct, func() {
				k := parseChunk(d)
				if col < numColumns {
					g.chunks[col] = k
				}
				col++
			})
		case id == 3 && typ == tI64:
			g.rows = d.int()
		default:
			return false
		}
		return true
	})
	return g
}

func parseChunk(d *decoder) (k chunk) {
	d.fields(func(id int, typ byte) bool {
		if id != 3 || typ != tStruct {
			return false
		}
		d.fields(func(id int, typ byte) bool {
			switch {
			case id == 5 && typ == tI64:
				k.values = d.int()
			case id == 7 && typ == tI64:
				k.size = d.int()
			case id == 9 && typ == tI64:
				k.offset = d.int()
			default:
				return false
			}
			return true
		})
		return true
	})
	return k
}

// page is a data page in the file.
type page struct {
	body   uint64 // offset
	size   uint64
	values int
	ok     bool // its checksum is right
}

// pages returns the pages of a chunk, in order.
func pages(pq []byte, k *chunk) ([]page, error) {
	size := int64(len(pq))
	if k.offset < 4 || k.size < 0 || k.offset > size || k.size > size-k.offset {
		return nil, fmt.Errorf("%w: a column lies outside of the file", ErrData)
	}
	var out []page
	at, end := uint64(k.offset), uint64(k.offset+k.size)
	for at < end {
		d := &decoder{b: pq[at:end]}
		var body, crc, values int64 = -1, 0, -1
		d.fields(func(id int, typ byte) bool {
			switch {
			case id == 3 && typ == tI32:
				body = d.int()
			case id == 4 && typ == tI32:
				crc = d.int()
			case id == 5 && typ == tStruct:
				d.fields(func(id int, typ byte) bool {
					if id != 1 || typ != tI32 {
						return false
					}
					values = d.int()
					return true
				})
			default:
				return false
			}
			return true
		})
		if d.err != nil || body < 0 || body > int64(len(d.b)) || values < 0 || values > body {
			return nil, fmt.Errorf("%w: page header at %d", ErrData, at)
		}
		start := end - uint64(len(d.b))
		p := page{body: start, size: uint64(body), values: int(values)}
		p.ok = crc32.ChecksumIEEE(pq[start:start+p.size]) == uint32(int32(crc))
		out = append(out, p)
		at = start + p.size
	}
	return out, nil
}
