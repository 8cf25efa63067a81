package chain_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// crowded is a shared tier that takes its time, and counts the reads that are under
// way at the same time.
type crowded struct {
	shared
	calls, now, most atomic.Int64
}

func (s *crowded) enter(key string) {
	if !strings.HasPrefix(key, "__strata:") { // a look at the barriers of tags, which each reader may need once
		s.calls.Add(1)
	}
	n := s.now.Add(1)
	for most := s.most.Load(); n > most; most = s.most.Load() {
		if s.most.CompareAndSwap(most, n) {
			break
		}
	}
	time.Sleep(time.Millisecond)
}

func (s *crowded) Get(ctx context.Context, key string) (store.Entry, error) {
	s.enter(key)
	defer s.now.Add(-1)
	return s.shared.Get(ctx, key)
}

func (s *crowded) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	s.enter(keys[0])
	defer s.now.Add(-1)
	return s.shared.GetMany(ctx, keys)
}

func (s *crowded) reset() { s.calls.Store(0); s.most.Store(0) }

// After a gap in the feed a process has 1,000 keys that it must look up anew. The gap
// alone asks nothing of the shared tier, or of a loader. Readers ask for what they
// read, once a key whoever else reads it, so that the tier is never asked for more at
// a time than there are readers; and a batch is one call.
func TestSuspectKeysAreNoHerd(t *testing.T) {
	const keys, readers = 1000, 16
	key := func(i int) string { return fmt.Sprint("k", i) }
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, &crowded{shared: shared{newMap()}}
		b := w.port(2)
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(2 * keys)}, {Name: "redis", Store: redis, Shared: true}, {Name: "disk", Store: newMap()},
		}, "", &chain.Options{Feed: b})
		cache := chain.NewCache[string](c, nil)
		a := startProcess(t, w, 1, redis.mapStore, newMap())
		synctest.Wait() // both follow
		var loads atomic.Int64
		read := func(i int) {
			v, err := cache.GetOrLoad(t.Context(), key(i), func(context.Context, string) (string, error) {
				loads.Add(1)
				return "loaded", nil
			})
			want(t, v, err, "v")
		}
		for i := range keys {
			noErr(t, a.Set(t.Context(), key(i), "v"))
			read(i)
		}
		flush(t, c)

		miss := func() {
			b.cut(true)
			time.Sleep(time.Second)
			noErr(t, a.Set(t.Context(), "other", "new"))
			time.Sleep(time.Second)
			w.trim()
			redis.reset()
			b.cut(false)
			time.Sleep(time.Minute)
			if n := redis.calls.Load(); n != 0 {
				t.Errorf("the gap alone caused %d reads of the shared tier", n)
			}
		}
		miss()
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				for _, i := range rand.Perm(keys) {
					read(i)
				}
			})
		}
		wg.Wait()
		// A walk during which the barriers of tags are looked up is done again.
		if n := redis.calls.Load(); n < keys || n > keys+readers {
			t.Errorf("%d reads of the shared tier by %d readers of %d keys; want one a key", n, readers, keys)
		}
		if most := redis.most.Load(); most > readers {
			t.Errorf("%d reads of the shared tier at a time; want at most one a reader, of %d", most, readers)
		}
		miss()
		all := make([]string, keys)
		for i := range all {
			all[i] = key(i)
		}
		r, err := cache.GetMany(t.Context(), all)
		noErr(t, err)
		if n := redis.calls.Load(); n != 1 || r[key(7)].Value != "v" {
			t.Errorf("a batch of them was %d reads, and %+v; want one", n, r[key(7)])
		}
		if n := loads.Load(); n != 0 {
			t.Errorf("%d loads of keys that the shared tier has", n)
		}
	})
}
