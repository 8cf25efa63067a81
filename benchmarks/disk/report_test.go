package disk

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
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

func openAt(t testing.TB, n int, dir string, set settings) engine {
	t.Helper()
	e, err := engines[n].open(dir, set)
	if err != nil {
		t.Fatal(engines[n].name, err)
	}
	return e
}

func count(name string, def int) int {
	if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return v
	}
	return def
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

// result is the time of one operation, for each engine.
type result struct {
	what  string
	times [][]time.Duration // by engine, by round
}

func newResult(what string) *result {
	return &result{what: what, times: make([][]time.Duration, len(engines))}
}

func (r *result) add(n int, d time.Duration) { r.times[n] = append(r.times[n], d) }

func median(d []time.Duration) time.Duration {
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
	best := time.Duration(0)
	for n := range engines {
		m := median(r.times[n])
		if m == 0 {
			b.WriteString(" - |")
			continue
		}
		peer := n > 0 && !(engines[n].name == "files" && strings.HasPrefix(r.what, "open"))
		if peer && (best == 0 || m < best) {
			best = m
		}
		fmt.Fprintf(&b, " %v |", round(m))
	}
	fmt.Fprintf(&b, " **%.2f** |", float64(median(r.times[0]))/float64(best))
	return b.String()
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

// skip leaves out what would take an engine minutes and tells nothing.
func skip(n, keys int) bool { return engines[n].name == "files" && keys > 200_000 }

func TestReport(t *testing.T) {
	if os.Getenv("STRATA_BENCH") == "" {
		t.Skip("set STRATA_BENCH=1")
	}
	keys := count("STRATA_BENCH_KEYS", 200_000)
	rounds := count("STRATA_BENCH_ROUNDS", 5)
	var out []string
	only := os.Getenv("STRATA_BENCH_ONLY")
	want := func(s string) bool { return only == "" || strings.Contains(only, s) }
	for _, size := range []int{64, 1024, 32 << 10} {
		if want("read") {
			n := keys
			if size > 1024 {
				n = keys / 20
			}
			out = append(out, reads(t, n, size, rounds)...)
		}
	}
	if want("put") {
		out = append(out, puts(t, rounds)...)
	}
	fmt.Println(header())
	for _, l := range out {
		fmt.Println(l)
	}
}

// reads loads the stores and reads them at random: present keys, into a buffer,
// and absent ones.
func reads(t *testing.T, keys, size, rounds int) []string {
	name := fmt.Sprintf("%d B, %d keys", size, keys)
	load, get, miss := newResult("bulk load, "+name), newResult("get into a buffer, "+name), newResult("miss, "+name)
	reopen := newResult("open, " + name)
	vals := newValues(size)
	var space []string
	dir := baseDir(t)
	open := make([]engine, len(engines))
	var kb [keyLen]byte
	for r := range min(rounds, 3) {
		for n := range engines {
			if skip(n, keys) || engines[n].name == "files" && r > 0 {
				continue
			}
			d := filepath.Join(dir, fmt.Sprint(engines[n].name, r))
			e := openAt(t, n, d, settings{})
			start := time.Now()
			if err := e.load(keys, func(i int) []byte { return keyOf(kb[:], i) }, func(i int) []byte { return vals.at(i, size) }); err != nil {
				t.Fatal(engines[n].name, err)
			}
			load.add(n, time.Since(start)/time.Duration(keys))
			if r == 0 {
				if err := e.flush(); err != nil {
					t.Fatal(engines[n].name, err)
				}
			}
			if err := e.close(); err != nil {
				t.Fatal(engines[n].name, err)
			}
			if r > 0 {
				os.RemoveAll(d)
			}
		}
	}
	for n := range engines {
		if skip(n, keys) {
			continue
		}
		d := filepath.Join(dir, fmt.Sprint(engines[n].name, 0))
		space = append(space, fmt.Sprintf("%s %.3f", engines[n].name, float64(dirSize(d))/float64(keys*(size+keyLen))))
		for range 3 {
			start := time.Now()
			e := openAt(t, n, d, settings{})
			reopen.add(n, time.Since(start))
			open[n] = e
			if err := e.close(); err != nil {
				t.Fatal(err)
			}
		}
		open[n] = openAt(t, n, d, settings{})
	}
	runtime.LockOSThread() // for cpuTime
	defer runtime.UnlockOSThread()
	buf := make([]byte, 0, size)
	per := min(keys, 100_000)
	for r := range rounds + 1 {
		for n, e := range open {
			if e == nil {
				continue
			}
			ops := per
			if engines[n].name == "files" {
				ops = per / 20
			}
			rng := rand.New(rand.NewPCG(1, uint64(r)))
			start := cpuTime()
			for range ops {
				i := rng.IntN(keys)
				v, ok, err := e.get(buf[:0], keyOf(kb[:], i))
				if !ok || err != nil || len(v) != size || binary.LittleEndian.Uint64(v) != binary.LittleEndian.Uint64(vals.at(i, size)) {
					t.Fatalf("%s: key %d: %v %v", engines[n].name, i, ok, err)
				}
			}
			if r > 0 { // the first round warms the caches
				get.add(n, (cpuTime()-start)/time.Duration(ops))
			}
			start = cpuTime()
			for range ops {
				if _, ok, err := e.get(buf[:0], keyOf(kb[:], keys+rng.IntN(keys))); ok || err != nil {
					t.Fatalf("%s: absent key: %v %v", engines[n].name, ok, err)
				}
			}
			if r > 0 {
				miss.add(n, (cpuTime()-start)/time.Duration(ops))
			}
		}
	}
	for n, e := range open {
		if e != nil {
			if err := e.close(); err != nil {
				t.Error(engines[n].name, err)
			}
		}
	}
	fmt.Printf("bytes on disk / raw, %s: %s\n", name, strings.Join(space, ", "))
	return []string{load.line(), reopen.line(), get.line(), miss.line()}
}

// puts writes durably, alone and with 64 writers.
func puts(t *testing.T, rounds int) []string {
	const size, ops, writers = 1024, 300, 64
	single, group := newResult("durable put, 1 KiB, one writer"), newResult("durable put, 1 KiB, 64 writers, time per put")
	vals := newValues(size)
	dir := baseDir(t)
	open := make([]engine, len(engines))
	for n := range engines {
		open[n] = openAt(t, n, filepath.Join(dir, engines[n].name), settings{sync: true})
	}
	next := 0
	for r := range rounds + 1 {
		// A lone writer's puts are taken in turns, one by one: the disk's moods
		// meet all engines.
		for i := range ops {
			for k := range open {
				n := (i + k) % len(open)
				start := time.Now()
				if err := open[n].put(keyOf(make([]byte, keyLen), next+i), vals.at(i, size)); err != nil {
					t.Fatal(engines[n].name, err)
				}
				if r > 0 {
					single.add(n, time.Since(start))
				}
			}
		}
		for n, e := range open {
			start := time.Now()
			total := ops * 16
			if engines[n].name == "files" {
				total = ops
			}
			put := e.put
			if b, ok := e.(*bolt); ok {
				put = b.putShared
			}
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < total; i += writers {
						if err := put(keyOf(make([]byte, keyLen), next+ops+i), vals.at(i, size)); err != nil {
							t.Error(engines[n].name, err)
						}
					}
				})
			}
			wg.Wait()
			if r > 0 {
				group.add(n, time.Since(start)/time.Duration(total))
			}
		}
		next += ops * 20
	}
	for n, e := range open {
		if err := e.close(); err != nil {
			t.Error(engines[n].name, err)
		}
	}
	return []string{single.line(), group.line()}
}

func dirSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if fi, err := d.Info(); err == nil {
			n += fi.Size()
		}
		return nil
	})
	return n
}
