package disk

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// busy measures what callers feel while compaction has work: values are replaced
// at random, at a fixed pace and not durably, and keys are read at random in
// between by the same caller. Each engine has its turn of so long in each round,
// with what it had left to do in the round before.
func busy(t *testing.T, keys, rounds int) []string {
	const (
		size = 1024
		turn = 3 * time.Second
		pace = 100 * time.Microsecond // between two puts
	)
	name := func(what string) string {
		return fmt.Sprintf("while %d puts/s replace 1 KiB values of %d keys: %s", time.Second/pace, keys, what)
	}
	results := map[string]*result{}
	for _, what := range []string{"get, median", "get, 99 %", "get, 99.9 %", "put, median", "put, 99 %", "put, 99.9 %"} {
		results[what] = newResult(name(what))
	}
	space := newShare(name("bytes on the disk / bytes of keys and values"))
	vals, dir := newValues(size), baseDir(t)
	open := make([]engine, len(engines))
	for n := range engines {
		if engines[n].name == "files" || skip(n, keys) {
			continue // has no compaction
		}
		open[n] = openAt(t, n, filepath.Join(dir, engines[n].name), settings{})
		fill(t, n, open[n], keys, size, vals)
	}
	defer closeAll(t, open)
	for r := range rounds {
		for k := range open {
			n := (k + r) % len(open) // what one has left to do meets another one each time
			e := open[n]
			if e == nil {
				continue
			}
			gets, puts := turnOf(t, e, rand.New(rand.NewPCG(uint64(r), 3)), keys, vals, turn, pace)
			for what, d := range map[string]time.Duration{
				"get, median": quantile(gets, 0.5), "get, 99 %": quantile(gets, 0.99), "get, 99.9 %": quantile(gets, 0.999),
				"put, median": quantile(puts, 0.5), "put, 99 %": quantile(puts, 0.99), "put, 99.9 %": quantile(puts, 0.999),
			} {
				results[what].add(n, d)
			}
			space.values[n] = append(space.values[n], float64(dirSize(filepath.Join(dir, engines[n].name)))/float64(keys*(size+keyLen)))
		}
	}
	return lines(results["get, median"], results["get, 99 %"], results["get, 99.9 %"],
		results["put, median"], results["put, 99 %"], results["put, 99.9 %"], space)
}

// turnOf puts at the pace, or as fast as the engine lets it, and gets between.
func turnOf(t *testing.T, e engine, rng *rand.Rand, keys int, vals *values, turn, pace time.Duration) (gets, puts []time.Duration) {
	const size = 1024
	buf := make([]byte, 0, size)
	start := time.Now()
	for due := start; time.Since(start) < turn; {
		before := time.Now()
		if before.Before(due) {
			if _, ok, err := e.get(buf[:0], keyOf(make([]byte, keyLen), rng.IntN(keys))); !ok || err != nil {
				t.Fatal(ok, err)
			}
			gets = append(gets, time.Since(before))
			continue
		}
		if err := e.put(keyOf(make([]byte, keyLen), rng.IntN(keys)), vals.at(rng.Int()&0xffff, size)); err != nil {
			t.Fatal(err)
		}
		puts = append(puts, time.Since(before))
		due = due.Add(pace)
	}
	return gets, puts
}

func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}
