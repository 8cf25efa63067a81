package chain_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store/faultstore"
)

// A read that walks while writes go far to near must not return what a later
// read, which finds the nearer tier still as it was, cannot see.
func TestReadsDoNotGoBackInTime(t *testing.T) {
	for _, memory := range []bool{true, false} {
		for _, batch := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				near, far := faultstore.New(newMap()), faultstore.New(newMap())
				tiers := []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: far}}
				if memory {
					tiers = append([]chain.Tier{{Name: "memory", Store: newObjects(10)}}, tiers...)
				}
				c := newChain(t, tiers, "", &chain.Options{TierTimeout: time.Minute})
				cache := chain.NewCache[string](c, nil)
				get := func() string {
					if batch {
						r, err := cache.GetMany(t.Context(), []string{"k", "other"})
						noErr(t, err)
						return r["k"].Value
					}
					v, _ := cache.Get(t.Context(), "k")
					return v
				}
				second := make(chan error)
				far.Inject(faultstore.Fault{Op: faultstore.OpReads, Times: 1, Do: func(_ faultstore.Op, key string) {
					if key != "k" {
						return
					}
					noErr(t, cache.Set(t.Context(), "k", "1")) // the reader has passed the near tier
					near.Inject(faultstore.Fault{Op: faultstore.OpSet, Hang: true})
					go func() { second <- cache.Set(t.Context(), "k", "2") }()
					synctest.Wait() // it has written the far tier
				}})
				first := get()
				if then := get(); first == "2" && then != "2" {
					t.Errorf("memory %v, batch %v: a read returned %q, and one that began after it %q", memory, batch, first, then)
				}
				near.Reset()
				noErr(t, <-second)
				if last := get(); last != "2" {
					t.Errorf("after the write: %q", last)
				}
			})
		}
	}
}

// Writers that never rest do not keep a reader from its answer.
func TestReaderAmidWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "disk", Store: disk}}, "", nil)
		cache := chain.NewCache[int](c, nil)
		n, busy := 0, false
		disk.Inject(faultstore.Fault{Op: faultstore.OpReads, Do: func(faultstore.Op, string) {
			if busy {
				return
			}
			busy = true
			n++
			w := make(chan error, 1)
			go func() { w <- cache.Set(t.Context(), "k", n) }()
			synctest.Wait() // it is done, or kept away by the reader
			busy = false
		}})
		v, err := cache.Get(t.Context(), "k")
		synctest.Wait()
		if err != nil || v == 0 {
			t.Fatalf("%d, %v", v, err)
		}
		r, err := cache.GetMany(t.Context(), []string{"k", "l"})
		if err != nil || r["k"].Value < v {
			t.Fatalf("batch: %v, %v", r, err)
		}
	})
}
