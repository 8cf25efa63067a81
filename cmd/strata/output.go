package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"
)

// printJSON writes v as indented JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return fail(enc.Encode(v))
}

// printLine writes v as JSON on one line.
func (a *app) printLine(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return fail(enc.Encode(v))
}

// onTerminal reports whether output goes to a terminal.
func (a *app) onTerminal() bool {
	f, ok := a.out.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// table writes rows in columns, the first being the heading.
func (a *app) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, printable(cell))
		}
		fmt.Fprintln(w)
	}
	return fail(w.Flush())
}

// printable shows what could confuse a terminal or a table in escaped form.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\ufffd' || 0x80 <= r && r < 0xa0 }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// span writes a duration as people do: "5m", not "5m0s".
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// ttl writes a rule's TTL.
func ttl(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return span(d)
}

// size writes a number of bytes.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 4 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}

// until writes a deadline and what is left to it.
func until(t time.Time, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	left := t.Sub(now)
	if left < time.Minute {
		return span(left.Round(time.Millisecond))
	}
	return span(left.Round(time.Second))
}
