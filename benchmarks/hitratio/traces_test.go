package hitratio

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"testing"
)

// trace is a sequence of reads, and the cache sizes it is tried with.
type trace struct {
	name  string
	keys  func(tb testing.TB) []int
	sizes []int
}

var traces = []trace{
	{"zipf-0.8", func(testing.TB) []int { return zipf(0.8) }, []int{1_000, 10_000}},
	{"zipf-1.0", func(testing.TB) []int { return zipf(1.0) }, []int{1_000, 10_000}},
	{"scans", func(testing.TB) []int { return scans() }, []int{10_000}},
	{"loop", func(testing.TB) []int { return loop() }, []int{10_000}},
	{"prices", prices, []int{1_000}},
	{"build", func(tb testing.TB) []int { return recorded(tb, "build") }, []int{100}},
	{"history", func(tb testing.TB) []int { return recorded(tb, "history") }, []int{200}},
}

const (
	distinct = 100_000
	reads    = 500_000
)

// zipf draws keys by Zipf's law; math/rand knows exponents above 1 only.
func zipf(s float64) []int {
	sums, total := make([]float64, distinct), 0.0
	for i := range sums {
		total += 1 / math.Pow(float64(i+1), s)
		sums[i] = total
	}
	rng, keys := rand.New(rand.NewPCG(5, 6)), make([]int, reads)
	for i := range keys {
		keys[i] = sort.SearchFloat64s(sums, rng.Float64()*total)
	}
	return keys
}

func scans() []int {
	const every, length = 40_000, 20_000
	var keys []int
	next := distinct
	for i, k := range zipf(1.0) {
		keys = append(keys, k)
		if i%every == every-1 {
			for range length {
				keys = append(keys, next)
				next++
			}
		}
	}
	return keys
}

func loop() []int {
	const length = 12_000
	keys := make([]int, reads)
	for i := range keys {
		keys[i] = i % length
	}
	return keys
}

// recorded reads a sequence from testdata.
func recorded(tb testing.TB, name string) []int {
	tb.Helper()
	f, err := os.Open("testdata/" + name + ".gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var keys []int
	for lines := bufio.NewScanner(z); lines.Scan(); {
		k, err := strconv.Atoi(lines.Text())
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

// bar is a company's trading day.
type bar struct{ symbol, day, volume int }

// prices reads the bars that an average over 20 days needs, of each company on
// each day, once and once more for every 20 million shares that were traded.
func prices(tb testing.TB) []int {
	tb.Helper()
	const window, shares, room = 20, 20_000_000, 1_000
	var keys []int
	for day, bars := range tradingDays(tb) {
		slices.SortFunc(bars, func(a, b bar) int { return cmp.Compare(b.volume, a.volume) })
		for round := 0; ; round++ {
			more := false
			for _, b := range bars {
				if b.volume < round*shares {
					break
				}
				more = true
				for d := max(0, day-window+1); d <= day; d++ {
					keys = append(keys, b.symbol*room+d)
				}
			}
			if !more {
				break
			}
		}
	}
	return keys
}

// tradingDays reads the example's prices, day by day.
func tradingDays(tb testing.TB) [][]bar {
	tb.Helper()
	f, err := os.Open("../../examples/marketdata/market/data/djia-2017.csv")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	slices.SortStableFunc(rows[1:], func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	symbols := map[string]int{}
	var days [][]bar
	last := ""
	for _, r := range rows[1:] {
		if r[0] != last {
			days, last = append(days, nil), r[0]
		}
		if _, ok := symbols[r[6]]; !ok {
			symbols[r[6]] = len(symbols)
		}
		volume, err := strconv.Atoi(r[5])
		if err != nil {
			tb.Fatal(err)
		}
		days[len(days)-1] = append(days[len(days)-1], bar{symbols[r[6]], len(days) - 1, volume})
	}
	return days
}

// TestTraces: the sequences are what they are said to be.
func TestTraces(t *testing.T) {
	for _, tr := range traces {
		keys := tr.keys(t)
		seen := map[int]bool{}
		for _, k := range keys {
			seen[k] = true
		}
		t.Logf("%s: %d reads of %d keys", tr.name, len(keys), len(seen))
		for _, size := range tr.sizes {
			if size >= len(seen) {
				t.Errorf("%s: a cache of %d entries holds all %d keys", tr.name, size, len(seen))
			}
		}
	}
}
