package chain_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

var errBoom = errors.New("boom")

// hookedObjects is a memory tier whose reads can be interleaved with anything:
// after runs once, when an object has been read and before it is returned.
type hookedObjects struct {
	*objectStore
	hook sync.Mutex
	skip int
	then func()
}

func newHooked() *hookedObjects { return &hookedObjects{objectStore: newObjects(1 << 20)} }

// after runs f within the (skip+1)-th GetObject from now on.
func (s *hookedObjects) after(skip int, f func()) {
	s.hook.Lock()
	defer s.hook.Unlock()
	s.skip, s.then = skip, f
}

func (s *hookedObjects) GetObject(key string) (any, bool) {
	o, ok := s.objectStore.GetObject(key)
	s.hook.Lock()
	f := s.then
	if f != nil && s.skip > 0 {
		s.skip--
		f = nil
	} else {
		s.then = nil
	}
	s.hook.Unlock()
	if f != nil {
		f()
	}
	return o, ok
}

// noErr fails the test on an error.
func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks what a read returned.
func want[V comparable](t testing.TB, got V, err error, value V) {
	t.Helper()
	if err != nil || got != value {
		t.Fatalf("read %v, %v; want %v", got, err, value)
	}
}

// missing checks that a read found nothing.
func missing[V any](t testing.TB, got V, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("read %v, %v; want store.ErrNotFound", got, err)
	}
}

// loads returns a loader that returns v.
func loads[V any](v V) func(context.Context, string) (V, error) {
	return func(context.Context, string) (V, error) { return v, nil }
}

// fails returns a loader that fails.
func fails[V any](err error) func(context.Context, string) (V, error) {
	return func(context.Context, string) (v V, _ error) { return v, err }
}

// two is a chain of memory and one tier of bytes.
func two(memory, disk store.Store) []chain.Tier {
	return []chain.Tier{{Name: "memory", Store: memory}, {Name: "disk", Store: disk}}
}

// flush waits for everything in the background.
func flush(t testing.TB, c *chain.Chain) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	noErr(t, c.Flush(ctx))
}

// goexit is what testing.T.FailNow does to a goroutine.
func goexit() { runtime.Goexit() }
