package disk

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// sizes are those of the values that are loaded and read.
var sizes = []int{64, 1024, 32 << 10}

// TestReport prints the table of doc.go. The environment has:
//
//	STRATA_BENCH         1: run it
//	STRATA_BENCH_ONLY    some of: load, read, put, busy; all of them if empty
//	STRATA_BENCH_ENGINES some of the engines' names; all of them if empty
//	STRATA_BENCH_SIZES   some of the sizes of values in bytes; all of them if empty
//	STRATA_BENCH_KEYS    keys of a store, 200,000 if empty; a 20th at 32 KiB
//	STRATA_BENCH_ROUNDS  rounds, 5 if empty
//	STRATA_BENCH_DIR     where the stores are put
func TestReport(t *testing.T) {
	if os.Getenv("STRATA_BENCH") == "" {
		t.Skip("set STRATA_BENCH=1")
	}
	keys := count("STRATA_BENCH_KEYS", 200_000)
	rounds := count("STRATA_BENCH_ROUNDS", 5)
	want := func(s string) bool { return chosen("STRATA_BENCH_ONLY", s) }
	var out []string
	add := func(more []string) {
		out = append(out, more...)
		for _, l := range more { // a long run shows how far it is
			t.Log(l)
		}
	}
	for _, size := range sizes {
		if !chosen("STRATA_BENCH_SIZES", strconv.Itoa(size)) {
			continue
		}
		n := keys
		if size > 1024 {
			n = keys / 20
		}
		if want("load") {
			add(loads(t, n, size, rounds))
		}
		if want("read") {
			add(reads(t, n, size, rounds))
		}
	}
	if want("put") {
		add(puts(t, rounds))
	}
	if want("busy") {
		add(busy(t, keys/4, rounds))
	}
	fmt.Println(header())
	for _, l := range out {
		fmt.Println(l)
	}
}
