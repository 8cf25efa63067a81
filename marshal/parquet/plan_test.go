package parquet_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"bytes"

	"github.com/stratacache/strata/marshal/parquet"
	"github.com/stratacache/strata/store"
)

func newError[V any](t *testing.T, opts *parquet.Options, part string) {
	t.Helper()
	_, err := parquet.New[V](opts)
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("New[%v] = %v, want an error with %q", reflect.TypeFor[V](), err, part)
	}
}

func TestNewErrors(t *testing.T) {
	newError[int](t, nil, "slice of structs")
	newError[Bar](t, nil, "slice of structs")
	newError[[]int](t, nil, "slice of structs")
	newError[[]*Bar](t, nil, "slice of structs")
	newError[[]time.Time](t, nil, "slice of structs")
	newError[map[string]Bar](t, nil, "slice of structs")
	newError[any](t, nil, "slice of structs")
	newError[[]struct{}](t, nil, "no exported field")
	newError[[]struct{ a int }](t, nil, "no exported field")
	newError[[]struct{ A map[string]int }](t, nil, "field A")
	newError[[]struct{ A []string }](t, nil, "field A")
	newError[[]struct{ A **int }](t, nil, "field A")
	newError[[]struct{ A struct{ B int } }](t, nil, "field A")
	newError[[]struct{ A complex64 }](t, nil, "field A")
	newError[[]struct {
		A int `parquet:"x"`
		B int `parquet:"x"`
	}](t, nil, `"x"`)
	newError[[]struct {
		A int `parquet:"a,decimal(2:9)"`
	}](t, nil, "decimal(2:9)")
	newError[[]struct {
		A string `parquet:"a,timestamp"`
	}](t, nil, "timestamp")
	for field, opts := range map[string]*parquet.Options{
		"RowGroupRows": {RowGroupRows: -1}, "Compression": {Compression: 9}, "Encoding": {Encoding: -1},
		"MaxExpansion": {MaxExpansion: -1}, "TimeColumn": {TimeColumn: "Close"},
	} {
		newError[[]Bar](t, opts, "Options."+field)
	}
	newError[[]Bar](t, &parquet.Options{RowGroupRows: math.MaxInt}, "RowGroupRows")
}

// Named types take part.
type (
	Price float64
	Code  string
	Table []struct {
		P    Price `json:"p"`
		C    Code  `json:"c,omitempty" parquet:"code"`
		Not  int   `json:"-"`
		Blob JSON
	}
	JSON []byte
)

