package market

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// writeTable prints where the answers of a pass came from and how long the
// questions took. tiers are the columns between the topic and "loaded".
func writeTable(w io.Writer, title string, lines []line, tiers []string) error {
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	columns := append(append([]string(nil), tiers...), loaded)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprintf(t, "%v\t", c) // the error comes from Flush
		}
		_, _ = fmt.Fprintln(t)
	}
	row(append(append([]any{"", "answers"}, each(columns, func(c string) any { return c })...), "API calls", "median", "slowest")...)
	sum := line{Topic: "all", From: map[string]int{}}
	for _, l := range lines {
		row(l.cells(columns)...)
		sum.Answers += l.Answers
		sum.Calls += l.Calls
		for from, n := range l.From {
			sum.From[from] += n
		}
	}
	row(sum.cells(columns)...)
	return t.Flush()
}

func (l *line) cells(columns []string) []any {
	cells := []any{l.Topic, l.Answers}
	for _, c := range columns {
		cells = append(cells, l.From[c])
	}
	cells = append(cells, l.Calls)
	if n := len(l.Took); n > 0 {
		cells = append(cells, round(l.Took[n/2]), round(l.Took[n-1]))
	}
	return cells
}

// round returns d with three digits or so.
func round(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// outcome is what --json prints.
type outcome struct {
	APICalls int64 `json:"api_calls"`
	Hits     struct {
		Memory int64 `json:"memory"`
		Redis  int64 `json:"redis"`
		Disk   int64 `json:"disk"`
	} `json:"hits"`
	Keys int    `json:"keys"`
	Dir  string `json:"dir"`
}

// writeJSON prints o as one line.
func writeJSON(w io.Writer, o outcome) error {
	return json.NewEncoder(w).Encode(o)
}

// writeFindings prints the best of the screening and of the backtest.
func writeFindings(w io.Writer, candidates []Candidate, results []Result) error {
	const top = 5
	var b strings.Builder
	fmt.Fprintf(&b, "\nScreening: %d companies above their %d-day average; the strongest of them over %d days\n",
		len(candidates), screenAverage, screenGain)
	for _, c := range candidates[:min(top, len(candidates))] {
		fmt.Fprintf(&b, "  %-6s %8.2f  %+6.1f %%\n", c.Symbol, c.Close, 100*c.Gain)
	}
	gain, hold, trades := 0.0, 0.0, int64(0)
	for _, r := range results {
		gain += r.Gain / float64(len(results))
		hold += r.Hold / float64(len(results))
		trades += r.Trades
	}
	fmt.Fprintf(&b, "\nBacktest: %d-week average above %d-week average, %d companies in equal parts, %d trades\n"+
		"  %+.1f %%, against %+.1f %% for buying and holding\n",
		shortAverage, longAverage, len(results), trades, 100*gain, 100*hold)
	_, err := io.WriteString(w, b.String())
	return err
}
