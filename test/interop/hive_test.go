package interop

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stratacache/strata/marshal/parquet"
)

// globQuery is the query of the documentation.
func globQuery(dir string) string {
	return "SELECT symbol, max(close) FROM read_parquet('" + dir + "/tables/hist/**/*.parquet', hive_partitioning=true) GROUP BY symbol ORDER BY symbol"
}

// replaceTable puts bars in the place of a table as the disk store does: by a
// rename from a name that the glob does not match.
func replaceTable(t testing.TB, c *parquet.Codec[[]Bar], dir string, v []Bar) {
	t.Helper()
	data, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, ".strata-1.tmp")
	if err := os.WriteFile(tmp, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, "data.parquet")); err != nil {
		t.Fatal(err)
	}
}

// TestHiveNames proves that DuckDB gives back the parts of a key from the paths
// that the table files get, which the tests of that package keep in a list.
func TestHiveNames(t *testing.T) {
	f, err := os.Open("../../store/diskstore/internal/table/testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root := t.TempDir()
	c := codec[[]Bar](t, nil)
	want := map[string]bool{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		quoted, rel, ok := strings.Cut(sc.Text(), "\t")
		symbol, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("line %q: %v", sc.Text(), err)
		}
		if strings.Contains(rel, "~") {
			continue // shortened: has no way back
		}
		want[symbol] = true
		replaceTable(t, c, filepath.Join(root, rel), bars(3, 10))
	}
	got := query(t, duck(t), globQuery(root))
	for _, r := range got {
		if !want[r[0]] {
			t.Errorf("DuckDB reads the symbol %q, which no key has", r[0])
		}
		delete(want, r[0])
	}
	for symbol := range want {
		t.Errorf("DuckDB does not read the symbol %q", symbol)
	}
}

// TestGlobDuringReplacement runs the documented query while tables are replaced:
// it must always see each key once, in one of its versions.
func TestGlobDuringReplacement(t *testing.T) {
	root := t.TempDir()
	const symbols, rows = 8, 20
	c := codec[[]Bar](t, nil)
	dir := func(i int) string {
		return filepath.Join(root, fmt.Sprintf("tables/hist/symbol=S%d/interval=1d/period=1y", i))
	}
	for i := range symbols {
		replaceTable(t, c, dir(i), bars(rows, 1000))
	}
	var done atomic.Bool
	var version atomic.Int64
	version.Store(1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		for v := 1001; !done.Load(); v++ {
			for i := range symbols {
				replaceTable(t, c, dir(i), bars(rows, float64(v)))
			}
			version.Store(int64(v))
		}
	})
	db := duck(t)
	for range 60 {
		least := version.Load()
		got := query(t, db, "SELECT symbol, max(close), count(*), count(DISTINCT date) FROM read_parquet('"+root+
			"/tables/hist/**/*.parquet', hive_partitioning=true) GROUP BY symbol ORDER BY symbol")
		if len(got) != symbols {
			t.Fatalf("%d symbols: %q", len(got), got)
		}
		for i, r := range got {
			last, err := strconv.ParseFloat(r[1], 64)
			if err != nil || r[0] != fmt.Sprintf("S%d", i) || int64(last) < least || r[2] != strconv.Itoa(rows) || r[3] != r[2] {
				t.Fatalf("row %q, version at least %d", r, least)
			}
		}
	}
	done.Store(true)
	wg.Wait()
	t.Logf("%d replacements of each table", version.Load()-1000)
}
