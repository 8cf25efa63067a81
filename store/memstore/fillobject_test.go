package memstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/memstore"
)

// TestFillObject: what is there is looked at and replaced in one step.
func TestFillObject(t *testing.T) {
	s := open(t, &memstore.Options{Capacity: 4 << 20, MaxEntry: 64 << 10})
	type number struct{ n int }
	fill := func(key string, n int) (bool, error) {
		return s.FillObject(key, &number{n}, 64, time.Time{}, func(old any) bool {
			o, ok := old.(*number)
			return ok && o.n > n
		})
	}
	for _, c := range []struct {
		n      int
		stored bool
		want   int
	}{{3, true, 3}, {2, false, 3}, {3, true, 3}, {5, true, 5}} {
		if stored, err := fill("k", c.n); stored != c.stored || err != nil {
			t.Errorf("FillObject of %d: %v, %v", c.n, stored, err)
		}
		if o, ok := s.GetObject("k"); !ok || o.(*number).n != c.want {
			t.Errorf("after %d: %v, %v", c.n, o, ok)
		}
	}
	if stored, err := s.FillObject("k", &number{9}, 1<<20, time.Time{}, func(any) bool { return false }); stored || !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a large object: %v, %v", stored, err)
	}
	if _, ok := s.GetObject("k"); ok {
		t.Error("what a large object would have replaced is still there")
	}
	if _, err := fill("", 1); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("the empty key: %v", err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				key := fmt.Sprint("race", i%3)
				if _, err := fill(key, i*4+g); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for k := range 3 {
		want := 0
		for i := range 5000 {
			if i%3 == k {
				want = i*4 + 3
			}
		}
		if o, ok := s.GetObject(fmt.Sprint("race", k)); !ok || o.(*number).n != want {
			t.Errorf("race%d: %v, %v; want %d", k, o, ok, want)
		}
	}
}
