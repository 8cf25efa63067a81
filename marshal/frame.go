package marshal

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// Frame is the codec of slices of structs in the JSON that pandas writes by
// default (DataFrame.to_json()) and reads (pandas.read_json): for each column
// an object from the row's label to its value.
//
//	{"Open":{"1483401600000":115.8},"Close":{"1483401600000":116.15}}
//
// Each exported field is a column, called by its frame tag, else its json tag,
// else its name; the tag "-" leaves it out. The labels are those of the field
// tagged `frame:",index"`, else of the first time.Time that is not tagged
// `frame:",column"`, else they are 0, 1, 2...
// Fields may be numbers, strings, bools and times, and pointers to these.
//
// As in pandas, times are milliseconds since 1970 (a finer part is dropped),
// floats are rounded to ten decimals, NaN and the infinities become null, and
// labels must be unique. Null is read as NaN or a nil pointer, and is an error
// for other fields. Times are read in ISO 8601 too, and come back in UTC.
// Unknown columns are ignored; where one is missing, floats are NaN and other
// fields zero.
func Frame[V any]() (Codec[V], error) {
	p, err := planFrame(reflect.TypeFor[V]())
	if err != nil {
		return nil, err
	}
	return frameCodec[V]{p}, nil
}

type frameCodec[V any] struct{ plan *framePlan }

func (frameCodec[V]) Name() string { return "frame" }

func (c frameCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	b, err := c.plan.append(dst, reflect.ValueOf(v))
	if err != nil {
		return dst, fmt.Errorf("marshal: frame: %w", err)
	}
	return b, nil
}

func (c frameCodec[V]) Decode(data []byte) (V, error) {
	var v V
	rows, err := c.plan.decode(data)
	if err != nil {
		return v, fmt.Errorf("marshal: frame: %w", err)
	}
	reflect.ValueOf(&v).Elem().Set(rows)
	return v, nil
}

// append writes rows, a slice of the plan's type.
func (p *framePlan) append(dst []byte, rows reflect.Value) ([]byte, error) {
	labels, err := p.labels(rows)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	for i, col := range p.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, col.name), ':', '{')
		for row := range rows.Len() {
			if row > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, labels[row]...), ':')
			dst = appendCell(dst, rows.Index(row).FieldByIndex(col.index))
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// labels returns the quoted label of each row.
func (p *framePlan) labels(rows reflect.Value) ([]string, error) {
	labels := make([]string, rows.Len())
	seen := make(map[string]bool, rows.Len())
	var buf []byte
	for row := range labels {
		buf = buf[:0]
		if p.label == nil {
			buf = strconv.AppendInt(append(buf, '"'), int64(row), 10)
			buf = append(buf, '"')
		} else {
			f := rows.Index(row).FieldByIndex(p.label.index)
			if f.Type() == timeType && f.IsZero() {
				return nil, fmt.Errorf("the label of row %d is the zero time", row)
			}
			if buf = appendCell(buf, f); buf[0] != '"' {
				buf = append(append([]byte{'"'}, buf...), '"')
			}
		}
		labels[row] = string(buf)
		if seen[labels[row]] {
			return nil, fmt.Errorf("the label %s of row %d occurs twice", labels[row], row)
		}
		seen[labels[row]] = true
	}
	return labels, nil
}

// appendCell writes the value of a field, of a kind that planFrame accepted.
func appendCell(dst []byte, f reflect.Value) []byte {
	if f.Kind() == reflect.Pointer {
		if f.IsNil() {
			return append(dst, "null"...)
		}
		f = f.Elem()
	}
	switch f.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(dst, f.Bool())
	case reflect.String:
		return appendString(dst, f.String())
	case reflect.Float32, reflect.Float64:
		return appendDecimals(dst, f.Float())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, f.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, f.Uint(), 10)
	}
	t := f.Interface().(time.Time)
	if t.IsZero() {
		return append(dst, "null"...) // out of the range of pandas' times
	}
	return strconv.AppendInt(dst, t.UnixMilli(), 10)
}

// appendDecimals writes f with ten decimals, without the zeros at the end but
// with one behind the point, so that pandas reads a column of floats.
func appendDecimals(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	n := len(dst)
	if math.Abs(f) >= 1e15 { // has no decimals; only its significant digits are true
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		return append(dst, ".0"...)
	}
	dst = strconv.AppendFloat(dst, f, 'f', 10, 64)
	for dst[len(dst)-1] == '0' && dst[len(dst)-2] != '.' {
		dst = dst[:len(dst)-1]
	}
	if string(dst[n:]) == "-0.0" {
		return append(dst[:n], "0.0"...)
	}
	return dst
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= 0x20 && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(dst, '"'), s...), '"')
	}
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string always has a JSON form
	}
	return append(dst, b...)
}

var errNotFrame = errors.New("not a mapping of columns to mappings of labels to values")
