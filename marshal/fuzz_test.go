package marshal

import (
	"bytes"
	"testing"
)

// decodes is what every codec must do with any input: no panic, and where it
// decodes, an encoding of the value that decodes to the same encoding.
func decodes[V any](t *testing.T, c Codec[V], data []byte) {
	t.Helper()
	v, err := Decode(c, "key", data)
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
		_, _ = CBOR[any]().Decode(data) // map[any]any need not encode alike
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
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = c.Decode(data) }) // maps have no order
}

func FuzzWrappers(f *testing.F) {
	z, s := compressions(f, &CompressOptions{MaxDecoded: 1 << 20, MinSize: 1})[0], compressions(f, &CompressOptions{MaxDecoded: 1 << 20, MinSize: 1})[1]
	e, err := Encrypt(Bytes[[]byte](), ring(f, "a", "a"))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []Codec[[]byte]{z, s, e} {
		b, err := Append(c, nil, "key", bytes.Repeat([]byte("value"), 100))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, z, data)
		decodes(t, s, data)
		decodes(t, e, data)
	})
}
