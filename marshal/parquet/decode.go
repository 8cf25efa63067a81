package parquet

import (
	"fmt"
	"reflect"
	"slices"
	"time"
	"unsafe"
)

// decoder reads one file. Its buffers are reused for the next.
type decoder struct {
	p      *plan
	zip    *compressor
	meta   meta
	budget int64 // bytes that may still be taken
	leafOf []int // of each column of the plan; -1: not read
	spans  []span
	direct []directColumn
	arena  arena
	dict   dictionary
}

// span is a range of a group's rows.
type span struct {
	lo, hi int
	filter bool // the rows' times have to be looked at
}

// request is what to read of a file.
type request struct {
	columns  []string // nil: all
	ranged   bool
	from, to time.Time
}

// take accounts for n bytes of memory.
func (d *decoder) take(n int64) error {
	if n < 0 || n > d.budget {
		return errBudget
	}
	d.budget -= n
	return nil
}

// file decodes data.
func (d *decoder) file(data []byte, req request) (reflect.Value, error) {
	defer d.release()
	d.budget = d.p.opts.allowance(len(data))
	if err := d.meta.parse(data, d.p); err != nil {
		return reflect.Value{}, err
	}
	if err := d.choose(req); err != nil {
		return reflect.Value{}, err
	}
	rows, err := d.selectRows(req)
	if err != nil {
		return reflect.Value{}, err
	}
	if int64(rows) > d.budget/int64(d.p.stride) {
		return reflect.Value{}, errBudget
	}
	d.budget -= int64(rows) * int64(d.p.stride)
	out := reflect.MakeSlice(d.p.slice, rows, rows)
	if rows == 0 {
		return out, nil
	}
	kept, err := d.groups(out, req)
	if err != nil {
		return reflect.Value{}, err
	}
	if kept < rows {
		out = out.Slice3(0, kept, kept)
	}
	return out, nil
}

// release drops what the decoder must not keep alive while it is idle.
func (d *decoder) release() {
	d.meta.data, d.arena, d.dict = nil, arena{}, dictionary{}
	clear(d.meta.leaves)
	clear(d.meta.chunks)
	clear(d.direct[:cap(d.direct)])
}

// choose decides which leaf fills which column.
func (d *decoder) choose(req request) error {
	for _, name := range req.columns {
		if _, ok := d.p.index[name]; !ok {
			return fmt.Errorf("parquet: %v has no column %q", d.p.slice, name)
		}
	}
	d.leafOf = d.leafOf[:0]
	found := false
	for i := range d.p.cols {
		c := &d.p.cols[i]
		var leaf int
		wanted := req.columns == nil || slices.Contains(req.columns, c.name) || req.ranged && i == d.p.sortCol
		if i < len(d.meta.leaves) && d.meta.leaves[i].name == c.name && d.meta.leaves[i].top {
			leaf = i
		} else {
			leaf = d.meta.find(c.name)
		}
		if leaf < 0 && slices.Contains(d.meta.grouped, c.name) {
			return fmt.Errorf("parquet: column %q is nested in the file: %w", c.name, ErrMismatch)
		}
		found = found || leaf >= 0
		if leaf >= 0 && wanted {
			if err := c.fits(&d.meta.leaves[leaf]); err != nil {
				return err
			}
		}
		if !wanted {
			leaf = -1
		}
		d.leafOf = append(d.leafOf, leaf)
	}
	if !found {
		return fmt.Errorf("parquet: the file has none of the columns of %v: %w", d.p.slice, ErrMismatch)
	}
	return nil
}

// groups decodes the selected rows of all groups to out and returns how many
// are there in the end.
func (d *decoder) groups(out reflect.Value, req request) (int, error) {
	base, kept := out.UnsafePointer(), 0
	for g := range d.meta.groups {
		s := d.spans[g]
		if s.lo >= s.hi {
			continue
		}
		at := unsafe.Add(base, uintptr(kept)*d.p.stride)
		if err := d.group(g, s, at); err != nil {
			return 0, err
		}
		n := s.hi - s.lo
		if s.filter {
			n = d.filter(out, kept, n, req)
		}
		kept += n
	}
	return kept, nil
}

// group decodes the rows of a span to base.
func (d *decoder) group(g int, s span, base unsafe.Pointer) error {
	d.direct = d.direct[:0]
	for i, leaf := range d.leafOf {
		if leaf < 0 {
			continue
		}
		c, l := &d.p.cols[i], &d.meta.leaves[leaf]
		k, pages, err := d.meta.chunkOf(g, leaf)
		if err != nil {
			return err
		}
		rows := int(d.meta.groups[g].rows)
		body := inPlace(c, l, k, pages, rows)
		if body == nil {
			if body, err = d.unpacked(c, l, k, pages, rows); err != nil {
				return fmt.Errorf("parquet: column %q: %w", c.name, err)
			}
		}
		if body != nil {
			d.direct = append(d.direct, directColumn{c: c, l: l, body: body})
			continue
		}
		if err := d.chunk(c, l, k, pages, rows, s, base); err != nil {
			return fmt.Errorf("parquet: column %q: %w", c.name, err)
		}
	}
	n := s.hi - s.lo
	for lo := 0; lo < n; lo += blockRows {
		rows := min(blockRows, n-lo)
		at := unsafe.Add(base, uintptr(lo)*d.p.stride)
		for i := range d.direct {
			if err := d.direct[i].scatter(unsafe.Add(at, d.direct[i].c.offset), d.p.stride, s.lo+lo, rows); err != nil {
				return err
			}
		}
	}
	return nil
}