func TestNamedTypes(t *testing.T) {
	c := newCodec[Table](t, nil)
	want := Table{{P: 1.5, C: "x", Blob: JSON("{}")}, {P: -1, Blob: JSON{}}}
	data := encode(t, c, want)
	got, err := c.Decode(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, col := range f.Schema().Columns() {
		names = append(names, col[0])
	}
	if s := strings.Join(names, " "); s != "p code Blob" {
		t.Errorf("columns %q", s)
	}
	if c.Name() != "parquet" {
		t.Errorf("name %q", c.Name())
	}
	if rows, err := c.Decode(encode(t, c, nil)); rows == nil || len(rows) != 0 || err != nil {
		t.Errorf("a nil slice came back as %#v, %v", rows, err)
	}
}

func TestTimes(t *testing.T) {
	type row struct {
		T  time.Time
		P  *time.Time
		Ms time.Time `parquet:"ms,timestamp(millisecond)"`
	}
	c := newCodec[[]row](t, nil)
	berlin := time.FixedZone("CET", 3600)
	early, late := time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	fine := time.Date(2024, 1, 1, 0, 0, 0, 1, time.UTC)
	for name, want := range map[string][]row{
		"zero":         {{}},
		"far":          {{T: early, P: &late}, {T: late}},
		"before 1970":  {{T: time.Unix(-1, 999_999_000).UTC()}},
		"nanoseconds":  {{T: fine}, {P: &fine}},
		"nanoseconds2": {{T: time.Unix(-1, 999_999_999).UTC()}},
	} {
		if name == "nanoseconds" { // what is too early for them cannot be with them
			want[1].T = fine
		}
		got, err := c.Decode(encode(t, c, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
		}
	}
	got, err := c.Decode(encode(t, c, []row{{T: time.Now().In(berlin).Round(time.Microsecond), Ms: fine.Add(1_999_999)}}))
	if err != nil || got[0].T.Location() != time.UTC || !got[0].Ms.Equal(fine.Truncate(time.Millisecond).Add(2*time.Millisecond)) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string][]row{
		"fine and far": {{T: fine}, {}},
		"beyond":       {{T: time.Unix(1<<60, 0)}},
		"pointer":      {{P: &[]time.Time{time.Unix(-1<<60, 0)}[0]}},
	} {
		if data, err := c.Append([]byte("x"), bad); err == nil || string(data) != "x" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestStringsMustBeUTF8(t *testing.T) {
	type row struct{ S string }
	c := newCodec[[]row](t, nil)
	if data, err := c.Append(nil, []row{{"ok"}, {"\xff"}}); err == nil || !strings.Contains(err.Error(), "row 1") || data != nil {
		t.Errorf("%q, %v", data, err)
	}
}

// convert writes from with one type and reads it with another.
func convert[From, To any](t *testing.T, from []From, want []To, wantErr error) {
	t.Helper()
	for name, opts := range optionSets {
		data := encode(t, newCodec[[]From](t, opts), from)
		got, err := newCodec[[]To](t, nil).Decode(data)
		if !errors.Is(err, wantErr) || wantErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %T to %T: %+v, %v; want %+v, %v", name, from, want, got, err, want, wantErr)
		}
	}
}

type a[T any] struct{ A T }

func TestConversions(t *testing.T) {
	bad := parquet.ErrMismatch
	convert(t, []a[int32]{{-5}}, []a[int64]{{-5}}, nil)
	convert(t, []a[int64]{{-5}}, []a[int8]{{-5}}, nil)
	convert(t, []a[int64]{{500}}, []a[int8]{}, bad)
	convert(t, []a[int32]{{500}}, []a[int8]{}, bad)
	convert(t, []a[int16]{{-1}}, []a[uint16]{}, bad)
	convert(t, []a[uint64]{{math.MaxUint64}}, []a[int64]{}, bad)
	convert(t, []a[uint64]{{7}}, []a[int32]{{7}}, nil)
	convert(t, []a[uint32]{{math.MaxUint32}}, []a[int64]{{math.MaxUint32}}, nil)
	convert(t, []a[uint32]{{math.MaxUint32}}, []a[uint64]{{math.MaxUint32}}, nil)
	convert(t, []a[int64]{{-7}}, []a[uint64]{}, bad)
	convert(t, []a[int64]{{7}}, []a[uint64]{{7}}, nil)
	convert(t, []a[float64]{{7}}, []a[int64]{{7}}, nil)
	convert(t, []a[float64]{{7}}, []a[uint64]{{7}}, nil)
	convert(t, []a[float64]{{7.5}}, []a[int64]{}, bad)
	convert(t, []a[float64]{{math.NaN()}}, []a[int64]{}, bad)
	convert(t, []a[float64]{{math.Inf(1)}}, []a[uint64]{}, bad)
	convert(t, []a[float64]{{1e30}}, []a[int64]{}, bad)
	convert(t, []a[float32]{{1.5}}, []a[float64]{{1.5}}, nil)
	convert(t, []a[float64]{{1.5}}, []a[float32]{{1.5}}, nil)
	convert(t, []a[float64]{{187.15}}, []a[float32]{}, bad)
	convert(t, []a[int64]{{1 << 53}}, []a[float64]{{1 << 53}}, nil)
	convert(t, []a[int64]{{1<<53 + 1}}, []a[float64]{}, bad)
	convert(t, []a[int16]{{3}}, []a[float32]{{3}}, nil)
	convert(t, []a[bool]{{true}}, []a[int64]{}, bad)
	convert(t, []a[string]{{"x"}}, []a[[]byte]{{[]byte("x")}}, nil)
	convert(t, []a[[]byte]{{[]byte("x")}}, []a[string]{{"x"}}, nil)
	convert(t, []a[[]byte]{{[]byte{0xff}}}, []a[string]{}, bad)
	convert(t, []a[string]{{"x"}}, []a[float64]{}, bad)
	convert(t, []a[int64]{{1}}, []a[time.Time]{}, bad)
	convert(t, []a[time.Time]{{time.Unix(1, 0)}}, []a[int64]{}, bad)
	convert(t, []a[*int64]{{ptr[int64](4)}}, []a[int64]{{4}}, nil)
	convert(t, []a[*int64]{{ptr[int64](4)}, {}}, []a[int64]{}, bad)
	convert(t, []a[int64]{{4}}, []a[*int64]{{ptr[int64](4)}}, nil)
	convert(t, []a[*int64]{{}, {ptr[int64](5)}}, []struct {
		A int64 `parquet:"A,optional"`
	}{{}, {5}}, nil)
	type millis struct {
		A int64 `parquet:"A,timestamp(millisecond)"`
	}
	convert(t, []a[time.Time]{{time.UnixMilli(1500)}}, []millis{{1500}}, nil)
	convert(t, []a[time.Time]{{time.UnixMicro(1500)}}, []millis{}, bad)
	convert(t, []millis{{1500}}, []a[time.Time]{{time.UnixMilli(1500).UTC()}}, nil)
}

func TestOtherColumns(t *testing.T) {
	type reordered struct {
		Volume int64
		Extra  string
		Date   time.Time
	}
	data := encode(t, newCodec[[]Bar](t, nil), bars(3))
	got, err := newCodec[[]reordered](t, nil).Decode(data)
	if err != nil || len(got) != 3 || got[2] != (reordered{Volume: bars(3)[2].Volume, Date: bars(3)[2].Date}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := newCodec[[]a[int]](t, nil).Decode(data); !errors.Is(err, parquet.ErrMismatch) {
		t.Errorf("no column in common: %v", err)
	}
}

func TestColumns(t *testing.T) {
	c := newCodec[[]All](t, nil)
	want := all(40)
	data := encode(t, c, want)
	got, err := c.Columns(data, "S", "PF64", "json_name")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], All{S: want[i].S, PF64: want[i].PF64, JSON: want[i].JSON}) {
			t.Fatalf("row %d: %+v", i, got[i])
		}
	}
	if _, err := c.Columns(data, "nope"); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("unknown column: %v", err)
	}
	if rows, err := c.Columns(data); err != nil || len(rows) != 40 || !reflect.DeepEqual(rows[7], All{}) {
		t.Errorf("no columns: %d rows, %v", len(rows), err)
	}
}

