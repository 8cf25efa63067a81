package market

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestReadCSVShippedFile(t *testing.T) {
	p, err := readCSV(bytes.NewReader(priceFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.bars) != 31 {
		t.Errorf("%d symbols, want 31", len(p.bars))
	}
	rows := 0
	for symbol, bars := range p.bars {
		rows += len(bars)
		if _, ok := listings[symbol]; !ok {
			t.Errorf("%s is not in listings", symbol)
		}
	}
	if rows != 7781 {
		t.Errorf("%d rows, want all 7781 of the file", rows)
	}
	// Counted with awk: NR>1 && /,,/ for the rows.
	if want := (Gaps{Rows: 24, Cells: 52}); p.gaps != want {
		t.Errorf("gaps = %+v, want %+v", p.gaps, want)
	}
}

func TestReadCSVKeepsRowsWithGaps(t *testing.T) {
	p, err := readCSV(strings.NewReader(
		"Date,Open,High,Low,Close,Volume,Name\n" +
			"2017-07-28,1,4,0.5,2,10,A\n" +
			"2017-07-31,,,1.5,2.5,20,A\n"))
	if err != nil {
		t.Fatal(err)
	}
	bars := p.bars["A"]
	if len(bars) != 2 {
		t.Fatalf("%d bars, want both", len(bars))
	}
	if want := (Bar{time.Date(2017, 7, 28, 0, 0, 0, 0, time.UTC), 1, 4, 0.5, 2, 10, 0}); bars[0] != want {
		t.Errorf("bar = %+v, want %+v", bars[0], want)
	}
	b := bars[1]
	if !math.IsNaN(b.Open) || !math.IsNaN(b.High) || b.Low != 1.5 || b.Close != 2.5 || b.Volume != 20 || b.Unknown != 2 {
		t.Errorf("bar with gaps = %+v", b)
	}
	if want := (Gaps{Rows: 1, Cells: 2}); p.gaps != want {
		t.Errorf("gaps = %+v, want %+v", p.gaps, want)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	const head = "Date,Open,High,Low,Close,Volume,Name\n"
	tests := []struct{ name, file, want string }{
		{"empty file", "", "EOF"},
		{"other columns", "Date,Open,High,Low,Last,Volume,Name\n", "columns"},
		{"short row", head + "2017-01-03,1,1,1\n", "line 2"},
		{"bad date", head + "2017-13-03,1,1,1,1,1,A\n", "line 2"},
		{"bad price", head + "2017-01-03,x,1,1,1,1,A\n", "Open"},
		{"price of nothing", head + "2017-01-03,1,1,0,1,1,A\n", "Low"},
		{"infinite price", head + "2017-01-03,1,Inf,1,1,1,A\n", "High"},
		{"price that is no number", head + "2017-01-03,1,1,1,NaN,1,A\n", "Close"},
		{"no close", head + "2017-01-03,1,1,1,,1,A\n", "no close"},
		{"bad volume", head + "2017-01-03,1,1,1,1,1.5,A\n", "Volume"},
		{"negative volume", head + "2017-01-03,1,1,1,1,-1,A\n", "Volume"},
		{"no symbol", head + "2017-01-03,1,1,1,1,1,\n", "no symbol"},
		{"day twice", head + "2017-01-03,1,1,1,1,1,A\n2017-01-03,1,1,1,1,1,A\n", "line 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readCSV(strings.NewReader(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}
