package marshal

import (
	"bytes"
	"testing"

	"github.com/stratacache/strata/internal/alloctest"
)

// expansion is how many bytes a decoder may allocate for one of its input: a
// byte can be an empty map in a list, of 48 bytes, in a slice that is doubled
// again and again.
const expansion = 400

// decodes is what every codec must do with any input: no panic, memory in
// proportion to the input, and where it decodes, an encoding of the value that
// decodes to the same encoding.
func decodes[V any](t *testing.T, c Codec[V], data []byte) {
	t.Helper()
	v, err := bounded(t, c, data)
	if err != nil {
		return
	}
	b, err := Append(c, nil, "key", v)
	if err != nil {
		t.Fatalf("%s: the value of %q does not encode: %v", c.Name(), data, err)
	}
	again, err := Decode(c, "key", b)
	if err != nil {
		t.Fatalf("%s: %q, made from %q, does not decode: %v", c.Name(), b, data, err)
	}
	if _, sealed := c.(encrypted[V]); sealed {
		return // never twice the same
	}
	b2, err := Append(c, nil, "key", again)
	if err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%s: %q becomes %q, then %q (%v)", c.Name(), data, b, b2, err)
	}
}

// bounded is the part of decodes that holds for values without one encoding.
func bounded[V any](t *testing.T, c Codec[V], data []byte) (v V, err error) {
	t.Helper()
	alloctest.Proportional(t, data, expansion, func() { v, err = Decode(c, "key", data) })
	return v, err
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"1.5", "NaN", "-inf", "1e308", "true", "-128", "2017-01-03T09:30:00.5+01:00", "é\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, must(t, Text[float64]), data)
		decodes(t, must(t, Text[float32]), data)
		decodes(t, must(t, Text[int8]), data)
		decodes(t, must(t, Text[uint64]), data)
		decodes(t, must(t, Text[bool]), data)
		decodes(t, must(t, Text[string]), data)
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"sector":"x","marketCap":1e3}`, `[1,{"a":null}]`, `null`, `"\ud800"`, `{"other":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, JSON[info](), data)
		decodes(t, StrictJSON[[]info](), data)
		decodes(t, JSON[any](), data)
		decodes(t, JSON[map[string]float64](), data)
	})
}

func FuzzCBOR(f *testing.F) {
	for _, v := range []any{info{Sector: "x", MarketCap: 1}, []any{1, "a", nil, 1.5}, map[string]any{"a": []byte("x")}} {
		b, err := CBOR[any]().Append(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x9f\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, CBOR[info](), data)
		decodes(t, CBOR[[]info](), data)
		decodes(t, CBOR[bar](), data)
		_, _ = bounded(t, CBOR[any](), data) // map[any]any need not encode alike
	})
}

func FuzzMsgPack(f *testing.F) {
	c, err := MsgPack[quote]()
	if err != nil {
		f.Fatal(err)
	}
	b, err := c.Append(nil, quote{"AAPL", 1, []float64{1}, map[string]string{"a": "b"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = bounded(t, c, data) }) // maps have no order
}

// fuzzDecoded is MaxDecoded of the codecs that are fuzzed.
const fuzzDecoded = 1 << 20

func FuzzZstd(f *testing.F) {
	opts := CompressOptions{MaxDecoded: fuzzDecoded, MinSize: 1}
	withDict := opts
	withDict.Dict = trainedDict(f)
	fuzzPacked(f, wrapper(f, Zstd, &opts), wrapper(f, Zstd, &withDict))
}

func FuzzS2(f *testing.F) {
	fuzzPacked(f, wrapper(f, S2, &CompressOptions{MaxDecoded: fuzzDecoded, MinSize: 1}))
}

func wrapper(f *testing.F, wrap func(Codec[[]byte], *CompressOptions) (Codec[[]byte], error), opts *CompressOptions) Codec[[]byte] {
	f.Helper()
	c, err := wrap(Bytes[[]byte](), opts)
	if err != nil {
		f.Fatal(err)
	}
	return c
}

// fuzzPacked fuzzes decoders of which a small input may become as large as
// MaxDecoded, and needs no more memory than that and the window of the format.
func fuzzPacked(f *testing.F, codecs ...Codec[[]byte]) {
	for _, c := range codecs {
		for _, v := range [][]byte{bytes.Repeat([]byte("value"), 100), make([]byte, fuzzDecoded), []byte("short")} {
			b, err := c.Append(nil, v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range codecs {
			unpacks(t, c, data)
		}
	})
}

func unpacks(t *testing.T, c Codec[[]byte], data []byte) {
	t.Helper()
	var v []byte
	var err error
	used := alloctest.Bytes(func() { v, err = c.Decode(data) })
	if limit := uint64(minDecoderMemory + 4*fuzzDecoded + expansion*len(data)); used > limit {
		t.Fatalf("%s: %d bytes of input made it allocate %d: %.200q", c.Name(), len(data), used, data)
	}
	if err != nil {
		return
	}
	if len(v) > fuzzDecoded {
		t.Fatalf("%s: %d bytes of input became %d", c.Name(), len(data), len(v))
	}
	b, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Decode(b); err != nil || !bytes.Equal(again, v) {
		t.Fatalf("%s: %q came back as %q, %v", c.Name(), v, again, err)
	}
}

func FuzzEncrypt(f *testing.F) {
	c, err := Encrypt(Bytes[[]byte](), ring(f, "a", "a"))
	if err != nil {
		f.Fatal(err)
	}
	b, err := Append(c, nil, "key", bytes.Repeat([]byte("value"), 100))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, c, data) })
}
