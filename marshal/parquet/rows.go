package parquet

import (
	"fmt"
	"reflect"
	"sort"
	"time"
	"unsafe"
)

// selectRows decides for each group which rows to decode and returns how many
// they are.
func (d *decoder) selectRows(req request) (int, error) {
	d.spans = d.spans[:0]
	if req.ranged {
		if d.p.sortCol < 0 {
			return 0, fmt.Errorf("parquet: %v has no time column to select by", d.p.slice)
		}
		if d.leafOf[d.p.sortCol] < 0 {
			return 0, fmt.Errorf("parquet: the file has no column %q to select by: %w", d.p.cols[d.p.sortCol].name, ErrMismatch)
		}
	}
	total := 0
	for g := range d.meta.groups {
		s := span{hi: int(d.meta.groups[g].rows)}
		if req.ranged {
			s = d.spanOf(g, req)
		}
		d.spans = append(d.spans, s)
		total += max(0, s.hi-s.lo)
	}
	return total, nil
}

// spanOf returns which rows of group g may lie between the times of req.
func (d *decoder) spanOf(g int, req request) span {
	rows := int(d.meta.groups[g].rows)
	leaf := d.leafOf[d.p.sortCol]
	l := &d.meta.leaves[leaf]
	all := span{hi: rows, filter: true}
	k, pages, err := d.meta.chunkOf(g, leaf)
	if err != nil || l.class != classTime || l.phys != physInt64 {
		return all // and the error comes when the rows are read
	}
	from, to := fromTime(req.from, l.unit), fromTime(req.to, l.unit)
	if len(k.lo) == 8 && len(k.hi) == 8 {
		lo, hi := int64(le.Uint64(k.lo)), int64(le.Uint64(k.hi))
		if hi < from || lo >= to {
			return span{}
		}
		if lo >= from && hi < to && k.nulls == 0 {
			return span{hi: rows}
		}
	}
	body := inPlace(&d.p.cols[d.p.sortCol], l, k, pages, rows)
	if body == nil || d.meta.groups[g].sortedBy != leaf {
		return all
	}
	after := func(t int64) int {
		return sort.Search(rows, func(i int) bool { return int64(le.Uint64(body[i*8:])) >= t })
	}
	return span{lo: after(from), hi: after(to)}
}

// filter keeps those rows of out from at on, n of them, whose time is in the
// range, in their order, clears the rest and returns the number kept.
func (d *decoder) filter(out reflect.Value, at, n int, req request) int {
	c := &d.p.cols[d.p.sortCol]
	base := out.UnsafePointer()
	kept := at
	for i := at; i < at+n; i++ {
		v := c.value(unsafe.Add(base, uintptr(i)*d.p.stride+c.offset))
		if v == nil {
			continue
		}
		if t := *(*time.Time)(v); t.Before(req.from) || !t.Before(req.to) {
			continue
		}
		if kept != i {
			out.Index(kept).Set(out.Index(i))
		}
		kept++
	}
	out.Slice(kept, at+n).Clear()
	return kept - at
}