func TestRange(t *testing.T) {
	type row struct {
		Date time.Time
		S    string
		P    *float64
	}
	const n = 500
	day := func(i int) time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i) }
	sorted := make([]row, n)
	for i := range sorted {
		sorted[i] = row{Date: day(i), S: day(i).String()}
		if i%2 == 0 {
			sorted[i].P = ptr(float64(i))
		}
	}
	shuffled := make([]row, n)
	for i := range shuffled {
		shuffled[i] = sorted[(i*337)%n]
	}
	same := make([]row, n)
	for i := range same {
		same[i] = row{Date: day(i / 100)}
	}
	for name, opts := range optionSets {
		c := newCodec[[]row](t, opts)
		for order, rows := range map[string][]row{"sorted": sorted, "shuffled": shuffled, "same": same, "none": {}} {
			data := encode(t, c, rows)
			for _, limits := range [][2]time.Time{
				{day(100), day(110)}, {day(0), day(1)}, {day(-9), day(2)}, {day(499), day(900)}, {day(900), day(901)}, {day(10), day(10)},
				{day(10), day(9)}, {{}, day(5)}, {day(490), {}}, {{}, {}}, {day(3).Add(1), day(5).Add(1)}, {day(-1e6), day(1e6)},
			} {
				var want []row
				for _, r := range rows {
					if !r.Date.Before(limits[0]) && (limits[1].IsZero() || r.Date.Before(limits[1])) {
						want = append(want, r)
					}
				}
				got, err := c.Range(data, limits[0], limits[1])
				if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
					t.Fatalf("%s, %s, %v: %d rows, want %d, %v", name, order, limits, len(got), len(want), err)
				}
				some, err := c.Range(data, limits[0], limits[1], "S")
				if err != nil || len(some) != len(want) || len(want) > 0 && some[0] != (row{Date: want[0].Date, S: want[0].S}) {
					t.Fatalf("%s, %s, %v: projected %d rows, %v", name, order, limits, len(some), err)
				}
			}
		}
	}
	if _, err := newCodec[[]a[int]](t, nil).Range(nil, day(0), day(1)); err == nil {
		t.Error("range without a time column")
	}
	if _, err := newCodec[[]a[int]](t, nil).Range(encode(t, newCodec[[]a[int]](t, nil), nil), day(0), day(1)); err == nil {
		t.Error("range without a time column")
	}
}

