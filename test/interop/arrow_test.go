package interop

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	arrowpq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Apache Arrow is the library below pyarrow, and so below pandas and polars'
// older readers: its Go edition stands in for them where no Python is.

func TestArrowReads(t *testing.T) {
	s, f := "x", math.NaN()
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	for name, opts := range layouts {
		t.Run(name, func(t *testing.T) {
			rows := make([]Wide, 300)
			for i := range rows {
				rows[i] = Wide{B: i%2 == 0, I8: int8(i), I64: int64(i), U64: uint64(i), F32: float32(i), F64: float64(i), S: fmt.Sprint(i), Us: at, Ms: at, Ns: at}
				if i%3 == 0 {
					rows[i].PF, rows[i].PS, rows[i].PT = &f, &s, &at
				}
			}
			data, err := codec[[]Wide](t, opts).Append(nil, rows)
			if err != nil {
				t.Fatal(err)
			}
			table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), arrowpq.NewReaderProperties(memory.DefaultAllocator),
				pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Release()
			if table.NumRows() != 300 || table.NumCols() != 21 {
				t.Fatalf("%d rows, %d columns", table.NumRows(), table.NumCols())
			}
			for i, want := range map[int]string{
				0: "bool", 1: "int8", 2: "int16", 5: "uint8", 8: "uint64", 9: "float32", 11: "utf8", 12: "binary",
				13: "timestamp[us, tz=UTC]", 14: "timestamp[ms, tz=UTC]", 15: "timestamp[ns, tz=UTC]",
			} {
				if got := table.Schema().Field(i).Type.String(); got != want {
					t.Errorf("column %d is %s, want %s", i, got, want)
				}
			}
			checkColumn(t, table, "I64", func(a arrow.Array, i, row int) bool { return a.(*array.Int64).Value(i) == int64(row) })
			checkColumn(t, table, "F64", func(a arrow.Array, i, row int) bool { return a.(*array.Float64).Value(i) == float64(row) })
			checkColumn(t, table, "S", func(a arrow.Array, i, row int) bool { return a.(*array.String).Value(i) == fmt.Sprint(row) })
			checkColumn(t, table, "B", func(a arrow.Array, i, row int) bool { return a.(*array.Boolean).Value(i) == (row%2 == 0) })
			checkColumn(t, table, "PF", func(a arrow.Array, i, row int) bool {
				return a.IsNull(i) == (row%3 != 0) && (a.IsNull(i) || math.IsNaN(a.(*array.Float64).Value(i)))
			})
			checkColumn(t, table, "Us", func(a arrow.Array, i, _ int) bool {
				return a.(*array.Timestamp).Value(i).ToTime(arrow.Microsecond).Equal(at)
			})
		})
	}
}

// checkColumn calls ok with every row of a column.
func checkColumn(t *testing.T, table arrow.Table, name string, ok func(a arrow.Array, i, row int) bool) {
	t.Helper()
	col := table.Column(table.Schema().FieldIndices(name)[0])
	row := 0
	for _, chunk := range col.Data().Chunks() {
		for i := range chunk.Len() {
			if !ok(chunk, i, row) {
				t.Fatalf("column %s, row %d: %v", name, row, chunk.ValueStr(i))
			}
			row++
		}
	}
}

// TestArrowStatistics reads bounds and sorting order with Arrow's reader.
func TestArrowStatistics(t *testing.T) {
	data, err := codec[[]Bar](t, nil).Append(nil, bars(250, 500))
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	group := r.MetaData().RowGroup(0)
	chunk, err := group.ColumnChunk(4)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := chunk.Statistics()
	if err != nil || stats == nil || !stats.HasMinMax() {
		t.Fatalf("statistics %v, %v", stats, err)
	}
	if lo, hi := math.Float64frombits(le64(stats.EncodeMin())), math.Float64frombits(le64(stats.EncodeMax())); lo != 500-249./4 || hi != 500 {
		t.Errorf("close lies between %v and %v", lo, hi)
	}
	sorting := group.SortingColumns()
	if len(sorting) != 1 || sorting[0].ColumnIdx != 0 || sorting[0].Descending {
		t.Errorf("sorting %+v", sorting)
	}
}

