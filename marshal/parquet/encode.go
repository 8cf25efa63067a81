package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"

	"github.com/stratacache/strata/store"
)

// blockRows is how many rows are copied at a time, column after column: few
// enough that the rows remain in the nearest cache meanwhile.
const blockRows = 512

// errFiner says that a column needs nanoseconds; the file is then begun anew.
var errFiner = errors.New("parquet: times finer than a microsecond")

// encoder writes one file. Its buffers are reused for the next.
type encoder struct {
	p      *plan
	zip    *compressor
	dst    []byte
	start  int // where the file begins in dst
	auto   unit
	stats  []colStats
	groups []byte // rendered RowGroups
	nGroup int
	raw    int64 // bytes of all pages before compression

	values, page, present []byte
}

// file appends the file of n rows at base to dst.
func (e *encoder) file(dst []byte, base unsafe.Pointer, n int) ([]byte, error) {
	defer func() { clear(e.stats) }() // they hold strings of the rows
	e.start = len(dst)
	given := dst
	dst = slices.Grow(dst, e.p.estimate(n))
	for _, auto := range [...]unit{unitMicros, unitNanos} {
		e.dst, e.auto, e.groups, e.nGroup, e.raw = dst[:e.start], auto, e.groups[:0], 0, 0
		e.dst = append(e.dst, "PAR1"...)
		err := e.rows(base, n)
		if err == nil {
			e.footer(n)
			out := e.dst
			e.dst = nil
			if e.p.need(n, e.raw) > e.p.opts.allowance(len(out)-e.start) {
				return given, errBudget
			}
			return out, nil
		}
		if !errors.Is(err, errFiner) {
			e.dst = nil
			return given, err
		}
	}
	return given, errFiner // not reached: nanoseconds are the finest
}

// estimate guesses the size of a file of n rows, from above for most.
func (p *plan) estimate(n int) int {
	row, fixed := 0, 0
	for i := range p.cols {
		c := &p.cols[i]
		row += max(c.size, 1)
		if c.phys == physBytes {
			row += 11
		}
		fixed += 150 + 2*len(c.name)
	}
	return n*row + (1+n/p.opts.RowGroupRows)*fixed + 100
}

// need is the memory that decoding n rows takes at most, with pages of raw bytes:
// the rows and what their pointers point to, the pages and a copy of their
// strings or of what they unpack to.
func (p *plan) need(n int, raw int64) int64 {
	row := int64(p.stride)
	for i := range p.cols {
		c := &p.cols[i]
		row += int64(c.size)
		if c.ptr {
			row += int64(c.elem.Size())
		}
	}
	return int64(n+slabValues)*row + 2*raw
}

func (e *encoder) rows(base unsafe.Pointer, n int) error {
	for lo := 0; lo < n; lo += e.p.opts.RowGroupRows {
		rows := min(e.p.opts.RowGroupRows, n-lo)
		if err := e.group(unsafe.Add(base, uintptr(lo)*e.p.stride), rows); err != nil {
			return err
		}
	}
	return nil
}

// group writes one row group. Columns that need no more than a copy get their
// place first and are filled together, block by block.
func (e *encoder) group(base unsafe.Pointer, n int) error {
	inPlace := e.p.opts.Compression == Uncompressed && e.p.opts.Encoding == Plain && !e.p.opts.Checksums
	e.stats = slices.Grow(e.stats[:0], len(e.p.cols))[:len(e.p.cols)]
	for i := range e.p.cols {
		c, s := &e.p.cols[i], &e.stats[i]
		s.reset()
		s.at = len(e.dst)
		if !inPlace || !c.inPlace(n) {
			if err := e.chunk(c, s, base, n); err != nil {
				return err
			}
			continue
		}
		size := n * c.size
		if size > math.MaxInt32 {
			return tooLarge(c)
		}
		e.dst = appendPageHeader(e.dst, n, encPlain, size, size, nil)
		s.body = len(e.dst)
		e.dst = slices.Grow(e.dst, size)[:s.body+size]
		s.raw, s.stored = len(e.dst)-s.at, len(e.dst)-s.at
	}
	if inPlace {
		e.fill(base, n)
	}
	if err := e.checkTimes(); err != nil {
		return err
	}
	e.appendGroup(n)
	return nil
}

// inPlace reports whether the column's pages in groups of n rows are an array
// of values and nothing else.
func (c *column) inPlace(n int) bool { return c.direct() && c.layoutOf(n).encoding == encPlain }

// fill copies the direct columns of n rows to their places.
func (e *encoder) fill(base unsafe.Pointer, n int) {
	for lo := 0; lo < n; lo += blockRows {
		rows := min(blockRows, n-lo)
		block := unsafe.Add(base, uintptr(lo)*e.p.stride)
		for i := range e.p.cols {
			c, s := &e.p.cols[i], &e.stats[i]
			if s.body == 0 {
				continue
			}
			body := e.dst[s.body+lo*c.size:][:rows*c.size]
			e.gather(body, c, s, unsafe.Add(block, c.offset), rows)
		}
	}
}

// checkTimes reports columns whose times do not fit their resolution.
func (e *encoder) checkTimes() error {
	for i := range e.stats {
		s, c := &e.stats[i], &e.p.cols[i]
		if s.outside {
			return fmt.Errorf("parquet: column %q: a time is out of the range of its resolution", c.name)
		}
		if s.finer && c.unit == unitNone && e.auto == unitMicros {
			return errFiner
		}
	}
	return nil
}

