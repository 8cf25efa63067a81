package disk

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// reads reads loaded stores at random: present keys, into a buffer and into
// memory of their own, and absent ones.
func reads(t *testing.T, keys, size, rounds int) []string {
	get, own, miss := newResult(title("get into a buffer", keys, size)), newResult(title("get, owned copy", keys, size)), newResult(title("miss", keys, size))
	vals, dir := newValues(size), baseDir(t)
	open := make([]engine, len(engines))
	for n := range engines {
		if skip(n, keys) {
			continue
		}
		d := filepath.Join(dir, engines[n].name)
		e := openAt(t, n, d, settings{})
		fill(t, n, e, keys, size, vals)
		if err := e.flush(); err != nil {
			t.Fatal(engines[n].name, err)
		}
		if err := e.close(); err != nil {
			t.Fatal(engines[n].name, err)
		}
		open[n] = openAt(t, n, d, settings{})
	}
	defer closeAll(t, open)
	runtime.LockOSThread() // for cpuTime
	defer runtime.UnlockOSThread()
	for r := range rounds + 1 {
		for n, e := range open {
			if e == nil {
				continue
			}
			rd := reader{t: t, e: e, name: engines[n].name, keys: keys, size: size, vals: vals, buf: make([]byte, 0, size)}
			ops := min(keys, 100_000)
			if rd.name == "files" {
				ops /= 20
			}
			times := [3]time.Duration{rd.run(r, ops, rd.get), rd.run(r, ops, rd.own), rd.run(r, ops, rd.miss)}
			if r == 0 {
				continue // it warms the caches
			}
			get.add(n, times[0])
			own.add(n, times[1])
			miss.add(n, times[2])
		}
	}
	return lines(get, own, miss)
}

type reader struct {
	t          *testing.T
	e          engine
	name       string
	keys, size int
	vals       *values
	kb         [keyLen]byte
	buf        []byte
}

// run returns the processor time of one of ops operations on random keys.
func (rd *reader) run(seed, ops int, op func(i int)) time.Duration {
	rng := rand.New(rand.NewPCG(1, uint64(seed)))
	start := cpuTime()
	for range ops {
		op(rng.IntN(rd.keys))
	}
	return (cpuTime() - start) / time.Duration(ops)
}

func (rd *reader) get(i int) {
	v, ok, err := rd.e.get(rd.buf[:0], keyOf(rd.kb[:], i))
	rd.check(v, ok, err, i)
}

func (rd *reader) own(i int) {
	v, ok, err := rd.e.own(keyOf(rd.kb[:], i))
	rd.check(v, ok, err, i)
}

func (rd *reader) check(v []byte, ok bool, err error, i int) {
	if !ok || err != nil || !rd.vals.isAt(v, i, rd.size) {
		rd.t.Fatalf("%s: key %d: %v %v", rd.name, i, ok, err)
	}
}

func (rd *reader) miss(i int) {
	if _, ok, err := rd.e.get(rd.buf[:0], keyOf(rd.kb[:], rd.keys+i)); ok || err != nil {
		rd.t.Fatalf("%s: absent key: %v %v", rd.name, ok, err)
	}
}
