package marshal

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/alloctest"
)

type (
	price  float64
	symbol string
	blob   []byte
	side   int8
	info   struct {
		Sector    string   `json:"sector"`
		MarketCap float64  `json:"marketCap"`
		Officers  []string `json:"officers,omitempty"`
	}
	bar struct {
		Time  time.Time
		Close float64
	}
	fakeProto struct{}
	loud      int // has its own JSON
)

func (*fakeProto) ProtoReflect() {}

func (l loud) MarshalJSON() ([]byte, error)  { return json.Marshal(strings.Repeat("!", int(l))) }
func (l *loud) UnmarshalJSON(b []byte) error { *l = loud(len(b) - 2); return nil }

// roundTrip encodes behind a prefix, which must stay, and decodes.
func roundTrip[V any](t *testing.T, c Codec[V], v V, encoded string) {
	t.Helper()
	b, err := c.Append([]byte("prefix"), v)
	if err != nil {
		t.Fatalf("%s: Append(%v): %v", c.Name(), v, err)
	}
	data, ok := bytes.CutPrefix(b, []byte("prefix"))
	if !ok || encoded != "" && string(data) != encoded {
		t.Errorf("%s: Append(%v) = %q, want %q", c.Name(), v, b, encoded)
	}
	got, err := c.Decode(data)
	if err != nil {
		t.Fatalf("%s: Decode(%q): %v", c.Name(), data, err)
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%s: Decode(%q) = %v, want %v", c.Name(), data, got, v)
	}
}

