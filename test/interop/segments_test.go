package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// newestQuery is the query of docs/format.md: the live entries.
func newestQuery(dir string) string {
	return fmt.Sprintf(`SELECT key, decode(value), codec, expires_at, version, tags FROM (
		SELECT *, row_number() OVER (PARTITION BY key ORDER BY written_at DESC) AS n
		FROM read_parquet('%s/kv/*.parquet')
	) WHERE n = 1 AND kind = 0 AND expires_at > now() ORDER BY key`, dir)
}

func openDisk(t testing.TB, dir string, opts *diskstore.Options) *diskstore.Store {
	t.Helper()
	s, err := diskstore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func set(t testing.TB, s *diskstore.Store, key string, e store.Entry) {
	t.Helper()
	if err := s.Set(context.Background(), key, e); err != nil {
		t.Fatal(err)
	}
}

// TestDuckDBSegments reads the segments of a store in use: what was replaced or
// deleted does not show, and values, types and deadlines are right.
func TestDuckDBSegments(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := openDisk(t, dir, nil)
	flush := func() {
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	expires := time.Date(2150, 1, 2, 3, 4, 5, 678_000, time.UTC)
	for i := range 300 {
		set(t, s, fmt.Sprintf("k%03d", i), store.Entry{Value: []byte("first")})
	}
	set(t, s, "gone", store.Entry{Value: []byte("x"), Expires: time.Now().Add(time.Second)})
	flush()
	for i := range 200 {
		set(t, s, fmt.Sprintf("k%03d", i), store.Entry{
			Value: fmt.Appendf(nil, `{"i":%d}`, i), Expires: expires, Version: 1<<63 + uint64(i), Codec: "json", Tags: []string{"t", "ü"},
		})
	}
	flush()
	for i := range 100 {
		if err := s.Delete(ctx, fmt.Sprintf("k%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	set(t, s, "\xff\x00raw", store.Entry{Value: []byte("raw")})
	flush()
	time.Sleep(time.Until(time.Now().Add(1100 * time.Millisecond)))

	db := duck(t)
	check := func() {
		t.Helper()
		rows := query(t, db, newestQuery(dir))
		if len(rows) != 201 {
			t.Fatalf("%d rows, want 201", len(rows))
		}
		for i, r := range rows[:200] {
			n := i + 100
			want := []string{fmt.Sprintf("k%03d", n), "first", "", "2200-01-01T00:00:00Z", "0", ""}
			if n < 200 {
				want = []string{want[0], fmt.Sprintf(`{"i":%d}`, n), "json", expires.Format(time.RFC3339Nano), fmt.Sprint(1<<63 + uint64(n)), `["t","ü"]`}
			}
			if strings.Join(r, "|") != strings.Join(want, "|") {
				t.Fatalf("row %q, want %q", r, want)
			}
		}
		if r := rows[200]; r[0] != "\uFFFDff00726177" || r[1] != "raw" {
			t.Errorf("key that is no text: %q", r)
		}
	}
	check()
	if err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	check()
	schema := query(t, db, fmt.Sprintf("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet('%s/kv/*.parquet'))", dir))
	want := "[[value BLOB] [key VARCHAR] [expires_at TIMESTAMP WITH TIME ZONE] [fresh_until TIMESTAMP WITH TIME ZONE] " +
		"[written_at TIMESTAMP WITH TIME ZONE] [version UBIGINT] [kind TINYINT] [codec VARCHAR] [tags VARCHAR]]"
	if got := fmt.Sprint(schema); got != want {
		t.Errorf("schema %s\nwant   %s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestDuckDBLiveTables queries the tables of a store while it replaces them:
// each key shows once, whole, in one version.
func TestDuckDBLiveTables(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := openDisk(t, dir, &diskstore.Options{Partitioner: policy.MarketData(), Sync: diskstore.SyncNever})
	c := codec[[]Bar](t, nil)
	symbols := []string{"AAPL", "BTC/USDT", "..", "brk.b", "BRK.B"}
	put := func(symbol string, round int) {
		v, err := c.Append(nil, bars(20, float64(round)))
		if err != nil {
			t.Error(err)
		}
		key := policy.MustPattern("hist:{symbol}:{interval}:{period}").Key(symbol, "1d", "1y")
		if err := s.Set(ctx, key, store.Entry{Value: v, Codec: c.Name()}); err != nil {
			t.Error(err)
		}
	}
	for _, symbol := range symbols {
		put(symbol, 0)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for round := 1; ; round++ {
			select {
			case <-done:
				return
			default:
			}
			put(symbols[round%len(symbols)], round)
		}
	})
	db := duck(t)
	q := fmt.Sprintf("SELECT symbol, count(*), max(close) FROM read_parquet('%s/tables/hist/**/*.parquet', hive_partitioning = true) GROUP BY symbol ORDER BY symbol", filepath.ToSlash(dir))
	for range 20 {
		rows := query(t, db, q)
		if len(rows) != len(symbols) {
			t.Fatalf("%d symbols: %q", len(rows), rows)
		}
		for _, r := range rows {
			if r[1] != "20" {
				t.Fatalf("%s has %s rows", r[0], r[1])
			}
		}
	}
	close(done)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if rows := query(t, db, q); len(rows) != len(symbols) {
		t.Fatalf("after Close: %q", rows)
	}
}