func le64(b []byte) uint64 {
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// TestArrowWrites reads what Arrow writes, as pandas' to_parquet does it.
func TestArrowWrites(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "volume", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "extra", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true},
		{Name: "close", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "date", Type: &arrow.TimestampType{Unit: arrow.Nanosecond}, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "ok", Type: arrow.FixedWidthTypes.Boolean, Nullable: false},
	}, nil)
	const n = 3000
	day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(i / 3))
		list := b.Field(1).(*array.ListBuilder)
		list.Append(true)
		for range i % 4 {
			list.ValueBuilder().(*array.Int32Builder).Append(1)
		}
		b.Field(2).(*array.Float64Builder).Append(float64(i) / 8)
		b.Field(3).(*array.TimestampBuilder).AppendTime(day.Add(time.Duration(i)*time.Hour + time.Microsecond))
		if i%7 == 0 {
			b.Field(4).AppendNull()
		} else {
			b.Field(4).(*array.StringBuilder).Append(fmt.Sprint("n", i%20))
		}
		b.Field(5).(*array.BooleanBuilder).Append(i%2 == 0)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	table := array.NewTableFromRecords(schema, []arrow.RecordBatch{rec})
	defer table.Release()

	type row struct {
		Date   time.Time `parquet:"date"`
		Close  float64   `parquet:"close"`
		Volume int64     `parquet:"volume"`
		Note   *string   `parquet:"note"`
		OK     bool      `parquet:"ok"`
	}
	for name, opts := range arrowOptions() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := pqarrow.WriteTable(table, &out, 1000, arrowpq.NewWriterProperties(opts...), pqarrow.DefaultWriterProps())
			if err != nil {
				t.Fatal(err)
			}
			rows, err := codec[[]row](t, nil).Decode(out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != n {
				t.Fatalf("%d rows", len(rows))
			}
			for i, r := range rows {
				note := i%7 == 0 && r.Note == nil || i%7 != 0 && r.Note != nil && *r.Note == fmt.Sprint("n", i%20)
				if !note || r.Volume != int64(i/3) || r.Close != float64(i)/8 || !r.Date.Equal(day.Add(time.Duration(i)*time.Hour+time.Microsecond)) || r.OK != (i%2 == 0) {
					t.Fatalf("row %d: %+v", i, r)
				}
			}
			got, err := codec[[]row](t, nil).Range(out.Bytes(), day.AddDate(0, 0, 10), day.AddDate(0, 0, 20))
			if err != nil || len(got) != 240 || got[0].Close != 30 {
				t.Fatalf("range: %d rows, %v", len(got), err)
			}
		})
	}
}

func arrowOptions() map[string][]arrowpq.WriterProperty {
	return map[string][]arrowpq.WriterProperty{
		"plain":        {arrowpq.WithDictionaryDefault(false)},
		"snappy":       {arrowpq.WithCompression(compress.Codecs.Snappy)},
		"zstd":         {arrowpq.WithCompression(compress.Codecs.Zstd), arrowpq.WithDataPageSize(1024), arrowpq.WithStats(true)},
		"gzip, v2":     {arrowpq.WithCompression(compress.Codecs.Gzip), arrowpq.WithDataPageVersion(arrowpq.DataPageV2), arrowpq.WithVersion(arrowpq.V2_LATEST)},
		"dictionary":   {arrowpq.WithDictionaryDefault(true), arrowpq.WithDictionaryPageSizeLimit(2000), arrowpq.WithDataPageSize(512)},
		"delta, split": {arrowpq.WithDictionaryDefault(false), arrowpq.WithEncodingFor("volume", arrowpq.Encodings.DeltaBinaryPacked), arrowpq.WithEncodingFor("close", arrowpq.Encodings.ByteStreamSplit), arrowpq.WithEncodingFor("note", arrowpq.Encodings.DeltaLengthByteArray)},
		"version 1":    {arrowpq.WithVersion(arrowpq.V1_0), arrowpq.WithCompression(compress.Codecs.Snappy)},
	}
}

var update = flag.Bool("update", false, "write the files of marshal/parquet/testdata/foreign anew")

// TestForeignFiles leaves files for the tests of the codec, which run where
// neither DuckDB nor Arrow is.
func TestForeignFiles(t *testing.T) {
	if !*update {
		t.Skip("run with -update to write the files anew")
	}
	dir := "../../marshal/parquet/testdata/foreign"
	source := "../../marshal/parquet/testdata/golden/bars-plain.parquet"
	db := duck(t)
	for name, opts := range map[string]string{
		"snappy": "COMPRESSION snappy", "zstd-v2": "COMPRESSION zstd, PARQUET_VERSION V2", "gzip": "COMPRESSION gzip", "plain": "COMPRESSION uncompressed",
		"lz4-unsupported": "COMPRESSION lz4_raw", "brotli-unsupported": "COMPRESSION brotli",
	} {
		mustExec(t, db, fmt.Sprintf("COPY (SELECT * FROM read_parquet('%s') ORDER BY Date LIMIT 20) TO '%s/duckdb-%s.parquet' (FORMAT parquet, %s)", source, dir, name, opts))
	}
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), arrowpq.NewReaderProperties(memory.DefaultAllocator),
		pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	reader := array.NewTableReader(table, 20)
	defer reader.Release()
	reader.Next()
	first := array.NewTableFromRecords(table.Schema(), []arrow.RecordBatch{reader.RecordBatch()})
	defer first.Release()
	for name, opts := range map[string][]arrowpq.WriterProperty{
		"snappy": {arrowpq.WithCompression(compress.Codecs.Snappy), arrowpq.WithVersion(arrowpq.V2_6)},
		"zstd":   {arrowpq.WithCompression(compress.Codecs.Zstd), arrowpq.WithDataPageVersion(arrowpq.DataPageV2), arrowpq.WithVersion(arrowpq.V2_6)},
		"delta": {arrowpq.WithDictionaryDefault(false), arrowpq.WithVersion(arrowpq.V2_6),
			arrowpq.WithEncodingFor("Volume", arrowpq.Encodings.DeltaBinaryPacked), arrowpq.WithEncodingFor("Close", arrowpq.Encodings.ByteStreamSplit)},
	} {
		var out bytes.Buffer
		if err := pqarrow.WriteTable(first, &out, 1000, arrowpq.NewWriterProperties(opts...), pqarrow.DefaultWriterProps()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "arrow-"+name+".parquet"), out.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
