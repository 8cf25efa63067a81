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
// STRATA_BENCH_SCALE=1 runs it, with up to 10 million keys. Where
// STRATA_BENCH_SCALE_DIR names a directory, the stores are left there, and are
// used again by the next run, which then measures and no more.
func TestScale(t *testing.T) {
	if os.Getenv("STRATA_BENCH_SCALE") == "" {
		t.Skip("set STRATA_BENCH_SCALE=1")
	}
	const size = 64
	vals := newValues(size)
	fmt.Println("| keys | open | get into a buffer | miss | heap after open |\n|---|---|---|---|---|")
	for _, keys := range []int{200_000, 2_000_000, 10_000_000} {
		dir := scaleStore(t, keys, size, vals)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var e engine
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

// scaleStore returns the directory of a store of so many keys.
func scaleStore(t *testing.T, keys, size int, vals *values) string {
	t.Helper()
	base := os.Getenv("STRATA_BENCH_SCALE_DIR")
	if base == "" {
		base = baseDir(t)
	}
	dir := filepath.Join(base, fmt.Sprint(keys))
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir
	}
	e := openAt(t, 0, dir, settings{})
	fill(t, 0, e, keys, size, vals)
	// A load leaves a segment for each 64 MiB: look at what compaction makes.
	if err := errors.Join(e.flush(), e.close(), os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
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
