package market

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// header is the first line of the price file.
var header = []string{"Date", "Open", "High", "Low", "Close", "Volume", "Name"}

// prices are the rows of a price file.
type prices struct {
	bars map[string][]Bar // by symbol, in the order of their dates
	gaps Gaps
}

// Gaps counts what a price file lacks.
type Gaps struct {
	Rows  int `json:"rows"`  // rows with at least one empty cell
	Cells int `json:"cells"` // empty cells
}

// readCSV reads a price file. An empty price is kept as NaN and counted. A row
// without a close, or one that is not understood, is an error that names its
// line: to leave it out would change every average computed from the file.
func readCSV(r io.Reader) (*prices, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(header)
	in.ReuseRecord = true
	first, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	if !slices.Equal(first, header) {
		return nil, fmt.Errorf("prices: columns are %q, want %q", first, header)
	}
	p := &prices{bars: map[string][]Bar{}}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err == nil {
			err = p.add(row)
		}
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("prices: line %d: %w", line, err)
		}
	}
}

// add appends one row.
func (p *prices) add(row []string) error {
	bar, err := parseBar(row)
	if err != nil {
		return err
	}
	symbol := row[6]
	if symbol == "" {
		return errors.New("no symbol")
	}
	bars := p.bars[symbol]
	if n := len(bars); n > 0 && !bars[n-1].Date.Before(bar.Date) {
		return fmt.Errorf("%s: %s does not come after the row before it", symbol, row[0])
	}
	p.bars[symbol] = append(bars, bar)
	if bar.Unknown > 0 {
		p.gaps.Rows++
		p.gaps.Cells += int(bar.Unknown)
	}
	return nil
}

func parseBar(row []string) (Bar, error) {
	var b Bar
	var err error
	if b.Date, err = time.Parse(time.DateOnly, row[0]); err != nil {
		return b, err
	}
	if row[4] == "" {
		return b, errors.New("no close")
	}
	for i, to := range []*float64{&b.Open, &b.High, &b.Low, &b.Close} {
		cell := row[1+i]
		if cell == "" {
			*to = math.NaN()
			b.Unknown++
			continue
		}
		if *to, err = strconv.ParseFloat(cell, 64); err != nil {
			return b, fmt.Errorf("%s: %w", header[1+i], err)
		}
		if !(*to > 0) || math.IsInf(*to, 0) {
			return b, fmt.Errorf("%s: %s is not a price", header[1+i], cell)
		}
	}
	if b.Volume, err = strconv.ParseInt(row[5], 10, 64); err != nil {
		return b, fmt.Errorf("%s: %w", header[5], err)
	}
	if b.Volume < 0 {
		return b, fmt.Errorf("%s: %d is negative", header[5], b.Volume)
	}
	return b, nil
}
