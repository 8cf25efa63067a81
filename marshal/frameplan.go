package marshal

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// framePlan is the columns of a slice of structs.
type framePlan struct {
	slice   reflect.Type
	columns []frameColumn
	byName  map[string]int
	label   *frameColumn // nil: rows are numbered
}

type frameColumn struct {
	name   string
	offset uintptr // of the field in a row
	typ    reflect.Type
}

func planFrame(t reflect.Type) (*framePlan, error) {
	if !isTable(t) || t.Elem() == timeType {
		return nil, fmt.Errorf("marshal: frame: %v is not a slice of structs", t)
	}
	p := &framePlan{slice: t, byName: make(map[string]int)}
	var firstTime *frameColumn
	for _, f := range reflect.VisibleFields(t.Elem()) {
		name, option, skip := frameTag(f)
		if skip {
			continue
		}
		offset, ok := offsetIn(t.Elem(), f.Index)
		if !ok {
			return nil, fmt.Errorf("marshal: frame: field %s of %v is reached through an embedded pointer, which may be nil", f.Name, t.Elem())
		}
		if !cellType(f.Type) {
			return nil, fmt.Errorf("marshal: frame: field %s of %v: a column cannot hold %v", f.Name, t.Elem(), f.Type)
		}
		c := frameColumn{name: name, offset: offset, typ: f.Type}
		switch {
		case option == "index" && p.label != nil:
			return nil, fmt.Errorf("marshal: frame: field %s of %v: there is a second index", f.Name, t.Elem())
		case option == "index":
			if f.Type.Kind() == reflect.Pointer || !labelKind(f.Type) {
				return nil, fmt.Errorf("marshal: frame: field %s of %v: an index is a time, a string or an integer", f.Name, t.Elem())
			}
			p.label = &c
			continue
		case option != "" && option != "column":
			return nil, fmt.Errorf("marshal: frame: field %s of %v: unknown option %q in the tag", f.Name, t.Elem(), option)
		}
		if _, dup := p.byName[name]; dup {
			return nil, fmt.Errorf("marshal: frame: field %s of %v: there is a second column %q", f.Name, t.Elem(), name)
		}
		p.byName[name] = len(p.columns)
		p.columns = append(p.columns, c)
		if firstTime == nil && f.Type == timeType && option == "" {
			firstTime = &c
		}
	}
	if p.label == nil && firstTime != nil {
		p.takeLabel(firstTime)
	}
	if len(p.columns) == 0 {
		return nil, fmt.Errorf("marshal: frame: %v has no columns beside the index", t.Elem())
	}
	return p, nil
}

// offsetIn returns the offset of a field in a struct, unless a pointer leads to
// the field.
func offsetIn(t reflect.Type, index []int) (offset uintptr, ok bool) {
	for _, i := range index {
		if t.Kind() != reflect.Struct {
			return 0, false
		}
		f := t.Field(i)
		offset, t = offset+f.Offset, f.Type
	}
	return offset, true
}

// takeLabel makes a column the index.
func (p *framePlan) takeLabel(c *frameColumn) {
	p.label = c
	i := p.byName[c.name]
	p.columns = append(p.columns[:i], p.columns[i+1:]...)
	clear(p.byName)
	for i, c := range p.columns {
		p.byName[c.name] = i
	}
}

// frameTag returns the name and option of a field.
func frameTag(f reflect.StructField) (name, option string, skip bool) {
	if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type != timeType || !f.IsExported() || viaPointer(f) {
		return "", "", true
	}
	tag, ok := f.Tag.Lookup("frame")
	name, option, _ = strings.Cut(tag, ",")
	if !ok || name == "" {
		jsonName, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case jsonName == "-" && !ok:
			return "", "", true
		case jsonName != "" && jsonName != "-":
			name = jsonName
		default:
			name = f.Name
		}
	}
	return name, option, name == "-"
}

// viaPointer reports whether f is a part of the struct at all times: the fields
// of an embedded pointer are not.
func viaPointer(f reflect.StructField) bool {
	return f.Anonymous && f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && f.Type.Elem() != timeType
}

func cellType(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	}
	return labelKind(t)
}

func labelKind(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return t == timeType
}
