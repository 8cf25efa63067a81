package diskstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/alloctest"
	"github.com/stratacache/strata/marshal/parquet"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// Day is a row of a price history.
type Day struct {
	Date   time.Time
	Close  float64
	Volume int64
}

func history(days int) []Day {
	rows := make([]Day, days)
	for i := range rows {
		rows[i] = Day{time.Date(2024, 1, 1+i, 0, 0, 0, 0, time.UTC), 100 + float64(i), int64(i)}
	}
	return rows
}

// Bars between two dates, of a table that stays where it is: nothing is copied,
// and only the rows and columns that are asked for are decoded.
func ExampleStore_View_range() {
	dir, err := os.MkdirTemp("", "strata")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	disk, err := diskstore.Open(dir, &diskstore.Options{Partitioner: policy.MarketData()})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	bars, err := parquet.New[[]Day](nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	table, err := bars.Append(nil, history(366))
	if err != nil {
		log.Fatal(err)
	}
	if err := disk.Set(ctx, "hist:AAPL:1d:1y", store.Entry{Value: table, Codec: bars.Name()}); err != nil {
		log.Fatal(err)
	}

	view, err := disk.View(ctx, "hist:AAPL:1d:1y")
	if err != nil {
		log.Fatal(err)
	}
	defer view.Release()
	march, err := bars.Range(view.Value, time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC), "Close")
	fmt.Println(len(march), march[0].Date.Format(time.DateOnly), march[0].Close, march[0].Volume, err)
	// Output: 31 2024-03-01 160 0 <nil>
}

// A range of a large table costs what the range does.
func TestRangeOfATableTakesNoMoreThanItsRows(t *testing.T) {
	disk, err := diskstore.Open(t.TempDir(), &diskstore.Options{Partitioner: policy.MarketData()})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	bars, err := parquet.New[[]Day](nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := history(100_000)
	table, err := bars.Append(nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	const key = "hist:AAPL:1d:max"
	if err := disk.Set(t.Context(), key, store.Entry{Value: table, Codec: bars.Name()}); err != nil {
		t.Fatal(err)
	}
	var got []Day
	read := func() {
		view, err := disk.View(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer view.Release()
		if got, err = bars.Range(view.Value, rows[70_000].Date, rows[70_020].Date); err != nil {
			t.Fatal(err)
		}
	}
	read() // opens and checks the file
	if used := min(alloctest.Bytes(read), alloctest.Bytes(read)); used > 32<<10 {
		t.Errorf("20 rows of 100,000 allocate %d bytes; the table has %d", used, len(table))
	}
	if len(got) != 20 || got[0] != rows[70_000] || got[19] != rows[70_019] {
		t.Errorf("%d rows from %v", len(got), got)
	}
}
