// Package memorytest has the tests that every memory tier of encoded entries and
// decoded objects passes, beside those of storetest.
package memorytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// Store is what is tested.
type Store interface {
	store.Store
	store.Objects
	store.Filler
	store.Scanner
	store.BatchSetter
}

// TooLarge checks that an entry beyond the most that s takes, which is 10,000 bytes,
// is refused by every way in, and leaves nothing older behind.
func TooLarge(t *testing.T, s Store) {
	ctx := t.Context()
	small, big := store.Entry{Value: make([]byte, 100)}, store.Entry{Value: make([]byte, 10_000)}
	for name, set := range map[string]func() error{
		"Set":             func() error { return s.Set(ctx, "k", big) },
		"SetObject":       func() error { return s.SetObject("k", &big, 1<<21, time.Time{}) },
		"SetObject, most": func() error { return s.SetObject("k", &big, math.MaxInt64, time.Time{}) },
		"Fill":            func() error { _, err := s.Fill(ctx, "k", big); return err },
		"SetMany":         func() error { return store.KeyError(s.SetMany(ctx, map[string]store.Entry{"k": big}), "k") },
	} {
		if err := s.Set(ctx, "k", small); err != nil {
			t.Fatal(err)
		}
		if err := set(); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s of a large entry: %v; want store.ErrTooLarge", name, err)
		}
		if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after a refused %s the older entry is still there: %v", name, err)
		}
	}
}

// OneKeySpace checks that entries and objects replace one another.
func OneKeySpace(t *testing.T, s Store) {
	ctx := t.Context()
	noErr := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	noErr(s.Set(ctx, "k", store.Entry{Value: []byte("v"), Version: 3}))
	obj, ok := s.GetObject("k")
	if e, is := obj.(*store.Entry); !ok || !is || string(e.Value) != "v" || e.Version != 3 {
		t.Errorf("GetObject of an entry: %v, %v; want it as a *store.Entry", obj, ok)
	}
	thing := &struct{ n int }{7}
	noErr(s.SetObject("k", thing, 8, time.Time{}))
	if obj, ok := s.GetObject("k"); !ok || obj != any(thing) {
		t.Errorf("GetObject after SetObject: %v, %v", obj, ok)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of an object: %v; want a miss", err)
	}
	if stored, err := s.Fill(ctx, "k", store.Entry{Value: []byte("w"), Version: 1}); !stored || err != nil {
		t.Errorf("Fill over an object: %v, %v", stored, err)
	}
	noErr(s.SetObject("k", &store.Entry{Value: []byte("as an object")}, 12, time.Time{}))
	if got, err := s.Get(ctx, "k"); err != nil || string(got.Value) != "as an object" {
		t.Errorf("Get of a *store.Entry object: %v, %v", got, err)
	}
	noErr(s.SetObject("k", map[string]int{}, 8, time.Time{})) // not comparable
	noErr(s.SetObject("k", []int{1}, 8, time.Time{}))
	if s.SetObject("k", nil, 8, time.Time{}) == nil {
		t.Error("SetObject of nil: no error")
	}
	if err := s.SetObject("", thing, 8, time.Time{}); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("SetObject of the empty key: %v", err)
	}
	noErr(s.SetObject("k", thing, 8, time.Now().Add(-time.Second)))
	if obj, ok := s.GetObject("k"); ok {
		t.Errorf("an expired SetObject left %v", obj)
	}
}

// keyed is an object that knows its key.
type keyed string

func (k *keyed) CacheKey() string { return string(*k) }

// Scan checks that entries, and objects that know their key, are listed, and that a
// context that is over ends the loop.
func Scan(t *testing.T, s Store) {
	for i := range 300 {
		k := keyed(fmt.Sprint("obj:", i))
		_ = s.SetObject(string(k), &k, 16, time.Time{})
		_ = s.Set(t.Context(), fmt.Sprint("entry:", i), store.Entry{})
	}
	count := map[string]int{}
	for key, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(key, ":")
		count[kind]++
	}
	if count["obj"] != 300 || count["entry"] != 300 || len(count) != 2 {
		t.Errorf("Scan found %v; want 300 of obj and entry each", count)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range s.Scan(ctx, "") {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if n != 11 || !errors.Is(last, context.Canceled) {
		t.Errorf("a Scan whose context ended after 10 keys gave %d, and %v", n, last)
	}
}

// HitAllocations checks that neither a hit nor a miss allocates. settle, unless it is
// nil, is called when all has been written.
func HitAllocations(t *testing.T, s Store, settle func()) {
	ctx := t.Context()
	_ = s.Set(ctx, "never", store.Entry{Value: []byte("v")})
	_ = s.Set(ctx, "soon", store.Entry{Value: []byte("v"), Expires: time.Now().Add(time.Hour)})
	_ = s.SetObject("object", &s, 8, time.Time{})
	if settle != nil {
		settle()
	}
	for name, f := range map[string]func(){
		"GetObject":         func() { s.GetObject("object") },
		"GetObject, entry":  func() { s.GetObject("never") },
		"GetObject, absent": func() { s.GetObject("absent") },
		"Get":               func() { _, _ = s.Get(ctx, "never") },
		"Get, deadline":     func() { _, _ = s.Get(ctx, "soon") },
		"Get, absent":       func() { _, _ = s.Get(ctx, "absent") },
	} {
		// An engine may make a new buffer for every few reads that it takes note of.
		if n := testing.AllocsPerRun(1000, f); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
