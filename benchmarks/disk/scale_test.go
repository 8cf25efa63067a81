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

// TestScale shows what becomes of reads and of opening as the store grows, beside
// the peers that STRATA_BENCH_ENGINES names. STRATA_BENCH_SCALE=1 runs it, with up
// to 10 million keys, or with those of STRATA_BENCH_KEYS. Where
// STRATA_BENCH_SCALE_DIR names a directory, the stores are left there, and are
// used again by the next run, which then measures and no more.
func TestScale(t *testing.T) {
	if os.Getenv("STRATA_BENCH_SCALE") == "" {
		t.Skip("set STRATA_BENCH_SCALE=1")
	}
	const size = 64
	vals := newValues(size)
	fmt.Println("| keys | engine | open | get into a buffer | miss | heap after open |\n|---|---|---|---|---|---|")
	sizes := []int{200_000, 2_000_000, 10_000_000}
	if n := count("STRATA_BENCH_KEYS", 0); n > 0 {
		sizes = []int{n}
	}
	for _, keys := range sizes {
		var stores []*scaled
		for n := range engines {
			if !skip(n, keys) && engines[n].name != "files" {
				stores = append(stores, openScaled(t, n, scaleStore(t, n, keys, size, vals), keys, size))
			}
		}
		measure(stores)
		for _, s := range stores {
			fmt.Printf("| %d | %s | %v | %v | %v | %d KiB |\n",
				keys, s.rd.name, round(median(s.opened)), median(s.gets), median(s.misses), s.heap>>10)
			if err := s.rd.e.close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// scaled is a store of TestScale, and what was measured of it.
type scaled struct {
	rd                   reader
	heap                 int64
	opened, gets, misses []time.Duration
}

// openScaled opens a store a few times, and leaves it open.
func openScaled(t *testing.T, n int, dir string, keys, size int) *scaled {
	s := &scaled{rd: reader{t: t, name: engines[n].name, keys: keys, size: size, buf: make([]byte, 0, size)}}
	before := heap()
	for i := range 6 {
		if i > 0 {
			if err := s.rd.e.close(); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		s.rd.e = openAt(t, n, dir, settings{})
		s.opened = append(s.opened, time.Since(start))
	}
	s.heap = heap() - before
	return s
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// scaleStore returns the directory of an engine's store of so many keys.
func scaleStore(t *testing.T, n, keys, size int, vals *values) string {
	t.Helper()
	base := os.Getenv("STRATA_BENCH_SCALE_DIR")
	if base == "" {
		base = baseDir(t)
	}
	dir := filepath.Join(base, fmt.Sprint(engines[n].name, keys))
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir
	}
	e := openAt(t, n, dir, settings{})
	fill(t, n, e, keys, size, vals)
	// A load leaves a segment for each 64 MiB: look at what compaction makes.
	if err := errors.Join(e.flush(), e.close(), os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// measure reads from all of them in turns, in processor time.
func measure(stores []*scaled) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const ops = 200_000
	for r := range 6 {
		for _, s := range stores {
			g, m := s.rd.run(r, ops, 0, s.rd.get), s.rd.run(r, ops, s.rd.keys, s.rd.miss)
			if r > 0 {
				s.gets, s.misses = append(s.gets, g), append(s.misses, m)
			}
		}
	}
}