// chunk writes the page of a column that is more than a copy of the values.
func (e *encoder) chunk(c *column, s *colStats, base unsafe.Pointer, n int) error {
	base = unsafe.Add(base, c.offset)
	values, err := e.plainValues(c, s, base, n)
	if err != nil {
		return err
	}
	e.page = e.page[:0]
	if c.optional {
		e.page = appendLevels(e.page, e.present, n, s.nulls)
	}
	encoding := c.layoutOf(n).encoding
	if encoding == encDelta {
		e.page = appendDelta(e.page, values, c.size)
	} else {
		e.page = append(e.page, values...)
	}
	if len(e.page) > math.MaxInt32 {
		return tooLarge(c)
	}
	body, err := e.zip.compress(e.p.opts.Compression, e.page)
	if err != nil {
		return err
	}
	var crc *uint32
	if e.p.opts.Checksums {
		sum := crc32.ChecksumIEEE(body)
		crc = &sum
	}
	e.dst = appendPageHeader(e.dst, n, encoding, len(e.page), len(body), crc)
	head := len(e.dst) - s.at
	e.dst = append(e.dst, body...)
	s.raw, s.stored = head+len(e.page), head+len(body)
	return nil
}

func tooLarge(c *column) error {
	return fmt.Errorf("parquet: column %q: more than 2 GiB in a row group: %w", c.name, store.ErrTooLarge)
}

// plainValues returns the PLAIN form of the column's values that are not null,
// and leaves in e.present a bit for each row, where the column is optional.
func (e *encoder) plainValues(c *column, s *colStats, base unsafe.Pointer, n int) ([]byte, error) {
	if c.direct() {
		e.values = slices.Grow(e.values[:0], n*c.size)[:n*c.size]
		e.gather(e.values, c, s, base, n)
		return e.values, nil
	}
	e.values = e.values[:0]
	e.present = append(e.present[:0], make([]byte, (n+7)/8)...)
	count := 0
	for i := range n {
		p := unsafe.Add(base, uintptr(i)*e.p.stride)
		if p = c.value(p); p == nil {
			s.nulls++
			continue
		}
		e.present[i/8] |= 1 << (i % 8)
		if err := e.appendValue(c, s, p, count); err != nil {
			return nil, fmt.Errorf("parquet: column %q, row %d: %w", c.name, i, err)
		}
		count++
	}
	return e.values, nil
}

// value returns where the value of the field at p is; nil for a null.
func (c *column) value(p unsafe.Pointer) unsafe.Pointer {
	switch {
	case c.ptr:
		return *(*unsafe.Pointer)(p)
	case c.optional && c.isZero(p):
		return nil
	}
	return p
}

// appendPageHeader appends the header of a data page of version 1.
func appendPageHeader(b []byte, n, encoding, raw, stored int, crc *uint32) []byte {
	b = fieldInt(b, 1, tI32, pageData)
	b = fieldInt(b, 1, tI32, int64(raw))
	b = fieldInt(b, 1, tI32, int64(stored))
	if crc != nil {
		b = fieldInt(b, 1, tI32, int64(int32(*crc)))
		b = field(b, 1, tStruct)
	} else {
		b = field(b, 2, tStruct)
	}
	b = fieldInt(b, 1, tI32, int64(n))
	b = fieldInt(b, 1, tI32, int64(encoding))
	b = fieldInt(b, 1, tI32, encRLE)
	b = fieldInt(b, 1, tI32, encRLE)
	return append(b, tStop, tStop)
}

// appendGroup renders the metadata of a row group of n rows.
func (e *encoder) appendGroup(n int) {
	b := putList(field(e.groups, 1, tList), len(e.p.cols), tStruct)
	var raw int64
	for i := range e.p.cols {
		s := &e.stats[i]
		b = e.appendChunk(b, &e.p.cols[i], s, n)
		raw += int64(s.raw)
	}
	e.raw += raw
	b = fieldInt(b, 1, tI64, raw)
	b = fieldInt(b, 1, tI64, int64(n))
	if i := e.p.sortCol; i >= 0 && e.stats[i].sorted && !e.p.cols[i].optional {
		b = putList(field(b, 1, tList), 1, tStruct)
		b = fieldInt(b, 1, tI32, int64(i))
		b = append(field(field(b, 1, tFalse), 1, tFalse), tStop)
	}
	b = append(b, tStop)
	e.groups = b
	e.nGroup++
}

// appendChunk renders a ColumnChunk.
func (e *encoder) appendChunk(b []byte, c *column, s *colStats, n int) []byte {
	b = fieldInt(b, 2, tI64, 0)
	b = append(field(b, 1, tStruct), c.layoutOf(n).head...)
	b = fieldInt(b, 1, tI64, int64(n))
	b = fieldInt(b, 1, tI64, int64(s.raw))
	b = fieldInt(b, 1, tI64, int64(s.stored))
	b = fieldInt(b, 2, tI64, int64(s.at-e.start))
	b = field(b, 3, tStruct)
	b = s.append(b, c, n)
	return append(b, tStop, tStop, tStop)
}

// footer ends the file.
func (e *encoder) footer(n int) {
	at := len(e.dst)
	schema := e.p.schema[0]
	if e.auto == unitNanos {
		schema = e.p.schema[1]
	}
	b := e.dst
	b = append(b, schema...)
	b = fieldInt(b, 1, tI64, int64(n))
	b = putList(field(b, 1, tList), e.nGroup, tStruct)
	b = append(b, e.groups...)
	b = fieldBytes(b, 2, createdBy)
	b = putList(field(b, 1, tList), len(e.p.cols), tStruct)
	for range e.p.cols {
		b = append(field(b, 1, tStruct), tStop, tStop) // TypeDefinedOrder
	}
	b = append(b, tStop)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)-at))
	b = append(b, "PAR1"...)
	e.dst = b
}
