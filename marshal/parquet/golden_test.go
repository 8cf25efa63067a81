package parquet_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stratacache/strata/marshal/parquet"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// golden are the options of the files in testdata/golden.
var golden = map[string]*parquet.Options{
	"plain":   {RowGroupRows: 16},
	"checked": {Checksums: true},
	"snappy":  {Compression: parquet.Snappy},
	"compact": {Encoding: parquet.Compact},
	"zstd":    {Encoding: parquet.Compact, Compression: parquet.Zstd},
}

// TestGolden reads the files that the first version wrote; every later one must
// do so. Where no compressor of another project takes part, the bytes that are
// written today are compared as well: a change of the layout shall be seen.
func TestGolden(t *testing.T) {
	for name, opts := range golden {
		t.Run(name, func(t *testing.T) {
			c, b := newCodec[[]All](t, opts), newCodec[[]Bar](t, opts)
			checkGolden(t, c, "all-"+name, all(30), opts)
			checkGolden(t, b, "bars-"+name, bars(30), opts)
			checkGolden(t, b, "empty-"+name, []Bar{}, opts)
		})
	}
}

func checkGolden[V any](t *testing.T, c *parquet.Codec[V], name string, want V, opts *parquet.Options) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".parquet")
	if *update {
		if err := os.WriteFile(file, encode(t, c, want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
	}
	if opts.Compression == parquet.Uncompressed && strconv.IntSize == 64 && !bytes.Equal(data, encode(t, c, want)) {
		t.Errorf("%s: today's layout is another", name)
	}
}

// TestForeignFiles reads files of 20 bars that DuckDB and Apache Arrow wrote,
// as the tests in test/interop left them here.
func TestForeignFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/foreign/*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	c := newCodec[[]Bar](t, nil)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(data)
		if strings.Contains(file, "unsupported") {
			checkError(t, err)
			if err == nil {
				t.Errorf("%s was read", file)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, bars(20)) {
			t.Errorf("%s: %v, got %+v", file, err, got)
		}
	}
}