func must[V any](t testing.TB, f func() (Codec[V], error)) Codec[V] {
	t.Helper()
	c, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refuses[V any](t *testing.T, c Codec[V], inputs ...string) {
	t.Helper()
	for _, in := range inputs {
		v, err := c.Decode([]byte(in))
		if err == nil || !reflect.ValueOf(&v).Elem().IsZero() {
			t.Errorf("%s: Decode(%q) = %v, %v; want an error and the zero value", c.Name(), in, v, err)
		}
	}
}

func TestText(t *testing.T) {
	roundTrip(t, must(t, Text[float64]), 187.25, "187.25")
	roundTrip(t, must(t, Text[float64]), 0.30000000000000004, "0.30000000000000004")
	roundTrip(t, must(t, Text[float64]), 1e21, "1000000000000000000000")
	roundTrip(t, must(t, Text[float64]), 1e-7, "0.0000001")
	roundTrip(t, must(t, Text[float64]), math.Copysign(0, -1), "-0")
	roundTrip(t, must(t, Text[float64]), math.Inf(-1), "-Infinity")
	roundTrip(t, must(t, Text[float64]), math.MaxFloat64, "")
	roundTrip(t, must(t, Text[float64]), math.SmallestNonzeroFloat64, "")
	roundTrip(t, must(t, Text[float32]), 0.1, "0.1")
	roundTrip(t, must(t, Text[price]), 12.5, "12.5")
	roundTrip(t, must(t, Text[symbol]), "BTC/USDT é", "BTC/USDT é")
	roundTrip(t, must(t, Text[string]), "", "")
	roundTrip(t, must(t, Text[bool]), true, "true")
	roundTrip(t, must(t, Text[side]), -128, "-128")
	roundTrip(t, must(t, Text[int16]), -5, "-5")
	roundTrip(t, must(t, Text[int32]), math.MinInt32, "-2147483648")
	roundTrip(t, must(t, Text[int64]), math.MinInt64, "-9223372036854775808")
	roundTrip(t, must(t, Text[int]), 42, "42")
	roundTrip(t, must(t, Text[uint8]), 255, "255")
	roundTrip(t, must(t, Text[uint16]), 65535, "65535")
	roundTrip(t, must(t, Text[uint32]), math.MaxUint32, "4294967295")
	roundTrip(t, must(t, Text[uint64]), math.MaxUint64, "18446744073709551615")
	roundTrip(t, must(t, Text[time.Duration]), time.Second, "1000000000")
	roundTrip(t, must(t, Text[time.Time]), time.Date(2017, 1, 3, 9, 30, 0, 1, time.UTC), "2017-01-03T09:30:00.000000001Z")
	roundTrip(t, must(t, Text[netip.Addr]), netip.MustParseAddr("::1"), "::1")
	roundTrip(t, must(t, Text[*big.Int]), big.NewInt(99), "99")

	c := must(t, Text[float64])
	b, _ := c.Append(nil, math.NaN())
	if f, err := c.Decode(b); string(b) != "NaN" || err != nil || !math.IsNaN(f) {
		t.Errorf("NaN is %q and comes back as %v, %v", b, f, err)
	}
}

// What Python, JavaScript and C print for floats and bools is read.
func TestTextReadsForeignForms(t *testing.T) {
	for in, want := range map[string]float64{
		"1e+21": 1e21, "1e-07": 1e-7, "1E5": 1e5, "5.0": 5, "inf": math.Inf(1), "-inf": math.Inf(-1), "Infinity": math.Inf(1), "+3": 3, ".5": .5,
	} {
		if got, err := must(t, Text[float64]).Decode([]byte(in)); err != nil || got != want {
			t.Errorf("Decode(%q) = %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]bool{"True": true, "False": false, "1": true, "0": false} {
		if got, err := must(t, Text[bool]).Decode([]byte(in)); err != nil || got != want {
			t.Errorf("Decode(%q) = %v, %v", in, got, err)
		}
	}
}

func TestTextRefuses(t *testing.T) {
	refuses(t, must(t, Text[float64]), "", " ", "1,5", "1 ", "0x1p-2", "1_000", "1e999", "abc", "1.5\n", `"1.5"`, "null", strings.Repeat("9", 1000)+"x")
	refuses(t, must(t, Text[float32]), "1e39", "")
	refuses(t, must(t, Text[int]), "", "5.0", "9223372036854775808", "0x10", "1_0", "--1")
	refuses(t, must(t, Text[int8]), "128", "-129")
	refuses(t, must(t, Text[uint8]), "256", "-1", "")
	refuses(t, must(t, Text[bool]), "", "yes", "TRUE", "2")
	refuses(t, must(t, Text[time.Time]), "", "yesterday", "2017-01-03")
	if _, err := must(t, Text[*big.Int]).Append(nil, nil); err == nil {
		t.Error("a nil pointer was encoded")
	}
	if _, err := Text[info](); err == nil || !strings.Contains(err.Error(), "marshal.info is neither a number") {
		t.Errorf("Text[info]: %v", err)
	}
}

func TestBytes(t *testing.T) {
	roundTrip(t, Bytes[[]byte](), []byte{0, 1, 255}, "\x00\x01\xff")
	roundTrip(t, Bytes[blob](), blob("x"), "x")
	roundTrip(t, Bytes[[]byte](), []byte{}, "")
	if b, err := Bytes[[]byte]().Decode(nil); b == nil || err != nil {
		t.Errorf("Decode(nil) = %v, %v; want an empty slice", b, err)
	}
	data := []byte("abcdef")
	v, _ := Bytes[[]byte]().Decode(data[:3])
	_ = append(v, 'X')
	if string(data) != "abcdef" {
		t.Error("appending to the value wrote behind it")
	}
}

func TestJSON(t *testing.T) {
	roundTrip(t, JSON[info](), info{"Tech <&>", 2.5e12, []string{"a"}}, `{"sector":"Tech <&>","marketCap":2500000000000,"officers":["a"]}`)
	roundTrip(t, JSON[map[string]float64](), map[string]float64{"b": 1, "a": 2}, `{"a":2,"b":1}`)
	roundTrip(t, JSON[*info](), nil, "null")
	roundTrip(t, JSON[[]string](), []string{}, "[]")
	roundTrip(t, JSON[any](), any("x"), `"x"`)
	roundTrip(t, JSON[info](), info{}, `{"sector":"","marketCap":0}`)
	roundTrip(t, JSON[loud](), 3, `"!!!"`)
	roundTrip(t, StrictJSON[info](), info{Sector: "x"}, `{"sector":"x","marketCap":0}`)

	refuses(t, JSON[info](), "", " ", "null", "{", `{"sector":1}`, `{} {}`, `[]`, "\x00", `{"other":1}`)
	refuses(t, JSON[float64](), "null", `"1"`, "NaN")
	refuses(t, JSON[[]info](), `[{"other":1}]`)
	refuses(t, JSON[*info](), `{"other":1}`)
	refuses(t, StrictJSON[info](), "", "null", `{"sector":"x","other":1}`, `{"sector":"x"} x`)
	refuses(t, JSON[any](), strings.Repeat("[", 100_000))

	if v, err := JSON[info]().Decode([]byte(`{"sector":"x","new":1}`)); err != nil || v.Sector != "x" {
		t.Errorf("an unknown field beside known ones: %v, %v", v, err)
	}
	if v, err := JSON[info]().Decode([]byte(`{"SECTOR":"","new":1}`)); err != nil {
		t.Errorf("zero fields, but known ones: %v, %v", v, err)
	}
	if _, err := JSON[float64]().Append([]byte("p"), math.NaN()); err == nil {
		t.Error("JSON has no NaN")
	}
	if b, err := JSON[any]().Append([]byte("p"), make(chan int)); err == nil || string(b) != "p" {
		t.Errorf("Append of a channel = %q, %v; want dst as it was", b, err)
	}
}

func TestCBOR(t *testing.T) {
	roundTrip(t, CBOR[info](), info{"Tech", 2.5e12, []string{"a"}}, "")
	roundTrip(t, CBOR[map[string]int](), map[string]int{"b": 1, "a": 2}, "\xa2\x61a\x02\x61b\x01")
	roundTrip(t, CBOR[float64](), 1.5, "\xf9\x3e\x00")
	roundTrip(t, CBOR[float64](), 0.1, "")
	roundTrip(t, CBOR[bar](), bar{time.Date(2017, 1, 3, 9, 30, 0, 123456789, time.UTC), 1}, "")
	roundTrip(t, CBOR[any](), any(map[string]any{"a": []any{uint64(1), "x"}}), "")
	roundTrip(t, CBOR[*info](), nil, "\xf6")
	roundTrip(t, CBOR[info](), info{}, "")
	b, err := CBOR[map[string]any]().Append(nil, map[string]any{"other": 1})
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, CBOR[info](), "", "\xf6", "\xf7", "\xa1", "\x00\x00", "garbage", string(b), "\xa2\x61a\x02\x61a\x01")
	refuses(t, CBOR[[]info](), "\x81"+string(b))
	refuses(t, CBOR[any](), strings.Repeat("\x81", 1000))
	if b, err := CBOR[any]().Append([]byte("p"), make(chan int)); err == nil || string(b) != "p" {
		t.Errorf("Append of a channel = %q, %v; want dst as it was", b, err)
	}
}

func TestParquet(t *testing.T) {
	c := must(t, Parquet[[]bar])
	roundTrip(t, c, []bar{{time.Date(2017, 1, 3, 0, 0, 0, 0, time.UTC), 116.15}, {time.Date(2017, 1, 4, 0, 0, 0, 0, time.UTC), 116.02}}, "")
	roundTrip(t, c, []bar{}, "")
	refuses(t, c, "", "PAR1PAR1", "[]", "garbage")
	if _, err := Parquet[info](); err == nil {
		t.Error("a struct is no table")
	}
}

func TestMsgPack(t *testing.T) {
	q := quote{"AAPL", 187.5, []float64{1, 2}, map[string]string{"a": "b"}}
	roundTrip(t, must(t, MsgPack[quote]), q, "")
	roundTrip(t, must(t, MsgPack[*quote]), &q, "")
	refuses(t, must(t, MsgPack[quote]), "", "\xc1", "\xdd\xff\xff\xff\xff", "\x93\x01", "\x80\x80", "x", "\xa3abc", "\xc0\xc0", strings.Repeat("\x91", 200_000))
	if _, err := must(t, MsgPack[*quote]).Append(nil, nil); err == nil {
		t.Error("a nil pointer was encoded")
	}
	if _, err := MsgPack[info](); err == nil || !strings.Contains(err.Error(), "generate them") {
		t.Errorf("MsgPack[info]: %v", err)
	}
}

func name[V any](t *testing.T) string {
	t.Helper()
	c, err := For[V]()
	if err != nil {
		t.Fatal(err)
	}
	return c.Name()
}

// The table of doc.go.
func TestFor(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{name[quote](t), "msgpack"}, {name[*quote](t), "msgpack"},
		{name[time.Time](t), "text"}, {name[netip.Addr](t), "text"}, {name[*big.Float](t), "text"},
		{name[json.RawMessage](t), "json"}, {name[loud](t), "json"},
		{name[bool](t), "text"}, {name[int](t), "text"}, {name[uint8](t), "text"}, {name[price](t), "text"}, {name[symbol](t), "text"}, {name[time.Duration](t), "text"},
		{name[[]byte](t), "bytes"}, {name[blob](t), "bytes"},
		{name[[]bar](t), "parquet"}, {name[[]info](t), "json"}, // a list within a row is no column
		{name[info](t), "json"}, {name[*info](t), "json"}, {name[[]string](t), "json"}, {name[map[string]float64](t), "json"}, {name[any](t), "json"},
	} {
		if c.got != c.want {
			t.Errorf("For is %s, want %s", c.got, c.want)
		}
	}
	if _, err := For[*fakeProto](); err == nil || !strings.Contains(err.Error(), "marshal/proto") {
		t.Errorf("For of a protobuf message: %v", err)
	}
	for _, f := range []func() error{
		func() error { _, err := For[chan int](); return err },
		func() error { _, err := For[func()](); return err },
		func() error { _, err := For[*complex128](); return err },
		func() error { _, err := Named[chan int]("cbor"); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "no codec can encode") {
			t.Errorf("a type without a codec: %v", err)
		}
	}
}

func TestNamed(t *testing.T) {
	for n, want := range map[string]string{"": "text", "json": "json", "json-strict": "json-strict", "cbor": "cbor", "text": "text"} {
		c, err := Named[float64](n)
		if err != nil || c.Name() != want {
			t.Errorf("Named(%q) = %v, %v", n, c, err)
		}
	}
	if c, err := Named[[]byte]("bytes"); err != nil || c.Name() != "bytes" {
		t.Errorf("Named(bytes) = %v, %v", c, err)
	}
	if c, err := Named[quote]("msgpack"); err != nil || c.Name() != "msgpack" {
		t.Errorf("Named(msgpack) = %v, %v", c, err)
	}
	if c, err := Named[[]bar]("parquet"); err != nil || c.Name() != "parquet" {
		t.Errorf("Named(parquet) = %v, %v", c, err)
	}
	for n, want := range map[string]string{
		"jsom":    `there is no codec "jsom" (for marshal.info there are: json, json-strict, cbor)`,
		"text":    "(for marshal.info there are: json, json-strict, cbor)",
		"bytes":   "is not a byte slice (for marshal.info there are",
		"msgpack": "(for marshal.info there are",
		"parquet": "(for marshal.info there are",
		"proto":   "marshal/proto",
	} {
		if _, err := Named[info](n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Named(%q): %v, want %q", n, err, want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	float, whole, word, data, flag := must(t, Text[price]), must(t, Text[int64]), must(t, Text[string]), Bytes[[]byte](), must(t, Text[bool])
	raw := []byte("some bytes")
	for name, f := range map[string]func(){
		"float":  func() { _, _ = float.Append(buf, 187.123456) },
		"int":    func() { _, _ = whole.Append(buf, math.MinInt64) },
		"string": func() { _, _ = word.Append(buf, "AAPL") },
		"bool":   func() { _, _ = flag.Append(buf, true) },
		"bytes":  func() { _, _ = data.Append(buf, raw) },
		"keyed":  func() { _, _ = Append(float, buf, "price:AAPL", 1) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("Append of %s allocates %v times", name, n)
		}
	}
	text := []byte("187.123456")
	if n := testing.AllocsPerRun(100, func() { _, _ = float.Decode(text) }); n != 0 {
		t.Errorf("Decode of float allocates %v times", n)
	}
}

// A header that declares a huge length must not be believed.
func TestLengthBombs(t *testing.T) {
	const limit = 1 << 20
	zs, err := Zstd(Bytes[[]byte](), &CompressOptions{MaxDecoded: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	ss, err := S2(Bytes[[]byte](), nil)
	if err != nil {
		t.Fatal(err)
	}
	zbomb, err := Zstd(Bytes[[]byte](), nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := zbomb.Append(nil, make([]byte, 32<<20))
	if err != nil {
		t.Fatal(err)
	}
	mp := must(t, MsgPack[quote])
	for name, f := range map[string]func() error{
		"cbor array": func() error { _, err := CBOR[[]float64]().Decode([]byte("\x9a\x7f\xff\xff\xff")); return err },
		"cbor bytes": func() error {
			_, err := CBOR[[]byte]().Decode([]byte("\x5b\x00\x00\x00\x7f\xff\xff\xff\xff"))
			return err
		},
		"cbor map":      func() error { _, err := CBOR[any]().Decode([]byte("\xba\x03\xff\xff\xff")); return err },
		"msgpack array": func() error { _, err := mp.Decode([]byte("\x81\xa6levels\xdd\x7f\xff\xff\xff")); return err },
		"msgpack map":   func() error { _, err := mp.Decode([]byte("\x81\xa4Tags\xdf\x7f\xff\xff\xff")); return err },
		"s2":            func() error { _, err := ss.Decode([]byte("\x01\xff\xff\xff\xff\x0f\x00")); return err },
		"zstd":          func() error { _, err := zs.Decode(bomb); return err },
	} {
		var err error
		if n := alloctest.Bytes(func() { err = f() }); err == nil || n > limit {
			t.Errorf("%s: error %v, %d bytes allocated", name, err, n)
		}
	}
}
