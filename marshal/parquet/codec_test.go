package parquet_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/stratacache/strata/marshal/parquet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Bar is the table that the market-data bot keeps.
type Bar struct {
	Date                   time.Time
	Open, High, Low, Close float64
	Volume                 int64
}

// bars returns n daily bars, the same ones every time.
func bars(n int) []Bar {
	out := make([]Bar, n)
	day := time.Date(2015, 1, 2, 0, 0, 0, 0, time.UTC)
	price := 187.15
	for i := range out {
		price *= 1 + 0.01*math.Sin(float64(i)*1.7)
		round := func(f float64) float64 { return math.Round(f*100) / 100 }
		out[i] = Bar{
			Date: day, Open: round(price), High: round(price * 1.013), Low: round(price * 0.987),
			Close: round(price * 1.004), Volume: 40_000_000 + int64(i*7919)%9_000_000,
		}
		day = day.AddDate(0, 0, 1)
		if day.Weekday() == time.Saturday {
			day = day.AddDate(0, 0, 2)
		}
	}
	return out
}

func newCodec[V any](t testing.TB, opts *parquet.Options) *parquet.Codec[V] {
	t.Helper()
	c, err := parquet.New[V](opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode[V any](t testing.TB, c *parquet.Codec[V], v V) []byte {
	t.Helper()
	data, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// All has a field of each type and form.
type All struct {
	B    bool
	I8   int8
	I16  int16
	I32  int32
	I64  int64
	I    int
	U8   uint8
	U16  uint16
	U32  uint32
	U64  uint64
	U    uint
	F32  float32
	F64  float64
	S    string
	Raw  []byte
	T    time.Time
	Ms   time.Time `parquet:"ms,timestamp(millisecond)"`
	Us   time.Time `parquet:"us,timestamp(microsecond)"`
	Ns   time.Time `parquet:"ns,timestamp(nanosecond)"`
	Unix int64     `parquet:"unix,timestamp(microsecond)"`
	D    time.Duration

	PB   *bool
	PI8  *int8
	PI32 *int32
	PI64 *int64
	PU16 *uint16
	PU64 *uint64
	PF32 *float32
	PF64 *float64
	PS   *string
	PRaw *[]byte
	PT   *time.Time

	OptF float64   `parquet:"opt_f,optional"`
	OptS string    `parquet:"opt_s,optional"`
	OptT time.Time `parquet:"opt_t,optional"`
	OptB []byte    `parquet:"opt_b,optional"`

	JSON int64 `json:"json_name,omitempty"`
	Skip int64 `parquet:"-"`
	Base
}

// Base is embedded.
type Base struct{ Source string }

func ptr[T any](v T) *T { return &v }

// all returns n rows with every other optional field null.
func all(n int) []All {
	out := make([]All, n)
	for i := range out {
		at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
		s := string(bytes.Repeat([]byte("aü"), i%5))
		out[i] = All{
			B: i%3 == 0, I8: int8(-i), I16: int16(-i * 100), I32: int32(-i * 1e6), I64: int64(-i) << 40, I: i,
			U8: uint8(i), U16: uint16(i * 200), U32: math.MaxUint32 - uint32(i), U64: math.MaxUint64 - uint64(i), U: uint(i),
			F32: float32(i) / 3, F64: float64(i) / 3, S: s, Raw: []byte(s), T: at, Ms: at.Add(time.Millisecond),
			Us: at.Add(time.Microsecond), Ns: at.Add(time.Nanosecond), Unix: at.UnixMicro(), D: time.Duration(i),
			JSON: int64(i), Base: Base{Source: "x"},
		}
		if i%2 == 1 {
			continue
		}
		r := &out[i]
		r.PB, r.PI8, r.PI32, r.PI64 = ptr(i%4 == 0), ptr(int8(i)), ptr(int32(i)), ptr(int64(i))
		r.PU16, r.PU64, r.PF32, r.PF64 = ptr(uint16(i)), ptr(uint64(i)), ptr(float32(i)), ptr(float64(i))
		r.PS, r.PRaw, r.PT = ptr(s), ptr([]byte(s)), ptr(at)
		r.OptF, r.OptS, r.OptT, r.OptB = float64(i), s, at, []byte(s)
	}
	return out
}

var optionSets = map[string]*parquet.Options{
	"default":       nil,
	"small groups":  {RowGroupRows: 7},
	"checksums":     {Checksums: true},
	"snappy":        {Compression: parquet.Snappy},
	"zstd":          {Compression: parquet.Zstd},
	"compact":       {Encoding: parquet.Compact, RowGroupRows: 150},
	"compact, zstd": {Encoding: parquet.Compact, Compression: parquet.Zstd, Checksums: true},
}

func TestRoundTrip(t *testing.T) {
	for name, opts := range optionSets {
		t.Run(name, func(t *testing.T) {
			c := newCodec[[]All](t, opts)
			for _, n := range []int{0, 1, 2, 7, 8, 9, 127, 128, 129, 700} {
				want := all(n)
				data := encode(t, c, want)
				got, err := c.Decode(data)
				if err != nil {
					t.Fatalf("%d rows: %v", n, err)
				}
				if got == nil || len(got) != n {
					t.Fatalf("%d rows came back as %d", n, len(got))
				}
				for i := range want {
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Fatalf("%d rows, row %d:\n got %+v\nwant %+v", n, i, got[i], want[i])
					}
				}
			}
		})
	}
}

func TestSize(t *testing.T) {
	c := newCodec[[]Bar](t, nil)
	for _, n := range []int{252, 100_000} {
		v := bars(n)
		data := encode(t, c, v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bars: %d bytes, JSON %d", n, len(data), len(text))
		if 2*len(data) > len(text) {
			t.Errorf("%d bars take %d bytes, more than half of JSON's %d", n, len(data), len(text))
		}
	}
}

func TestParquetGoReads(t *testing.T) {
	for name, opts := range optionSets {
		t.Run(name, func(t *testing.T) {
			want := bars(300)
			data := encode(t, newCodec[[]Bar](t, opts), want)
			got, err := pq.Read[Bar](bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].Date = got[i].Date.UTC()
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v", got[:3])
			}
		})
	}
}
