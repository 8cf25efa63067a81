package disk

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// reads gets from loaded stores at random: present keys, into a buffer and into
// memory of their own, and absent ones.
func reads(t testing.TB, keys, size, rounds int) []string {
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
			if r == 0 {
				rd.run(r, ops, 0, rd.check)
				continue
			}
			times := [3]time.Duration{rd.run(r, ops, 0, rd.get), rd.run(r, ops, 0, rd.own), rd.run(r, ops, keys, rd.miss)}
			get.add(n, times[0])
			own.add(n, times[1])
			miss.add(n, times[2])
		}
	}
	return lines(get, own, miss)
}

type reader struct {
	t          testing.TB
	e          engine
	name       string
	keys, size int
	vals       *values
	buf        []byte
	picked     []int  // the numbers of the keys to read, in order
	text       []byte // those keys, one after the other
}

// run returns the processor time of one of ops operations on random keys, which
// are made ready before: nothing but the operation is measured.
func (rd *reader) run(seed, ops, from int, op func(key []byte, i int)) time.Duration {
	rng := rand.New(rand.NewPCG(1, uint64(seed)))
	rd.picked, rd.text = rd.picked[:0], rd.text[:0]
	var kb [keyLen]byte
	for range ops {
		i := from + rng.IntN(rd.keys)
		rd.picked = append(rd.picked, i)
		rd.text = append(rd.text, keyOf(kb[:], i)...)
	}
	start := cpuTime()
	for n, i := range rd.picked {
		op(rd.text[n*keyLen:(n+1)*keyLen], i)
	}
	return (cpuTime() - start) / time.Duration(ops)
}

func (rd *reader) get(key []byte, _ int) {
	if v, ok, err := rd.e.get(rd.buf[:0], key); !ok || err != nil || len(v) != rd.size {
		rd.t.Fatalf("%s: %s: %v %v", rd.name, key, ok, err)
	}
}

func (rd *reader) own(key []byte, _ int) {
	if v, ok, err := rd.e.own(key); !ok || err != nil || len(v) != rd.size {
		rd.t.Fatalf("%s: %s: %v %v", rd.name, key, ok, err)
	}
}

// check is get and own, with a look at the value: it warms the caches.
func (rd *reader) check(key []byte, i int) {
	a, _, err1 := rd.e.get(rd.buf[:0], key)
	b, _, err2 := rd.e.own(key)
	if err1 != nil || err2 != nil || !rd.vals.isAt(a, i, rd.size) || !rd.vals.isAt(b, i, rd.size) {
		rd.t.Fatalf("%s: %s: wrong value, %v, %v", rd.name, key, err1, err2)
	}
}

func (rd *reader) miss(key []byte, _ int) {
	if _, ok, err := rd.e.get(rd.buf[:0], key); ok || err != nil {
		rd.t.Fatalf("%s: absent %s: %v %v", rd.name, key, ok, err)
	}
}
