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
	"unsafe"
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
	base, size := rows.UnsafePointer(), p.slice.Elem().Size()
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
			dst = append(labels.append(dst, row), ':')
			dst = appendCell(dst, col.typ, unsafe.Add(base, uintptr(row)*size+col.offset))
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// frameLabels are the quoted labels of all rows, one after the other.
type frameLabels struct {
	text []byte
	ends []int
}

func (l *frameLabels) append(dst []byte, row int) []byte {
	return append(dst, l.of(row)...)
}

func (l *frameLabels) of(row int) []byte {
	start := 0
	if row > 0 {
		start = l.ends[row-1]
	}
	return l.text[start:l.ends[row]]
}

// labels returns the label of each row.
func (p *framePlan) labels(rows reflect.Value) (*frameLabels, error) {
	n := rows.Len()
	l := &frameLabels{text: make([]byte, 0, 16*n), ends: make([]int, 0, n)}
	base, size := rows.UnsafePointer(), p.slice.Elem().Size()
	ascending, last := true, int64(math.MinInt64)
	for row := range n {
		start := len(l.text)
		if p.label == nil {
			l.text = append(strconv.AppendInt(append(l.text, '"'), int64(row), 10), '"')
		} else {
			f := unsafe.Add(base, uintptr(row)*size+p.label.offset)
			if p.label.typ == timeType && (*time.Time)(f).IsZero() {
				return nil, fmt.Errorf("the label of row %d is the zero time", row)
			}
			if p.label.typ.Kind() == reflect.String {
				l.text = appendCell(l.text, p.label.typ, f)
			} else {
				l.text = append(appendCell(append(l.text, '"'), p.label.typ, f), '"')
			}
		}
		l.ends = append(l.ends, len(l.text))
		if ascending {
			// Labels that are numbers and ascend need no map to be unique.
			v, ok := canonical(l.text[start+1 : len(l.text)-1])
			ascending, last = ok && v > last, v
		}
	}
	if !ascending {
		return l, l.unique()
	}
	return l, nil
}

func (l *frameLabels) unique() error {
	seen := make(map[string]bool, len(l.ends))
	for row := range l.ends {
		label := l.of(row)
		if seen[string(label)] {
			return fmt.Errorf("the label %s of row %d occurs twice", label, row)
		}
		seen[string(label)] = true
	}
	return nil
}

// appendCell writes the value at p, of a type that planFrame accepted.
func appendCell(dst []byte, t reflect.Type, p unsafe.Pointer) []byte {
	if t.Kind() == reflect.Pointer {
		if p = *(*unsafe.Pointer)(p); p == nil {
			return append(dst, "null"...)
		}
		t = t.Elem()
	}
	switch k := t.Kind(); k {
	case reflect.Bool:
		return strconv.AppendBool(dst, *(*bool)(p))
	case reflect.String:
		return appendString(dst, *(*string)(p))
	case reflect.Float32:
		return appendDecimals(dst, float64(*(*float32)(p)))
	case reflect.Float64:
		return appendDecimals(dst, *(*float64)(p))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, loadInt(p, bitsOf(k)), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, loadUint(p, bitsOf(k)), 10)
	}
	at := (*time.Time)(p)
	if at.IsZero() {
		return append(dst, "null"...) // out of the range of pandas' times
	}
	return strconv.AppendInt(dst, at.UnixMilli(), 10)
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
