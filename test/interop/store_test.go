package interop

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// histTables lays out keys such as hist:AAPL:1d:1y.
type histTables struct{}

func (histTables) Partition(key string) (string, []store.Part, bool) {
	s := strings.Split(key, ":")
	if len(s) != 4 || s[0] != "hist" {
		return "", nil, false
	}
	return "hist", []store.Part{{Name: "symbol", Value: s[1]}, {Name: "interval", Value: s[2]}, {Name: "period", Value: s[3]}}, true
}

func openStore(t testing.TB, dir string) *diskstore.Store {
	t.Helper()
	s, err := diskstore.Open(dir, &diskstore.Options{Partitioner: histTables{}, Sync: diskstore.SyncNever, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// setTable stores bars that end at last under the key of symbol.
func setTable(ctx context.Context, s *diskstore.Store, symbol string, version uint64, rows int, last float64, enc func([]Bar) ([]byte, error)) error {
	data, err := enc(bars(rows, last))
	if err != nil {
		return err
	}
	return s.Set(ctx, "hist:"+symbol+":1d:1y", store.Entry{Value: data, Version: version, Codec: "parquet"})
}

// TestStoreTables runs the documented query over the tables of a store in use,
// while another goroutine replaces them, and once more after it was closed.
func TestStoreTables(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := openStore(t, dir)
	c := codec[[]Bar](t, nil)
	enc := func(v []Bar) ([]byte, error) { return c.Append(nil, v) }
	symbols := []string{"AAPL", "BTC/USDT", "aapl", "^GSPC", "0700.HK"}
	for _, symbol := range symbols {
		if err := setTable(ctx, s, symbol, 1, 20, 1000, enc); err != nil {
			t.Fatal(err)
		}
	}
	var done atomic.Bool
	var version atomic.Int64
	version.Store(1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		for v := 1001; !done.Load(); v++ {
			for _, symbol := range symbols {
				if err := setTable(ctx, s, symbol, uint64(v), 20, float64(v), enc); err != nil {
					t.Error(err)
					return
				}
			}
			version.Store(int64(v))
		}
	})
	db := duck(t)
	check := func() {
		least := version.Load()
		got := query(t, db, globQuery(dir))
		if len(got) != len(symbols) {
			t.Fatalf("%d symbols: %q", len(got), got)
		}
		seen := map[string]bool{}
		for _, r := range got {
			last, err := strconv.ParseFloat(r[1], 64)
			if err != nil || int64(last) < least {
				t.Fatalf("row %q, version at least %d", r, least)
			}
			seen[r[0]] = true
		}
		for _, symbol := range symbols {
			if !seen[symbol] {
				t.Fatalf("no row of %q in %q", symbol, got)
			}
		}
	}
	for range 30 {
		check()
	}
	done.Store(true)
	wg.Wait()
	if err := s.Delete(ctx, "hist:aapl:1d:1y"); err != nil {
		t.Fatal(err)
	}
	symbols = []string{"AAPL", "BTC/USDT", "^GSPC", "0700.HK"}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check()
	t.Logf("%d replacements of each table", version.Load()-1000)
}

// newestRows is the query of docs/format.md for what a store holds.
func newestRows(dir string) string {
	return `SELECT key, decode(value) AS text, codec, expires_at, kind FROM (
		SELECT *, row_number() OVER (PARTITION BY key ORDER BY written_at DESC) AS n
		FROM read_parquet('` + dir + `/kv/*.parquet')
	) WHERE n = 1 AND kind = 0 AND expires_at > now() ORDER BY key`
}

// TestStoreSegments reads the segments of a directory in use.
func TestStoreSegments(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := openStore(t, dir)
	set := func(key, value string, version uint64, expires time.Time) {
		t.Helper()
		e := store.Entry{Value: []byte(value), Version: version, Codec: "json", Expires: expires}
		if err := s.Set(ctx, key, e); err != nil {
			t.Fatal(err)
		}
	}
	flush := func() {
		t.Helper()
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
	for round := range 4 { // four segments, in which all keys have four versions
		for i := range 50 {
			set(fmt.Sprintf("info:S%02d", i), fmt.Sprintf(`{"round":%d}`, round), uint64(round+1), time.Time{})
		}
		set("price:ünï", fmt.Sprint(100+round), 0, soon)
		flush()
	}
	for i := range 10 {
		if err := s.Delete(ctx, fmt.Sprintf("info:S%02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	set("gone", "x", math.MaxInt64, time.Now().Add(20*time.Millisecond))
	flush()
	time.Sleep(time.Until(time.Now().Add(30 * time.Millisecond))) // DuckDB reads the real clock
	db := duck(t)

	var types []string
	for _, r := range query(t, db, "DESCRIBE SELECT * FROM read_parquet('"+filepath.Join(dir, "kv")+"/*.parquet')") {
		types = append(types, r[0]+" "+r[1])
	}
	want := "value BLOB, key VARCHAR, expires_at TIMESTAMP WITH TIME ZONE, fresh_until TIMESTAMP WITH TIME ZONE, " +
		"written_at TIMESTAMP WITH TIME ZONE, version UBIGINT, kind TINYINT, codec VARCHAR, tags VARCHAR"
	if got := strings.Join(types, ", "); got != want {
		t.Errorf("types\n got %s\nwant %s", got, want)
	}
	checkNewest := func() {
		t.Helper()
		got := query(t, db, newestRows(dir))
		if len(got) != 41 {
			t.Fatalf("%d rows: %q", len(got), got)
		}
		for i, r := range got[:40] {
			if r[0] != fmt.Sprintf("info:S%02d", i+10) || r[1] != `{"round":3}` || r[2] != "json" || r[3] != "2200-01-01T00:00:00Z" {
				t.Errorf("row %q", r)
			}
		}
		if r := got[40]; r[0] != "price:ünï" || r[1] != "103" || r[3] != soon.Format(time.RFC3339Nano) {
			t.Errorf("row %q", r)
		}
	}
	checkNewest()
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	checkNewest()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkNewest()
}
