package codec

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5" //nolint:depguard // what is compared with
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/marshal/proto"
)

// Value is something to encode, and the codecs that do.
type Value struct {
	Name     string
	Subjects []Subject
}

// Subject is a codec with a value of its own.
type Subject struct {
	Name string
	// Append appends the encoded value to dst.
	Append func(dst []byte) ([]byte, error)
	// Decode decodes data; Check also compares the result with the value.
	Decode func(data []byte) error
	Check  func(data []byte) (same bool, err error)
}

// Base is the subject that ratios are taken to.
const Base = "encoding/json"

// Values returns all values with their subjects, the libraries first.
func Values() ([]Value, error) {
	gob.Register([]interface{}{}) // gob wants to know what an interface may hold
	figures, err := structpb.NewStruct(info())
	m := maker{err: err}
	price := Price(169.2345)
	number := append(peers(price), ours(&m, price)...)
	number = append(number,
		subject(&m, with(marshal.Text[Price]()), price),
		subject(&m, with(marshal.Bytes[[]byte](), nil), []byte("169.2345")),
		message(wrapperspb.Double(float64(price))))
	document := append(peers(info()), ours(&m, info())...)
	document = append(document, message(figures), zipped(&m, marshal.JSON[Info](), info(), "s2"),
		zipped(&m, marshal.JSON[Info](), info(), "zstd"), sealed(&m, marshal.JSON[Info](), info()))
	return []Value{
		{"a price", number},
		{"an info map", document},
		{"252 bars", tables(&m, bars(252))},
		{"100,000 bars", tables(&m, bars(100_000))},
	}, m.err
}

// maker keeps the first error of the constructors.
type maker struct{ err error }

// made is what a constructor returned.
type made[V any] struct {
	codec marshal.Codec[V]
	err   error
}

func with[V any](c marshal.Codec[V], err error) made[V] { return made[V]{c, err} }

func subject[V any](m *maker, c made[V], v V) Subject {
	if c.err != nil {
		m.err = c.err
		return Subject{}
	}
	return of("strata "+c.codec.Name(), v,
		func(dst []byte, v V) ([]byte, error) { return marshal.Append(c.codec, dst, "key", v) },
		func(data []byte) (V, error) { return marshal.Decode(c.codec, "key", data) })
}

// of makes a subject of two functions.
func of[V any](name string, v V, encode func([]byte, V) ([]byte, error), decode func([]byte) (V, error)) Subject {
	return Subject{
		Name:   name,
		Append: func(dst []byte) ([]byte, error) { return encode(dst, v) },
		Decode: func(data []byte) error {
			_, err := decode(data)
			return err
		},
		Check: func(data []byte) (bool, error) {
			got, err := decode(data)
			return same(got, v), err
		},
	}
}

// same is reflect.DeepEqual but for messages, which hold caches, and for times,
// which msgpack returns in the local zone.
func same(a, b any) bool {
	switch a := a.(type) {
	case pb.Message:
		return pb.Equal(a, b.(pb.Message))
	case Bars:
		return slices.EqualFunc(a, b.(Bars), func(x, y Bar) bool {
			equal := x.Date.Equal(y.Date)
			x.Date, y.Date = time.Time{}, time.Time{}
			return equal && x == y
		})
	}
	return reflect.DeepEqual(a, b)
}

// peers are the libraries that strata is compared with.
func peers[V any](v V) []Subject {
	return []Subject{
		of(Base, v,
			func(dst []byte, v V) ([]byte, error) {
				b, err := json.Marshal(v)
				return append(dst, b...), err
			},
			func(data []byte) (v V, err error) {
				err = json.Unmarshal(data, &v)
				return v, err
			}),
		of("encoding/gob", v,
			func(dst []byte, v V) ([]byte, error) {
				buf := bytes.NewBuffer(dst)
				err := gob.NewEncoder(buf).Encode(&v)
				return buf.Bytes(), err
			},
			func(data []byte) (v V, err error) {
				err = gob.NewDecoder(bytes.NewReader(data)).Decode(&v)
				return v, err
			}),
		of("vmihailenco/msgpack", v,
			func(dst []byte, v V) ([]byte, error) {
				buf := bytes.NewBuffer(dst)
				err := msgpack.NewEncoder(buf).Encode(&v)
				return buf.Bytes(), err
			},
			func(data []byte) (v V, err error) {
				err = msgpack.Unmarshal(data, &v)
				return v, err
			}),
	}
}

// ours are the codecs that any value has.
func ours[V any](m *maker, v V) []Subject {
	return []Subject{
		subject(m, with(marshal.JSON[V](), nil), v),
		subject(m, with(marshal.CBOR[V](), nil), v),
		subject(m, with(marshal.MsgPack[V]()), v),
	}
}

func tables(m *maker, rows Bars) []Subject {
	s := append(peers(rows), ours(m, rows)...)
	columns, err := marshal.Parquet[Bars]()
	if err != nil {
		m.err = err
		return s
	}
	return append(s, subject(m, with(marshal.Frame[Bars]()), rows), subject(m, with(columns, nil), rows),
		zipped(m, columns, rows, "s2"), zipped(m, columns, rows, "zstd"))
}

func message[M pb.Message](v M) Subject { return subject(&maker{}, with(proto.New[M](), nil), v) }

func zipped[V any](m *maker, inner marshal.Codec[V], v V, name string) Subject {
	return subject(m, with(marshal.Compressed(inner, name)), v)
}

func sealed[V any](m *maker, inner marshal.Codec[V], v V) Subject {
	ring, err := marshal.NewKeyring("a", map[string][]byte{"a": make([]byte, 32)})
	if err != nil {
		m.err = err
		return Subject{}
	}
	return subject(m, with(marshal.Encrypt(inner, ring)), v)
}
