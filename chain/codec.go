package chain

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/store"
)

// codecOf is a codec with the name under which entries record it, or the reason
// why there is none.
type codecOf[V any] struct {
	marshal.Codec[V]
	name   string
	sealed bool // it encrypts
	plain  bool // it is the text codec of a number, a bool or a string: it cannot fail
	err    error
}

// numberRoom is the most bytes that a number or a bool takes as text, but for the
// largest floats.
const numberRoom = 24

// lazily returns what encodes v, and how many bytes that takes, about, if it need
// not be done before the write is acknowledged: nobody waits for the bytes, v
// cannot change and its encoding cannot fail. A value that is set often is then
// encoded once for each flush.
func (c *Cache[V]) lazily(p *plan, v V) (encoder, int64) {
	if !p.memory || len(p.tiers) == 0 || !p.free() {
		return nil, 0
	}
	k := c.codecFor(p)
	if !k.plain || k.err != nil {
		return nil, 0
	}
	if s, ok := any(v).(string); ok {
		return k, int64(len(s))
	}
	return k, numberRoom
}

// encodeObject implements encoder, for plain codecs.
func (k *codecOf[V]) encodeObject(key string, h held) []byte {
	if data, ok := k.borrow(h.(*object[V]).value); ok {
		return data
	}
	data, _ := marshal.Append(k.Codec, make([]byte, 0, numberRoom), key, h.(*object[V]).value)
	return data
}

// borrow returns the bytes of v itself where they are its encoding: those of a
// string, which cannot change, for whoever gets an entry only reads its value.
func (k *codecOf[V]) borrow(v V) ([]byte, bool) {
	if !k.plain {
		return nil, false
	}
	s, ok := any(v).(string)
	if !ok || s == "" { // the bytes of an empty one may be nil
		return nil, false
	}
	return unsafe.Slice(unsafe.StringData(s), len(s)), true
}

// lend is borrow the other way: a string that is the bytes of an entry's value.
func (k *codecOf[V]) lend(data []byte) (v V, ok bool) {
	if s, is := any(&v).(*string); is && k.plain && len(data) > 0 {
		*s = unsafe.String(unsafe.SliceData(data), len(data))
		return v, true
	}
	return v, false
}

// isPlain reports whether V is a number, a bool or a string without methods.
func isPlain[V any]() bool {
	var v V
	switch any(v).(type) {
	case bool, string, float32, float64, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return true
	}
	return false
}

// codecFor returns the codec of p's keys: the cache's own, else the rule's, else
// the default of V, in the compression and encryption that the rule asks for.
func (c *Cache[V]) codecFor(p *plan) *codecOf[V] {
	if x, ok := c.codecs.Load(p); ok {
		return x.(*codecOf[V])
	}
	x, _ := c.codecs.LoadOrStore(p, c.wrap(p, c.codec(p.codec)))
	return x.(*codecOf[V])
}

// wrap returns base inside what p's rule puts around it. A view passes on what
// caches wrapped.
func (c *Cache[V]) wrap(p *plan, base *codecOf[V]) *codecOf[V] {
	if base.err != nil || base.name == anyCodec || p.compress == "" && p.keys == nil {
		return base
	}
	k := &codecOf[V]{sealed: p.keys != nil}
	k.Codec, k.err = marshal.Compressed(base.Codec, p.compress)
	if k.err == nil && k.sealed {
		k.Codec, k.err = marshal.Encrypt(k.Codec, p.keys)
	}
	if k.err == nil {
		k.name = base.name + strings.TrimPrefix(k.Name(), base.Name())
	}
	return k
}

// codec returns the codec called name; "" is the default.
func (c *Cache[V]) codec(name string) *codecOf[V] {
	if c.opts.Codec != nil {
		name = ""
	}
	if x, ok := c.codecs.Load(name); ok {
		return x.(*codecOf[V])
	}
	k := &codecOf[V]{Codec: c.opts.Codec}
	switch {
	case k.Codec != nil:
	case name == "":
		k.Codec, k.err = marshal.For[V]()
	default:
		k.Codec, k.err = marshal.Named[V](name)
	}
	if k.err == nil {
		k.name = k.Codec.Name() + fingerprint(k.Codec.Name(), c.typ)
		k.plain = c.opts.Codec == nil && k.Codec.Name() == "text" && isPlain[V]()
	}
	x, _ := c.codecs.LoadOrStore(name, k)
	return x.(*codecOf[V])
}

// encode returns an entry with the encoded value.
func (c *Cache[V]) encode(p *plan, key string, v V) (e store.Entry, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("strata: encode key %q: codec panicked: %v", key, r)
		}
	}()
	k := c.codecFor(p)
	if k.err != nil {
		return store.Entry{}, fmt.Errorf("strata: key %q of rule %q: %w", key, p.name, k.err)
	}
	if data, ok := k.borrow(v); ok {
		return store.Entry{Value: data, Codec: k.name}, nil
	}
	data, err := marshal.Append(k.Codec, nil, key, v)
	if err != nil {
		return store.Entry{}, fmt.Errorf("strata: encode key %q as %s: %w", key, k.Name(), err)
	}
	if data == nil {
		data = []byte{}
	}
	return store.Entry{Value: data, Codec: k.name}, nil
}

// decode returns the value of key's entry. Entries that name another codec are
// decoded by that, where it exists for V; entries of another type are an error,
// never a zero value. Where the rule encrypts, only what was encrypted is a
// value: whoever can write to the tier must not be able to choose it.
func (c *Cache[V]) decode(p *plan, key string, e *store.Entry) (v V, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("strata: decoder panicked: %v", r)
		}
	}()
	k := c.codecFor(p)
	if k.err != nil {
		return v, k.err
	}
	if e.Codec != "" && e.Codec != k.name && k.name != anyCodec {
		other, _, _ := strings.Cut(e.Codec, "+")
		if k.sealed {
			return v, fmt.Errorf("strata: stored as %s, wanted %s", e.Codec, k.name)
		}
		if c.opts.Codec == nil && other != k.Name() {
			k = c.codec(other)
		}
		if k.err != nil {
			return v, k.err
		}
		if e.Codec != k.name {
			return v, fmt.Errorf("strata: stored as %s, wanted %s", e.Codec, k.name)
		}
	}
	if v, ok := k.lend(e.Value); ok {
		return v, nil
	}
	return marshal.Decode(k.Codec, key, e.Value)
}

// fingerprint returns "+" and a hash of the structure of t, for codecs that
// would decode another struct's bytes into zero fields without complaint. It is
// empty for types without structs, and for codecs that check their schema.
func fingerprint(codec string, t reflect.Type) string {
	switch codec {
	case "json", "cbor", "msgpack":
	default:
		return ""
	}
	var b strings.Builder
	if !describe(&b, t, map[reflect.Type]bool{}) {
		return ""
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(b.String()))
	return "+" + strconv.FormatUint(uint64(h.Sum32()), 16)
}

// describe writes the structure of t: kinds, and the names and tags of fields,
// but no type names, so that a type may be renamed or moved. It reports whether
// there is a struct in it.
func describe(b *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) bool {
	b.WriteString(t.Kind().String())
	if seen[t] {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return describe(b, t.Elem(), seen)
	case reflect.Map:
		key := describe(b, t.Key(), seen)
		return describe(b, t.Elem(), seen) || key
	case reflect.Struct:
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous {
				continue
			}
			b.WriteString(";" + f.Name + " " + string(f.Tag) + " ")
			describe(b, f.Type, seen)
		}
		return true
	default:
		return false
	}
}
