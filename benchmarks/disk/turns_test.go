package disk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stratacache/strata/benchmarks/turns"
)

// BenchmarkDisk is TestReport for make bench: fewer keys, and every figure in the
// form of go test's own, a round a line. Its rounds are its own, for they take
// long; -count and -benchtime change nothing.
func BenchmarkDisk(b *testing.B) {
	keys, rounds := count("STRATA_BENCH_KEYS", 100_000), count("STRATA_BENCH_ROUNDS", 4)
	if testing.Short() {
		keys, rounds = 200, 1
	}
	recording = func(r *result) { record(b, r) }
	defer func() { recording = nil }()
	for _, size := range sizes {
		n := keys
		if size > 1024 {
			n = max(keys/20, 20)
		}
		loads(b, n, size, rounds)
		reads(b, n, size, rounds)
	}
	puts(b, rounds)
	b.SkipNow() // or the framework would measure the function itself
}

// record prints a row, under a name that has no spaces.
func record(b *testing.B, r *result) {
	b.Helper()
	var names []string
	for _, e := range engines {
		names = append(names, e.name)
	}
	unit := "ns/op"
	if r.format(1) == "1.000" {
		unit = "bytes/raw"
	}
	words := strings.NewReplacer(", ", "/", " / ", "-by-", " ", "-", ",", "", "%", "percent")
	turns.Record(b, fmt.Sprintf("%s/%s", b.Name(), words.Replace(r.what)), names, unit, r.values)
}
