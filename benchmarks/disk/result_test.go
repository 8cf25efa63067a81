package disk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const keyLen = 16

// keyOf writes key i into buf: 16 bytes that sort as numbers do.
func keyOf(buf []byte, i int) []byte {
	return fmt.Appendf(buf[:0], "key:%012d", i)
}

// values are incompressible and differ.
type values struct{ pool []byte }

func newValues(size int) *values {
	v := &values{pool: make([]byte, size+1<<20)}
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(v.pool)
	return v
}

func (v *values) at(i, size int) []byte {
	off := (i * 8_171_717) % (1 << 20)
	return v.pool[off : off+size : off+size]
}

// isAt reports whether got is value i.
func (v *values) isAt(got []byte, i, size int) bool {
	return len(got) == size && binary.LittleEndian.Uint64(got) == binary.LittleEndian.Uint64(v.at(i, size))
}

func openAt(t testing.TB, n int, dir string, set settings) engine {
	t.Helper()
	e, err := engines[n].open(dir, set)
	if err != nil {
		t.Fatal(engines[n].name, err)
	}
	return e
}

func closeAll(t testing.TB, open []engine) {
	t.Helper()
	for n, e := range open {
		if e == nil {
			continue
		}
		if err := e.close(); err != nil {
			t.Error(engines[n].name, err)
		}
	}
}

func count(name string, def int) int {
	if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return v
	}
	return def
}

// chosen reports whether a variable names what, among others, or is empty.
func chosen(variable, what string) bool {
	v := os.Getenv(variable)
	return v == "" || slices.Contains(strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }), what)
}

func baseDir(t testing.TB) string {
	if d := os.Getenv("STRATA_BENCH_DIR"); d != "" {
		dir, err := os.MkdirTemp(d, "bench")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// result is a row of the table: for each engine what every round measured.
type result struct {
	what   string
	values [][]float64 // by engine
	format func(float64) string
}

// newResult is a row of times.
func newResult(what string) *result {
	return &result{what, make([][]float64, len(engines)), func(v float64) string {
		return fmt.Sprint(round(time.Duration(v)))
	}}
}

// newShare is a row of figures without a unit.
func newShare(what string) *result {
	return &result{what, make([][]float64, len(engines)), func(v float64) string { return fmt.Sprintf("%.3f", v) }}
}

func (r *result) add(n int, d time.Duration) { r.values[n] = append(r.values[n], float64(d)) }

func median[T float64 | time.Duration](d []T) T {
	if len(d) == 0 {
		return 0
	}
	s := slices.Clone(d)
	slices.Sort(s)
	return s[len(s)/2]
}

// line formats the medians and the ratio to the best peer.
func (r *result) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", r.what)
	best := 0.0
	for n := range engines {
		m := median(r.values[n])
		if m == 0 {
			b.WriteString(" - |")
			continue
		}
		if n > 0 && (best == 0 || m < best) {
			best = m
		}
		b.WriteString(" " + r.format(m) + " |")
	}
	fmt.Fprintf(&b, " **%.2f** |", median(r.values[0])/best)
	return b.String()
}

// recording is told of every row, where it is set.
var recording func(*result)

func lines(results ...*result) (out []string) {
	for _, r := range results {
		if recording != nil {
			recording(r)
		}
		out = append(out, r.line())
	}
	return out
}

func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d > 10*time.Microsecond:
		return d.Round(100 * time.Nanosecond)
	}
	return d
}

func header() string {
	var b strings.Builder
	b.WriteString("| work |")
	for _, e := range engines {
		b.WriteString(" " + e.name + " |")
	}
	b.WriteString(" strata / best peer |\n|---|")
	for range engines {
		b.WriteString("---|")
	}
	b.WriteString("---|")
	return b.String()
}
