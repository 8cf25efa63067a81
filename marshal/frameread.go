package marshal

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// frameReader fills rows from the columns of a document.
type frameReader struct {
	plan *framePlan
	in   frameScanner
	out  reflect.Value // the rows
	size uintptr       // of a row

	// labels are the labels of the rows as the document spells them. pandas
	// repeats them in one order in all columns, so a row is found by counting.
	labels [][]byte
	// last is the last label while all were canonical integers in ascending
	// order, of which none can occur twice. rows finds labels otherwise.
	last int64
	rows map[string]int
	seen []bool // columns
}

// decode returns the rows of data as a slice of the plan's type.
func (p *framePlan) decode(data []byte) (reflect.Value, error) {
	r := &frameReader{
		plan: p, in: frameScanner{data: data}, size: p.slice.Elem().Size(), last: math.MinInt64,
		out: reflect.New(p.slice).Elem(), seen: make([]bool, len(p.columns)),
	}
	r.out.Set(reflect.MakeSlice(p.slice, 0, 0))
	known, foreign, err := r.document()
	if err != nil {
		return r.out, err
	}
	if r.in.next() != 0 || r.in.pos < len(data) {
		return r.out, fmt.Errorf("something follows the value")
	}
	if foreign > 0 && known == 0 {
		return r.out, fmt.Errorf("the data has no column of %v", p.slice.Elem())
	}
	return r.out, nil
}

// document reads all columns and returns how many of them the plan has and lacks.
func (r *frameReader) document() (known, foreign int, err error) {
	if r.in.take('{') != nil {
		return 0, 0, errNotFrame
	}
	for first := true; ; first = false {
		more, err := r.in.more(first)
		if err != nil || !more {
			return known, foreign, err
		}
		label, err := r.in.name()
		if err != nil {
			return known, foreign, err
		}
		name, err := label.string()
		if err != nil {
			return known, foreign, err
		}
		i, ok := r.plan.byName[name]
		if !ok {
			foreign++
			if err := r.in.skip(); err != nil {
				return known, foreign, err
			}
			continue
		}
		if r.seen[i] {
			return known, foreign, fmt.Errorf("column %q occurs twice", name)
		}
		r.seen[i] = true
		known++
		if err := r.column(&r.plan.columns[i]); err != nil {
			return known, foreign, fmt.Errorf("column %q: %w", name, err)
		}
	}
}

func (r *frameReader) column(c *frameColumn) error {
	if r.in.take('{') != nil {
		return errNotFrame
	}
	for at := 0; ; at++ {
		more, err := r.in.more(at == 0)
		if err != nil || !more {
			return err
		}
		label, err := r.in.name()
		if err != nil {
			return err
		}
		row, err := r.row(at, label)
		if err != nil {
			return fmt.Errorf("label %s: %w", label, err)
		}
		value, err := r.in.scalar()
		if err == nil {
			err = value.set(c.typ, r.field(row, c))
		}
		if err != nil {
			return fmt.Errorf("row %s: %w", label, err)
		}
	}
}

// field returns where a column's field of a row is.
func (r *frameReader) field(row int, c *frameColumn) unsafe.Pointer {
	return unsafe.Add(r.out.UnsafePointer(), uintptr(row)*r.size+c.offset)
}

// row returns the row with the label, which may be new, where it is the at-th
// label of its column.
func (r *frameReader) row(at int, label cell) (int, error) {
	if at < len(r.labels) && bytes.Equal(r.labels[at], label.raw) {
		return at, nil
	}
	if r.rows == nil {
		if n, ok := canonical(label.raw); ok && n > r.last {
			r.last = n
			return r.add(label)
		}
		r.index()
	}
	name, err := label.string()
	if err != nil {
		return 0, err
	}
	if i, ok := r.rows[name]; ok {
		return i, nil
	}
	r.rows[name] = len(r.labels)
	return r.add(label)
}

// canonical parses an integer that has no other spelling.
func canonical(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// index makes the map from labels to rows.
func (r *frameReader) index() {
	r.rows = make(map[string]int, len(r.labels))
	for i, raw := range r.labels {
		r.rows[string(raw)] = i // canonical: nothing to unquote
	}
}

// add appends a row.
func (r *frameReader) add(label cell) (int, error) {
	i := len(r.labels)
	r.labels = append(r.labels, label.raw)
	if i == r.out.Cap() {
		r.out.Grow(max(16, i))
	}
	r.out.SetLen(i + 1)
	r.out.Index(i).SetZero()
	for k := range r.plan.columns { // a row that a column lacks is null there
		switch c := &r.plan.columns[k]; c.typ.Kind() {
		case reflect.Float64:
			*(*float64)(r.field(i, c)) = math.NaN()
		case reflect.Float32:
			*(*float32)(r.field(i, c)) = float32(math.NaN())
		}
	}
	l := r.plan.label
	if l == nil {
		return i, nil
	}
	if l.typ != timeType && l.typ.Kind() != reflect.String {
		label.kind = '0'
	}
	return i, label.set(l.typ, r.field(i, l))
}
