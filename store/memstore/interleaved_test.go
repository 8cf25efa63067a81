package memstore_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/store/memstore"
)

// BenchmarkInterleaved compares the store with the engine alone in slices of a
// fraction of a millisecond, taken in turn, and reports the ratios of their
// medians: figures that mean something on a machine that others use, too.
func BenchmarkInterleaved(b *testing.B) {
	keys, trace := zipfKeys()
	rs := readers(b, keys)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("GetHit/goroutines=%d", workers), func(b *testing.B) {
			const slice = 1000
			at := 0
			interleave(b, rs, slice, func(r reader) {
				var wg sync.WaitGroup
				for w := 1; w < workers; w++ {
					wg.Go(func() { readSlice(r, keys, trace, at+w*slice, slice) })
				}
				readSlice(r, keys, trace, at, slice)
				wg.Wait()
				at += slice
			})
		})
	}
	o := &benchObject{}
	c, s := raw(b), open(b, &memstore.Options{Capacity: 256 << 20, Items: benchKeys})
	waited := raw(b)
	setters := []reader{
		{"ristretto-wait", func(key string) bool { waited.Set(key, o, 64); waited.Wait(); return true }},
		{"ristretto", func(key string) bool { return c.Set(key, o, 64) }},
		{"memstore", func(key string) bool { return s.SetObject(key, o, 64, time.Time{}) == nil }},
	}
	b.Run("SetNew", func(b *testing.B) {
		n := 0
		fresh := make([]string, 500)
		interleave(b, setters, len(fresh), func(r reader) {
			for i := range fresh {
				fresh[i] = fmt.Sprintf("new:%d", n)
				n++
			}
			begin := time.Now()
			for _, key := range fresh {
				r.get(key)
			}
			sliceTime = time.Since(begin)
		})
	})
	for _, key := range keys {
		c.Set(key, o, 64)
		c.Wait()
		_ = s.SetObject(key, o, 64, time.Time{})
	}
	flush(s)
	b.Run("SetHeld", func(b *testing.B) {
		at := 0
		interleave(b, setters[1:], 500, func(r reader) {
			readSlice(r, keys, trace, at, 500)
			at += 500
		})
	})
}

// sliceTime is set by a slice that measures itself, and zero otherwise.
var sliceTime time.Duration

func readSlice(r reader, keys []string, trace []uint32, at, n int) {
	for i := range n {
		r.get(keys[trace[(at+i)&(1<<20-1)]])
	}
}

func interleave(b *testing.B, rs []reader, ops int, slice func(r reader)) {
	times := make([][]float64, len(rs))
	for b.Loop() {
		for i, r := range rs {
			sliceTime = 0
			begin := time.Now()
			slice(r)
			d := time.Since(begin)
			if sliceTime > 0 {
				d = sliceTime
			}
			times[i] = append(times[i], float64(d)/float64(ops))
		}
	}
	medians := make([]float64, len(rs))
	for i := range rs {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
		b.ReportMetric(medians[i], "ns/"+rs[i].name)
	}
	for i := range len(rs) - 1 {
		b.ReportMetric(medians[len(rs)-1]/medians[i], "x-"+rs[i].name)
	}
}
