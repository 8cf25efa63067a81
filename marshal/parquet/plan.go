package parquet

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// kind is the Go type of a column, as encoding and decoding see it.
type kind uint8

const (
	kBool kind = iota
	kInt8
	kInt16
	kInt32
	kInt64
	kUint8
	kUint16
	kUint32
	kUint64
	kFloat32
	kFloat64
	kString
	kBytes
	kTime
)

// Physical types of Parquet.
const (
	physBool  = 0
	physInt32 = 1
	physInt64 = 2
	physInt96 = 3
	physFloat = 4
	physDoubl = 5
	physBytes = 6
	physFixed = 7
)

// unit is the resolution of a timestamp column.
type unit uint8

const (
	unitNone unit = iota
	unitMillis
	unitMicros
	unitNanos
)

// column is one field of the struct: where it is and how it is stored.
type column struct {
	name     string
	offset   uintptr
	kind     kind
	ptr      bool // the field is a pointer; nil is null
	optional bool // null is possible: ptr, or the zero value is null
	// unit is the declared resolution; unitNone for a time.Time means that
	// each file chooses between micro- and nanoseconds.
	unit unit
	elem reflect.Type // what a pointer field points to
	phys int
	size int // bytes of a PLAIN value; 0: variable or bits
	// large and small are how the column is stored in row groups of more than
	// smallRows and of fewer.
	large, small layout
}

// layout is an encoding with the constant beginning of the ColumnMetaData of
// chunks that have it.
type layout struct {
	encoding int
	head     []byte
}

