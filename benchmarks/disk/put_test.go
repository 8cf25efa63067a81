package disk

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// puts writes durably, alone and with 64 writers.
func puts(t testing.TB, rounds int) []string {
	const size, ops, writers = 1024, 300, 64
	single, group := newResult("durable put, 1 KiB, one writer"), newResult("durable put, 1 KiB, 64 writers, time per put")
	vals, dir := newValues(size), baseDir(t)
	open := make([]engine, len(engines))
	for n := range engines {
		if skip(n, 0) {
			continue
		}
		open[n] = openAt(t, n, filepath.Join(dir, engines[n].name), settings{sync: true})
	}
	defer closeAll(t, open)
	next := 0
	for r := range rounds + 1 {
		// A lone writer's puts are taken in turns, one by one: the disk's moods
		// meet all engines.
		for i := range ops {
			for k := range open {
				n := (i + k) % len(open)
				if open[n] == nil {
					continue
				}
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
			if e == nil {
				continue
			}
			total := ops * 16
			if engines[n].name == "files" {
				total = ops
			}
			took := putShared(t, e, writers, total, next+ops, func(i int) []byte { return vals.at(i, size) })
			if r > 0 {
				group.add(n, took/time.Duration(total))
			}
		}
		next += ops * 20
	}
	return lines(single, group)
}

// putShared has writers put total values between them.
func putShared(t testing.TB, e engine, writers, total, first int, value func(int) []byte) time.Duration {
	put := e.put
	if b, ok := e.(*bolt); ok {
		put = b.putShared
	}
	start := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < total; i += writers {
				if err := put(keyOf(make([]byte, keyLen), first+i), value(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}