func TestRangeByNamedColumn(t *testing.T) {
	type row struct {
		Seen time.Time
		At   *time.Time `parquet:"at"`
		N    int
	}
	c := newCodec[[]row](t, &parquet.Options{TimeColumn: "at", RowGroupRows: 4})
	at := func(i int) time.Time { return time.Unix(int64(i), 0).UTC() }
	var rows []row
	for i := range 10 {
		rows = append(rows, row{At: ptr(at(i)), N: i}, row{N: -1})
	}
	got, err := c.Range(encode(t, c, rows), at(3), at(5))
	if err != nil || len(got) != 2 || got[0].N != 3 || got[1].N != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestParquetGo exchanges every type with parquet-go, in both directions.
func TestParquetGo(t *testing.T) {
	type row struct {
		B   bool
		I8  int8
		I16 int16
		I32 int32
		I64 int64
		U8  uint8
		U16 uint16
		U32 uint32
		U64 uint64
		F32 float32
		F64 float64
		S   string
		Raw []byte
		T   time.Time `parquet:"t,timestamp(microsecond)"`
		P   *float64
		PS  *string
		O   int64 `parquet:"o,optional"`
	}
	rows := make([]row, 333)
	for i := range rows {
		rows[i] = row{i%2 == 0, int8(i), int16(-i), int32(i), int64(-i), uint8(i), uint16(i), uint32(i), math.MaxUint64 - uint64(i),
			float32(i) / 3, float64(i) / 3, strings.Repeat("x", i%4), []byte{byte(i)}, time.UnixMicro(int64(i)).UTC(), nil, nil, int64(i % 3)}
		if i%3 == 0 {
			rows[i].P, rows[i].PS = ptr(float64(i)), ptr("s")
		}
	}
	c := newCodec[[]row](t, nil)
	for _, opts := range foreignOptions() {
		var b bytes.Buffer
		if err := pq.Write(&b, rows, opts...); err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(b.Bytes())
		if err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%v: %v", opts, err)
		}
	}
	for name, opts := range optionSets {
		data := encode(t, newCodec[[]row](t, opts), rows)
		got, err := pq.Read[row](bytes.NewReader(data), int64(len(data)))
		for i := range got {
			got[i].T = got[i].T.UTC()
		}
		if err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChecksums(t *testing.T) {
	c := newCodec[[]Bar](t, &parquet.Options{Checksums: true})
	data := encode(t, c, bars(50))
	caught := 0
	for i := 4; i < 50*48; i += 7 {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		rows, err := c.Decode(bad)
		switch {
		case errors.Is(err, store.ErrCorrupt):
			caught++
		case err != nil:
			t.Fatal(err)
		case !reflect.DeepEqual(rows, bars(50)): // a flipped bit of a header may have no effect
			t.Fatalf("wrong rows after a flip of byte %d", i)
		}
	}
	if caught < 300 {
		t.Errorf("%d flips were caught", caught)
	}
}