// plan is how one struct type maps to columns. It is made once per Codec and
// never changes.
type plan struct {
	slice   reflect.Type // []Struct, perhaps named
	row     reflect.Type
	stride  uintptr
	cols    []column
	index   map[string]int
	sortCol int // the column that Range selects by; -1: none
	// schema is the constant beginning of the footer, up to and including the
	// schema; [1] is the variant where columns of automatic resolution hold
	// nanoseconds.
	schema [2][]byte
	leaves [2][]leaf // what a reader makes of schema
	opts   Options
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// newPlan derives the columns of slice, which must be a slice of structs.
func newPlan(slice reflect.Type, opts Options) (*plan, error) {
	if slice.Kind() != reflect.Slice || slice.Elem().Kind() != reflect.Struct || slice.Elem() == timeType {
		return nil, fmt.Errorf("parquet: %v is not a slice of structs", slice)
	}
	p := &plan{slice: slice, row: slice.Elem(), stride: slice.Elem().Size(), opts: opts, sortCol: -1}
	if err := p.addFields(p.row, 0); err != nil {
		return nil, fmt.Errorf("parquet: %v: %w", slice, err)
	}
	if len(p.cols) == 0 {
		return nil, fmt.Errorf("parquet: %v has no exported field to store", slice)
	}
	p.index = make(map[string]int, len(p.cols))
	for i := range p.cols {
		name := p.cols[i].name
		if _, twice := p.index[name]; twice {
			return nil, fmt.Errorf("parquet: %v: two fields are named %q", slice, name)
		}
		p.index[name] = i
		if p.sortCol < 0 && opts.TimeColumn == "" && p.cols[i].kind == kTime {
			p.sortCol = i
		}
	}
	if opts.TimeColumn != "" {
		i, ok := p.index[opts.TimeColumn]
		if !ok || p.cols[i].kind != kTime {
			return nil, fmt.Errorf("parquet: Options.TimeColumn: %v has no time.Time column %q", slice, opts.TimeColumn)
		}
		p.sortCol = i
	}
	p.prepare()
	return p, nil
}

// addFields appends the columns of struct type t, which lies at offset base of
// the row. Embedded structs are part of the row, as in encoding/json.
func (p *plan) addFields(t reflect.Type, base uintptr) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, err := parseTag(f)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if tag.skip {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type != timeType && !tag.named {
			if err := p.addFields(f.Type, base+f.Offset); err != nil {
				return err
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		c, err := newColumn(f.Type, tag)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		c.offset = base + f.Offset
		p.cols = append(p.cols, c)
	}
	return nil
}

// tag is what the struct tags of a field say.
type tag struct {
	name     string
	named    bool
	skip     bool
	optional bool
	unit     unit
}

// parseTag reads the parquet tag of f, or for the name alone its json tag.
func parseTag(f reflect.StructField) (tag, error) {
	t := tag{name: f.Name}
	text, ok := f.Tag.Lookup("parquet")
	if !ok {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		t.skip = f.Tag.Get("json") == "-"
		if name != "" {
			t.name, t.named = name, true
		}
		return t, nil
	}
	if text == "-" {
		t.skip = true
		return t, nil
	}
	name, options, _ := strings.Cut(text, ",")
	if name != "" {
		t.name, t.named = name, true
	}
	for opt := range strings.SplitSeq(options, ",") {
		switch opt = strings.TrimSpace(opt); opt {
		case "", "snappy", "zstd", "gzip", "uncompressed", "plain", "delta", "dict", "split":
			// parquet-go's storage hints: Options decide here.
		case "optional":
			t.optional = true
		case "timestamp", "timestamp(millisecond)":
			t.unit = unitMillis
		case "timestamp(microsecond)":
			t.unit = unitMicros
		case "timestamp(nanosecond)":
			t.unit = unitNanos
		default:
			return t, fmt.Errorf("tag option %q is not supported", opt)
		}
	}
	return t, nil
}

var errFieldType = errors.New("type is not supported: want a bool, integer, float, string, []byte, time.Time or a pointer to one")

// newColumn describes a field of type t.
func newColumn(t reflect.Type, tag tag) (column, error) {
	c := column{name: tag.name, optional: tag.optional, unit: tag.unit}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
		c.ptr, c.optional, c.elem = true, true, t
	}
	k, ok := kindOf(t)
	if !ok {
		return c, fmt.Errorf("%v: %w", t, errFieldType)
	}
	c.kind = k
	if c.unit != unitNone && k != kTime && k != kInt64 {
		return c, fmt.Errorf("%v cannot be a timestamp", t)
	}
	c.phys, c.size = physOf(k)
	return c, nil
}

func kindOf(t reflect.Type) (kind, bool) {
	switch {
	case t == timeType:
		return kTime, true
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && t.ConvertibleTo(bytesType):
		return kBytes, true
	}
	i := slices.Index(goKinds[:], t.Kind())
	switch {
	case i >= 0:
		return kind(i), true
	case t.Kind() == reflect.Int && unsafe.Sizeof(int(0)) == 8:
		return kInt64, true
	case t.Kind() == reflect.Uint && unsafe.Sizeof(uint(0)) == 8:
		return kUint64, true
	case t.Kind() == reflect.Int:
		return kInt32, true
	case t.Kind() == reflect.Uint:
		return kUint32, true
	}
	return 0, false
}

// goKinds is indexed by kind.
var goKinds = [...]reflect.Kind{
	kBool: reflect.Bool,
	kInt8: reflect.Int8, kInt16: reflect.Int16, kInt32: reflect.Int32, kInt64: reflect.Int64,
	kUint8: reflect.Uint8, kUint16: reflect.Uint16, kUint32: reflect.Uint32, kUint64: reflect.Uint64,
	kFloat32: reflect.Float32, kFloat64: reflect.Float64, kString: reflect.String,
}

// physOf returns the physical type that stores k and the size of a value.
func physOf(k kind) (phys, size int) {
	switch k {
	case kBool:
		return physBool, 0
	case kInt64, kUint64, kTime:
		return physInt64, 8
	case kFloat32:
		return physFloat, 4
	case kFloat64:
		return physDoubl, 8
	case kString, kBytes:
		return physBytes, 0
	}
	return physInt32, 4
}

// direct reports whether every page of the column is an array of values without
// levels, as far as the type is concerned.
func (c *column) direct() bool { return !c.optional && c.size > 0 }
