package marshal

import "reflect"

// implements reports whether V has the methods of I. With decode, what counts
// is the pointer that newTarget gives.
func implements[V, I any](decode bool) bool {
	t := reflect.TypeFor[V]()
	if t.Kind() == reflect.Interface {
		return false // the methods of what is inside are not those of V
	}
	if decode && t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	return t.Implements(reflect.TypeFor[I]())
}

// newTarget returns a new value of V and the pointer to decode it through: its
// address, or, where V is itself a pointer, V's own new target.
func newTarget[V any]() (v *V, target any) {
	v = new(V)
	if t := reflect.TypeFor[V](); t.Kind() == reflect.Pointer {
		p := reflect.New(t.Elem())
		reflect.ValueOf(v).Elem().Set(p)
		return v, p.Interface()
	}
	return v, v
}

// isNil reports whether v is a nil pointer.
func isNil[V any](v V) bool {
	if reflect.TypeFor[V]().Kind() != reflect.Pointer {
		return false
	}
	return reflect.ValueOf(v).IsNil()
}

// nullable reports whether V has a nil value that "null" can stand for.
func nullable[V any]() bool {
	switch reflect.TypeFor[V]().Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return true
	}
	return false
}

// structOf returns the struct in v, *v or, for a list, its first element, and
// whether there is one that is zero throughout: what a decoder leaves where it
// found no field that it knows.
func zeroStruct(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && zeroStruct(v.Elem())
	case reflect.Slice, reflect.Array:
		return v.Len() > 0 && zeroStruct(v.Index(0))
	case reflect.Struct:
		return v.NumField() > 0 && v.IsZero()
	}
	return false
}

// elemStruct returns the struct type that zeroStruct looks at.
func elemStruct(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	return t
}
