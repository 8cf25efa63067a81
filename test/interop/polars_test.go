package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// polars runs a script for Node.js with polars as pl and the arguments as args,
// and returns what it prints. The test is skipped where node or the module is
// missing: npm install nodejs-polars nodejs-polars-linux-x64-gnu somewhere, and
// set NODE_PATH to its node_modules. polars has a Parquet reader and writer of its
// own, in Rust.
func polars(t *testing.T, script string, args ...string) []string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped, for there is no node")
	}
	if err := exec.Command(node, "-e", "require('nodejs-polars')").Run(); err != nil {
		t.Skipf("skipped, for node finds no nodejs-polars: install it with npm and set NODE_PATH (%v)", err)
	}
	script = "const pl = require('nodejs-polars'), args = process.argv.slice(1)\n" + script
	out, err := exec.Command(node, append([]string{"-e", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestPolarsReadsTables(t *testing.T) {
	var files []string
	for _, opts := range layouts {
		files = append(files, write(t, bars(250, 500), opts))
	}
	got := polars(t, `
for (const file of args) {
	const df = pl.readParquet(file)
	console.log(df.height, df.columns.map((c, i) => c + " " + String(df.dtypes[i]).replace(/DataType\((.*)\)/, "$1")).join(", "))
	console.log(df.getColumn("volume").sum(), df.getColumn("close").max(), df.getColumn("close").min(), df.getColumn("date").max())
}`, files...)
	want := []string{
		"250 date Datetime(us,UTC), open Float64, high Float64, low Float64, close Float64, volume Int64",
		"31125000 500 437.75 1694131200000000",
	}
	for i, line := range got {
		if line != want[i%2] {
			t.Errorf("polars says\n%s\nwant\n%s", line, want[i%2])
		}
	}
	if len(got) != 2*len(files) {
		t.Errorf("%d lines for %d files", len(got), len(files))
	}
}

func TestPolarsReadsSegments(t *testing.T) {
	dir := t.TempDir()
	s := openDisk(t, dir, nil)
	for _, key := range []string{"price:AAPL", "price:BTC/USDT", "price:é"} {
		set(t, s, key, store.Entry{Value: []byte("169.23"), Codec: "text", Version: 7, Expires: time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)})
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "kv", "*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	// JavaScript has no type for polars' binary columns: keys and values are cast.
	got := polars(t, `
const all = pl.readParquet(args[0])
const df = all.select(pl.col("key").cast(pl.Utf8), pl.col("value").cast(pl.Utf8), pl.col("codec"), pl.col("expires_at"), pl.col("version"))
console.log(df.dtypes.map(String).join())
for (const r of df.sort("key").rows()) console.log(r[0], r[1], r[2], r[3].toISOString(), String(r[4]))
`, files[0])
	want := []string{"DataType(String),DataType(String),DataType(String),DataType(Datetime(us,UTC)),DataType(UInt64)"}
	for _, key := range []string{"price:AAPL", "price:BTC/USDT", "price:é"} {
		want = append(want, key+" 169.23 text 2150-01-01T00:00:00.000Z 7")
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("polars says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPolarsWrites(t *testing.T) {
	dir := t.TempDir()
	polars(t, `
const rows = 5, at = i => new Date(Date.UTC(2023, 0, 2 + i)), price = i => 10 - (rows - 1 - i) / 4
const range = f => [...Array(rows).keys()].map(f)
const df = pl.DataFrame({
	volume: range(i => i * 1000), close: range(price), open: range(i => price(i) - 1),
	high: range(i => price(i) + 1.5), low: range(i => price(i) - 1.5), name: range(() => "x"), date: range(at),
})
for (const compression of ["uncompressed", "snappy", "zstd", "gzip"]) df.writeParquet(args[0] + "/" + compression + ".parquet", {compression})
`, dir)
	files, _ := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if len(files) != 4 {
		t.Fatalf("polars wrote %v", files)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := codec[[]Bar](t, nil).Decode(data)
		if err != nil || !reflect.DeepEqual(got, bars(5, 10)) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", filepath.Base(file), err, got, bars(5, 10))
		}
	}
}
