package chain

import (
	"reflect"
	"sync"
)

// Sizer is a value that knows its size in memory, in bytes, all that it points
// to included. The memory tier uses it to charge the value against its capacity.
type Sizer interface{ Size() int }

// sampled is how many elements of a slice or map are measured before the rest is
// taken to be alike, and maxDepth how many pointers are followed: the size is an
// estimate for a capacity, and must not cost more than encoding the value would.
const (
	sampled  = 32
	maxDepth = 8
)

// mapEntryOverhead is roughly what Go's map adds to each key and value.
const mapEntryOverhead = 10

// budget is how many parts of one value are looked at in all: a graph that shares
// or closes on itself would otherwise be walked along every path.
const budget = 4096

// sizer measures one value.
type sizer struct{ left int }

// sizeFunc returns the bytes that v refers to, without v's own words.
type sizeFunc func(s *sizer, v reflect.Value, depth int) int64

// sizers caches a sizeFunc per type; nil functions mean that the type refers to
// nothing.
var sizers sync.Map // reflect.Type -> sizeFunc

// sizeOf estimates the memory that *v refers to beyond its own words.
func sizeOf[V any](v *V) int64 {
	switch x := any(v).(type) { // a pointer becomes an interface without an allocation
	case *string:
		return int64(len(*x))
	case *[]byte:
		return int64(cap(*x))
	}
	if s, ok := any(*v).(Sizer); ok {
		return int64(max(s.Size(), 0))
	}
	f := sizerOf(reflect.TypeFor[V]())
	if f == nil {
		return 0
	}
	return f(&sizer{left: budget}, reflect.ValueOf(v).Elem(), 0)
}

func sizerOf(t reflect.Type) sizeFunc {
	if f, ok := sizers.Load(t); ok {
		return f.(sizeFunc)
	}
	var f sizeFunc
	if !flat(t, 0) {
		f = makeSizer(t)
	}
	sizers.Store(t, f)
	return f
}

// flat reports whether values of t refer to nothing.
func flat(t reflect.Type, depth int) bool {
	switch t.Kind() {
	case reflect.Array:
		return depth < maxDepth && flat(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if depth >= maxDepth || !flat(t.Field(i).Type, depth+1) {
				return false
			}
		}
		return true
	case reflect.String, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface,
		reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	default:
		return true
	}
}

func makeSizer(t reflect.Type) sizeFunc {
	switch t.Kind() {
	case reflect.String:
		return func(_ *sizer, v reflect.Value, _ int) int64 { return int64(v.Len()) }
	case reflect.Slice:
		size, isFlat := int64(t.Elem().Size()), flat(t.Elem(), 0)
		return func(s *sizer, v reflect.Value, depth int) int64 {
			n := int64(v.Cap()) * size
			if !isFlat {
				n += sizeElements(s, v, depth)
			}
			return n
		}
	case reflect.Array:
		return sizeElements
	case reflect.Map:
		return sizeMap
	case reflect.Struct:
		return sizeFields
	case reflect.Pointer, reflect.Interface:
		return sizeTarget
	default:
		return nil
	}
}

func sizeAny(s *sizer, v reflect.Value, depth int) int64 {
	if s.left--; depth > maxDepth || s.left < 0 {
		return 0
	}
	if f := sizerOf(v.Type()); f != nil {
		return f(s, v, depth)
	}
	return 0
}

func sizeTarget(s *sizer, v reflect.Value, depth int) int64 {
	if v.IsNil() {
		return 0
	}
	e := v.Elem()
	return int64(e.Type().Size()) + sizeAny(s, e, depth+1)
}

func sizeFields(s *sizer, v reflect.Value, depth int) int64 {
	var n int64
	for i := range v.NumField() {
		n += sizeAny(s, v.Field(i), depth+1)
	}
	return n
}

func sizeElements(s *sizer, v reflect.Value, depth int) int64 {
	var n int64
	count := min(v.Len(), sampled)
	for i := range count {
		n += sizeAny(s, v.Index(i), depth+1)
	}
	if count == 0 {
		return 0
	}
	return n * int64(v.Len()) / int64(count)
}

func sizeMap(s *sizer, v reflect.Value, depth int) int64 {
	entry := int64(v.Type().Key().Size()+v.Type().Elem().Size()) + mapEntryOverhead
	var n, count int64
	for it := v.MapRange(); count < sampled && it.Next(); count++ {
		n += sizeAny(s, it.Key(), depth+1) + sizeAny(s, it.Value(), depth+1)
	}
	if count == 0 {
		return 48 // an empty map's header
	}
	return int64(v.Len())*entry + n*int64(v.Len())/count
}
