package marshal

// Codec encodes and decodes values of one type. It is safe for concurrent use.
// See the package documentation for what implementations promise.
type Codec[V any] interface {
	// Name is the encoding's name, as rules and tools use it. Two codecs of one
	// name read each other's output.
	Name() string
	// Append appends the encoding of v to dst. On an error it returns dst
	// unchanged.
	Append(dst []byte, v V) ([]byte, error)
	// Decode returns the value that data is the encoding of. It does not modify
	// data, but the value may refer to it: data is read-only from then on.
	Decode(data []byte) (V, error)
}

// KeyedCodec is a codec whose encoding depends on the key that a value is
// stored under. Call Append and Decode of this package, not its methods.
type KeyedCodec[V any] interface {
	Codec[V]
	AppendKeyed(dst []byte, key string, v V) ([]byte, error)
	DecodeKeyed(key string, data []byte) (V, error)
}

// Append appends the encoding of v, which is to be stored under key, to dst.
func Append[V any](c Codec[V], dst []byte, key string, v V) ([]byte, error) {
	if k, ok := c.(KeyedCodec[V]); ok {
		return k.AppendKeyed(dst, key, v)
	}
	return c.Append(dst, v)
}

// Decode returns the value that data, which was stored under key, is the
// encoding of.
func Decode[V any](c Codec[V], key string, data []byte) (V, error) {
	if k, ok := c.(KeyedCodec[V]); ok {
		return k.DecodeKeyed(key, data)
	}
	return c.Decode(data)
}
