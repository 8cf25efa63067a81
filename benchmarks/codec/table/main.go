// Table prints a table of codecs in Markdown: what values take, and how long they
// take to encode and decode.
//
//	go run ./codec/table [-full] [-rounds 31] [-note TEXT] [-write FILE]
//
// With -write it replaces the table in a file, between the lines
// "<!-- codecs: begin -->" and "<!-- codecs: end -->".
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stratacache/strata/benchmarks/codec"
)

func main() {
	full := flag.Bool("full", false, "a row for each codec and value, with allocations and ratios")
	rounds := flag.Int("rounds", 31, "turns that each codec takes")
	note := flag.String("note", "", "what else a reader should know of the machine")
	file := flag.String("write", "", "replace the table in this file")
	flag.Parse()
	table, err := run(*full, max(1, *rounds), *note)
	if err == nil && *file != "" {
		err = replace(*file, table)
	} else if err == nil {
		_, err = os.Stdout.Write(table)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

const begin, end = "<!-- codecs: begin -->\n", "<!-- codecs: end -->\n"

// replace puts the table between the marks of a file.
func replace(file string, table []byte) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the lines %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+string(table)+"\n"+end+after), 0o644)
}

func run(full bool, rounds int, note string) ([]byte, error) {
	values, err := codec.Values()
	if err != nil {
		return nil, err
	}
	var all [][]codec.Result
	for _, v := range values {
		results, err := codec.Measure(v, rounds)
		if err != nil {
			return nil, err
		}
		all = append(all, results)
	}
	var out bytes.Buffer
	if full {
		long(&out, values, all)
	} else {
		short(&out, values, all)
	}
	targets(&out, values, all)
	fmt.Fprintf(&out, "\nMeasured with %s on %s/%s, %d processors, %d rounds", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), rounds)
	if note != "" {
		note = "; " + note
	}
	fmt.Fprintf(&out, "%s.\n", note)
	return out.Bytes(), nil
}

// short has a row for each codec and a column for each value.
func short(out *bytes.Buffer, values []codec.Value, all [][]codec.Result) {
	head, rule := "| codec |", "| --- |"
	var names []string
	for i, v := range values {
		head, rule = head+" "+v.Name+" |", rule+" --- |"
		for _, r := range all[i] {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	fmt.Fprintf(out, "%s\n%s\n", head, rule)
	for _, name := range names {
		fmt.Fprintf(out, "| %s |", name)
		for i := range values {
			if j := slices.IndexFunc(all[i], func(r codec.Result) bool { return r.Name == name }); j < 0 {
				fmt.Fprint(out, " |")
			} else {
				r := all[i][j]
				fmt.Fprintf(out, " %s B: %s, %s |", grouped(r.Bytes), brief(r.Encode), brief(r.Decode))
			}
		}
		fmt.Fprintln(out)
	}
}

func long(out *bytes.Buffer, values []codec.Value, all [][]codec.Result) {
	for i, v := range values {
		fmt.Fprintf(out, "\n| %s | bytes | encode | speed | allocs | decode | speed | allocs |\n| --- |%s\n", v.Name, strings.Repeat(" ---: |", 7))
		for _, r := range all[i] {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, grouped(r.Bytes),
				brief(r.Encode), times(r.XEncode), grouped(r.EncodeAllocs), brief(r.Decode), times(r.XDecode), grouped(r.DecodeAllocs))
		}
	}
}

// targets prints how tables compare with encoding/json.
func targets(out *bytes.Buffer, values []codec.Value, all [][]codec.Result) {
	fmt.Fprintln(out)
	for i, v := range values {
		var base, table codec.Result
		for _, r := range all[i] {
			switch r.Name {
			case codec.Base:
				base = r
			case "strata parquet":
				table = r
			}
		}
		if table.Bytes > 0 {
			fmt.Fprintf(out, "%s as Parquet: %.2f of the bytes of encoding/json, encoded %s, decoded %s as fast.\n",
				v.Name, float64(table.Bytes)/float64(base.Bytes), times(table.XEncode), times(table.XDecode))
		}
	}
}

// brief prints a time with two or three digits.
func brief(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.2g µs", float64(d.Nanoseconds())/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2g ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}

func times(x float64) string {
	if x >= 10 {
		return fmt.Sprintf("%.0fx", x)
	}
	return fmt.Sprintf("%.2gx", x)
}

// grouped prints a number with commas between the thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
