package marshal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// frameReader fills rows from the columns of a document.
type frameReader struct {
	plan *framePlan
	dec  *json.Decoder
	rows map[string]int // label -> row
	out  reflect.Value
	seen map[int]bool // columns
}

// decode returns the rows of data as a slice of the plan's type.
func (p *framePlan) decode(data []byte) (reflect.Value, error) {
	r := &frameReader{
		plan: p, dec: json.NewDecoder(bytes.NewReader(data)),
		rows: make(map[string]int), seen: make(map[int]bool),
		out: reflect.New(p.slice).Elem(),
	}
	r.dec.UseNumber()
	r.out.Set(reflect.MakeSlice(p.slice, 0, 0))
	foreign, err := r.document()
	if err != nil {
		return r.out, err
	}
	if _, err := r.dec.Token(); err != io.EOF {
		return r.out, fmt.Errorf("something follows the value")
	}
	if foreign > 0 && len(r.seen) == 0 {
		return r.out, fmt.Errorf("the data has no column of %v", p.slice.Elem())
	}
	return r.out, nil
}

// document reads all columns and returns how many of them the plan lacks.
func (r *frameReader) document() (foreign int, err error) {
	if err := r.delim('{'); err != nil {
		return 0, err
	}
	for r.dec.More() {
		name, err := r.dec.Token()
		if err != nil {
			return 0, err
		}
		i, known := r.plan.byName[name.(string)]
		if !known {
			foreign++
			var skip json.RawMessage
			if err := r.dec.Decode(&skip); err != nil {
				return 0, err
			}
			continue
		}
		if r.seen[i] {
			return 0, fmt.Errorf("column %q occurs twice", name)
		}
		r.seen[i] = true
		if err := r.column(&r.plan.columns[i]); err != nil {
			return 0, err
		}
	}
	return foreign, r.delim('}')
}

func (r *frameReader) delim(want json.Delim) error {
	t, err := r.dec.Token()
	if err != nil {
		return err
	}
	if t != want {
		return errNotFrame
	}
	return nil
}

func (r *frameReader) column(c *frameColumn) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.dec.More() {
		label, err := r.dec.Token()
		if err != nil {
			return err
		}
		row, err := r.row(label.(string))
		if err != nil {
			return err
		}
		cell, err := r.dec.Token()
		if err != nil {
			return err
		}
		if err := setCell(row.FieldByIndex(c.index), cell); err != nil {
			return fmt.Errorf("column %q, row %q: %w", c.name, label, err)
		}
	}
	return r.delim('}')
}

// row returns the row with the label, which may be new.
func (r *frameReader) row(label string) (reflect.Value, error) {
	if i, ok := r.rows[label]; ok {
		return r.out.Index(i), nil
	}
	i := r.out.Len()
	r.rows[label] = i
	r.out.Set(reflect.Append(r.out, reflect.Zero(r.plan.slice.Elem())))
	row := r.out.Index(i)
	if l := r.plan.label; l != nil {
		var cell json.Token = json.Number(label)
		if l.typ.Kind() == reflect.String || l.typ == timeType {
			cell = label
		}
		if err := setCell(row.FieldByIndex(l.index), cell); err != nil {
			return row, fmt.Errorf("label %q: %w", label, err)
		}
	}
	for i := range r.plan.columns { // a row that a column lacks is null there
		if f := row.FieldByIndex(r.plan.columns[i].index); f.Kind() == reflect.Float64 || f.Kind() == reflect.Float32 {
			f.SetFloat(math.NaN())
		}
	}
	return row, nil
}

// setCell sets a field to a token of the document.
func setCell(f reflect.Value, cell json.Token) error {
	if f.Kind() == reflect.Pointer {
		if cell == nil {
			f.SetZero()
			return nil
		}
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	if f.Type() == timeType {
		return setTime(f, cell)
	}
	switch v := cell.(type) {
	case nil:
		if f.Kind() == reflect.Float64 || f.Kind() == reflect.Float32 {
			f.SetFloat(math.NaN())
			return nil
		}
		return fmt.Errorf("null does not fit %v: use a pointer", f.Type())
	case bool:
		if f.Kind() == reflect.Bool {
			f.SetBool(v)
			return nil
		}
	case string:
		if f.Kind() == reflect.String {
			f.SetString(v)
			return nil
		}
	case json.Number:
		return setNumber(f, string(v))
	}
	return fmt.Errorf("%v does not fit %v", cell, f.Type())
}

// setNumber sets a numeric field. A column of integers with a gap is one of
// floats in pandas, so 3.0 is a 3.
func setNumber(f reflect.Value, s string) error {
	whole := strings.TrimSuffix(s, ".0")
	switch f.Kind() {
	case reflect.Float32, reflect.Float64:
		v, err := strconv.ParseFloat(s, f.Type().Bits())
		if err != nil {
			return fmt.Errorf("%s does not fit %v", s, f.Type())
		}
		f.SetFloat(v)
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v, err := strconv.ParseInt(whole, 10, f.Type().Bits()); err == nil {
			f.SetInt(v)
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v, err := strconv.ParseUint(whole, 10, f.Type().Bits()); err == nil {
			f.SetUint(v)
			return nil
		}
	}
	return fmt.Errorf("%s does not fit %v", s, f.Type())
}

// isoForms are how pandas writes times with date_format="iso", with and without
// a zone, and what others make of it.
var isoForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"}

func setTime(f reflect.Value, cell json.Token) error {
	switch v := cell.(type) {
	case nil:
		f.SetZero() // NaT
		return nil
	case json.Number:
		return setMillis(f, string(v))
	case string:
		if setMillis(f, v) == nil {
			return nil
		}
		for _, form := range isoForms {
			if t, err := time.Parse(form, v); err == nil {
				f.Set(reflect.ValueOf(t.UTC()))
				return nil
			}
		}
	}
	return fmt.Errorf("%v is not a time", cell)
}

func setMillis(f reflect.Value, s string) error {
	ms, err := strconv.ParseInt(strings.TrimSuffix(s, ".0"), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a time in milliseconds", s)
	}
	f.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	return nil
}
