package interop

import (
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/stratacache/strata/marshal/parquet"
)

// duck opens a DuckDB in memory whose session is in UTC.
func duck(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	mustExec(t, db, "SET timezone = 'UTC'")
	return db
}

func mustExec(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// query returns the rows as text.
func query(t testing.TB, db *sql.DB, q string, args ...any) [][]string {
	t.Helper()
	rows, err := db.Query(q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for rows.Next() {
		vals, ptrs := make([]any, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(cols))
		for i, v := range vals {
			row[i] = fmt.Sprint(v)
			if at, ok := v.(time.Time); ok {
				row[i] = at.UTC().Format(time.RFC3339Nano)
			}
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return out
}

// Bar is a row of the market-data tables.
type Bar struct {
	Date   time.Time `parquet:"date"`
	Open   float64   `parquet:"open"`
	High   float64   `parquet:"high"`
	Low    float64   `parquet:"low"`
	Close  float64   `parquet:"close"`
	Volume int64     `parquet:"volume"`
}

// bars returns n daily bars whose closing prices end at last.
func bars(n int, last float64) []Bar {
	out := make([]Bar, n)
	day := time.Date(2023, 1, 2, 0, 0, 0, 0, time.UTC)
	for i := range out {
		c := last - float64(n-1-i)/4
		out[i] = Bar{Date: day.AddDate(0, 0, i), Open: c - 1, High: c + 1.5, Low: c - 1.5, Close: c, Volume: int64(i) * 1000}
	}
	return out
}

func codec[V any](t testing.TB, opts *parquet.Options) *parquet.Codec[V] {
	t.Helper()
	c, err := parquet.New[V](opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write puts v into a new file and returns its name.
func write[V any](t testing.TB, v V, opts *parquet.Options) string {
	t.Helper()
	data, err := codec[V](t, opts).Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "data.parquet")
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

var layouts = map[string]*parquet.Options{
	"default":        nil,
	"small groups":   {RowGroupRows: 100},
	"snappy":         {Compression: parquet.Snappy},
	"zstd":           {Compression: parquet.Zstd, Checksums: true},
	"compact + zstd": {Encoding: parquet.Compact, Compression: parquet.Zstd, RowGroupRows: 130},
}

// Wide has every type.
type Wide struct {
	B    bool
	I8   int8
	I16  int16
	I32  int32
	I64  int64
	U8   uint8
	U16  uint16
	U32  uint32
	U64  uint64
	F32  float32
	F64  float64
	S    string
	Raw  []byte
	Us   time.Time
	Ms   time.Time `parquet:"Ms,timestamp(millisecond)"`
	Ns   time.Time `parquet:"Ns,timestamp(nanosecond)"`
	PF   *float64
	PS   *string
	PT   *time.Time
	PB   *bool
	OptI int64 `parquet:"OptI,optional"`
}

func TestDuckDBTypes(t *testing.T) {
	db := duck(t)
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	s, f, yes := "ünïcode, 日本", math.NaN(), true
	rows := []Wide{
		{true, -128, -32768, math.MinInt32, math.MinInt64, 255, 65535, math.MaxUint32, math.MaxUint64, 1.5, math.Inf(-1), s, []byte{0, 255},
			at, at.Truncate(time.Millisecond), at.Add(789), &f, &s, &at, &yes, 7},
		{},
	}
	rows[1].Us, rows[1].Ms, rows[1].Ns = time.Unix(-1, 0).UTC(), time.UnixMilli(-1).UTC(), time.Unix(0, 1).UTC()
	for name, opts := range layouts {
		t.Run(name, func(t *testing.T) {
			file := write(t, rows, opts)
			var types []string
			for _, r := range query(t, db, "DESCRIBE SELECT * FROM read_parquet('"+file+"')") {
				types = append(types, r[0]+" "+r[1])
			}
			want := "B BOOLEAN, I8 TINYINT, I16 SMALLINT, I32 INTEGER, I64 BIGINT, U8 UTINYINT, U16 USMALLINT, U32 UINTEGER, U64 UBIGINT, " +
				"F32 FLOAT, F64 DOUBLE, S VARCHAR, Raw BLOB, Us TIMESTAMP WITH TIME ZONE, Ms TIMESTAMP WITH TIME ZONE, Ns TIMESTAMP WITH TIME ZONE, " +
				"PF DOUBLE, PS VARCHAR, PT TIMESTAMP WITH TIME ZONE, PB BOOLEAN, OptI BIGINT"
			if got := strings.Join(types, ", "); got != want {
				t.Errorf("types\n got %s\nwant %s", got, want)
			}
			got := query(t, db, "SELECT * FROM read_parquet('"+file+"')")
			wantRows := [][]string{
				{"true", "-128", "-32768", "-2147483648", "-9223372036854775808", "255", "65535", "4294967295", "18446744073709551615", "1.5", "-Inf", s, "[0 255]",
					"2024-02-29T23:59:59.123456Z", "2024-02-29T23:59:59.123Z", "2024-02-29T23:59:59.123456Z", "NaN", s, "2024-02-29T23:59:59.123456Z", "true", "7"},
				{"false", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "", "[]",
					"1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "<nil>", "<nil>", "<nil>", "<nil>", "<nil>"},
			}
			if !reflect.DeepEqual(got, wantRows) {
				t.Errorf("rows\n got %q\nwant %q", got, wantRows)
			}
		})
	}
}

func TestDuckDBEmptyTable(t *testing.T) {
	db := duck(t)
	file := write(t, []Bar{}, nil)
	if got := query(t, db, "SELECT count(*), max(close) FROM read_parquet('"+file+"')"); got[0][0] != "0" || got[0][1] != "<nil>" {
		t.Errorf("got %q", got)
	}
	if got := query(t, db, "DESCRIBE SELECT * FROM read_parquet('"+file+"')"); len(got) != 6 {
		t.Errorf("columns %q", got)
	}
}

// TestDuckDBPrunes proves that the statistics by which DuckDB skips row groups
// lose no row, where there are NaNs, zeros of both signs and nulls.
func TestDuckDBPrunes(t *testing.T) {
	type row struct {
		At time.Time
		F  float64
		P  *float64
		S  string
		U  uint64
		I  int32
	}
	var rows []row
	for i := range 1000 {
		r := row{At: time.Unix(int64(i), 0).UTC(), F: float64(i%37) - 18, S: fmt.Sprintf("s%03d", i), U: math.MaxUint64 - uint64(i), I: int32(i - 500)}
		if i%50 == 3 {
			r.F = math.NaN()
		}
		if i%3 == 0 {
			r.P = &r.F
		}
		if i < 100 {
			r.F = math.Copysign(0, -1)
		}
		rows = append(rows, r)
	}
	db := duck(t)
	file := write(t, rows, &parquet.Options{RowGroupRows: 64})
	for _, tt := range []struct {
		where string
		keep  func(r row) bool
	}{
		{"F > 18", func(r row) bool { return r.F != r.F }}, // NaN is the greatest in SQL
		{"F = 0", func(r row) bool { return r.F == 0 }},
		{"F < -17.5", func(r row) bool { return r.F < -17.5 }},
		{"P IS NULL", func(r row) bool { return r.P == nil }},
		{"P = 0", func(r row) bool { return r.P != nil && *r.P == 0 }},
		{"S >= 's500' AND S < 's510'", func(r row) bool { return r.S >= "s500" && r.S < "s510" }},
		{"U > 18446744073709551600", func(r row) bool { return r.U > 18446744073709551600 }},
		{"I < -495", func(r row) bool { return r.I < -495 }},
		{`"At" >= TIMESTAMPTZ '1970-01-01 00:10:00+00' AND "At" < TIMESTAMPTZ '1970-01-01 00:11:00+00'`,
			func(r row) bool { return r.At.Unix() >= 600 && r.At.Unix() < 660 }},
	} {
		n := 0
		for _, r := range rows {
			if tt.keep(r) {
				n++
			}
		}
		got := query(t, db, "SELECT count(*) FROM read_parquet('"+file+"') WHERE "+tt.where)
		if got[0][0] != fmt.Sprint(n) {
			t.Errorf("%s: %s rows, want %d", tt.where, got[0][0], n)
		}
	}
	meta := query(t, db, "SELECT count(*) FROM parquet_metadata('"+file+"') WHERE path_in_schema = 'S' AND stats_min_value IS NOT NULL")
	if meta[0][0] != "16" {
		t.Errorf("%s row groups have bounds of S, want 16", meta[0][0])
	}
}

// TestDuckDBWrites reads what DuckDB wrote, in its compressions and versions.
func TestDuckDBWrites(t *testing.T) {
	db := duck(t)
	mustExec(t, db, `CREATE TABLE t AS SELECT
		TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 1 DAY * i AS date, i * 1.5 AS extra,
		(i % 100)::DOUBLE AS close, (i / 7)::DOUBLE AS open, i::BIGINT AS volume, CASE WHEN i % 3 = 0 THEN NULL ELSE 'n' || (i % 5) END AS note,
		i::INTEGER AS narrow, DATE '2024-01-01' + i::INTEGER AS day, (i % 2 = 0) AS even
		FROM range(5000) r(i)`)
	type row struct {
		Volume int64     `parquet:"volume"`
		Close  float64   `parquet:"close"`
		Open   float64   `parquet:"open"`
		Date   time.Time `parquet:"date"`
		Note   *string   `parquet:"note"`
		Narrow int64     `parquet:"narrow"`
		Day    time.Time `parquet:"day"`
		Even   bool      `parquet:"even"`
		Later  float64   `parquet:"later"`
	}
	// DuckDB declares every column optional.
	c := codec[[]row](t, nil)
	for _, compression := range []string{"uncompressed", "snappy", "gzip", "zstd"} {
		for _, version := range []string{"V1", "V2"} {
			t.Run(compression+version, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "f.parquet")
				mustExec(t, db, fmt.Sprintf("COPY t TO '%s' (FORMAT parquet, COMPRESSION %s, PARQUET_VERSION %s, ROW_GROUP_SIZE 2048)", file, compression, version))
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				rows, err := c.Decode(data)
				if err != nil {
					t.Fatal(err)
				}
				if len(rows) != 5000 {
					t.Fatalf("%d rows", len(rows))
				}
				for i, r := range rows {
					day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i)
					note := r.Note == nil
					if i%3 != 0 {
						note = r.Note != nil && *r.Note == fmt.Sprintf("n%d", i%5)
					}
					if r.Volume != int64(i) || r.Close != float64(i%100) || r.Open != float64(i)/7 || !r.Date.Equal(day) || !r.Day.Equal(day) ||
						r.Narrow != int64(i) || r.Even != (i%2 == 0) || !note || r.Later != 0 {
						t.Fatalf("row %d: %+v", i, r)
					}
				}
			})
		}
	}
}
