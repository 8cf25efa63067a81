package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestScale shows that reads and opening do not slow down as the store grows.
// STRATA_BENCH_SCALE=1 runs it, with up to 10 million keys.
func TestScale(t *testing.T) {
	if os.Getenv("STRATA_BENCH_SCALE") == "" {
		t.Skip("set STRATA_BENCH_SCALE=1")
	}
	const size = 64
	vals := newValues(size)
	fmt.Println("| keys | open | get into a buffer | miss | heap after open |\n|---|---|---|---|---|")
	for _, keys := range []int{200_000, 2_000_000, 10_000_000} {
		dir := filepath.Join(baseDir(t), fmt.Sprint(keys))
		e := openAt(t, 0, dir, settings{})
		buf := make([]byte, 0, keyLen)
		if err := e.load(keys, func(i int) []byte { return keyOf(buf, i) }, func(i int) []byte { return vals.at(i, size) }); err != nil {
			t.Fatal(err)
		}
		// A load leaves a segment for each 64 MiB: look at what compaction makes.
		if err := errors.Join(e.flush(), e.close()); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var opened []time.Duration
		for range 5 {
			start := time.Now()
			e = openAt(t, 0, dir, settings{})
			opened = append(opened, time.Since(start))
			if err := e.close(); err != nil {
				t.Fatal(err)
			}
		}
		e = openAt(t, 0, dir, settings{})
		runtime.GC()
		runtime.ReadMemStats(&after)
		get, miss := measure(t, e, keys, size)
		fmt.Printf("| %d | %v | %v | %v | %d KiB |\n", keys, round(median(opened)), get, miss, (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10)
		if err := e.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// measure returns the processor time of a get and a miss.
func measure(t *testing.T, e engine, keys, size int) (get, miss time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const ops = 200_000
	rd := reader{t: t, e: e, name: "strata", keys: keys, size: size, buf: make([]byte, 0, size)}
	var gets, misses []time.Duration
	for r := range 6 {
		g, m := rd.run(r, ops, 0, rd.get), rd.run(r, ops, keys, rd.miss)
		if r > 0 {
			gets, misses = append(gets, g), append(misses, m)
		}
	}
	return median(gets), median(misses)
}
