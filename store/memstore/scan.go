package memstore

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/stratacache/strata/internal/index"

	"github.com/stratacache/strata/store"
)

// Scan implements store.Scanner for entries and for objects that are Keyed. It
// gathers the keys before it yields the first: nothing is locked while the
// caller's loop runs, and the keys of a large store take memory meanwhile. Keys
// come once, in no order.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", fail("scan", prefix, err))
			return
		}
		keys, ok := s.keys(prefix)
		if !ok {
			yield("", fail("scan", prefix, store.ErrClosed))
			return
		}
		for key := range keys {
			if err := ctx.Err(); err != nil {
				yield("", fail("scan", prefix, err))
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

// keys returns the live keys under prefix; ok is false if the store is closed.
// It looks at the window first: entries move from there to the engine.
func (s *Store) keys(prefix string) (keys map[string]struct{}, ok bool) {
	st := s.stripe()
	if !s.enter(st) {
		return nil, false
	}
	defer st.leave()
	now := time.Now()
	keys = map[string]struct{}{}
	add := func(obj any) {
		if e := asEntry(obj); e != nil && e.Expired(now) {
			return
		}
		if key := keyOf(obj); key != "" && strings.HasPrefix(key, prefix) {
			keys[key] = struct{}{}
		}
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.rw.RLock()
		for _, sl := range sh.slots {
			add(sl.obj)
		}
		sh.rw.RUnlock()
	}
	s.cache.IterValues(func(c *index.Cell) (stop bool) {
		if obj := c.Held(); obj != nil {
			add(obj)
		}
		return false
	})
	return keys, true
}

// keyOf returns the key of an object that knows it, or "".
func keyOf(obj any) string {
	if e, ok := obj.(*entry); ok {
		return e.key
	}
	if o, ok := public(obj).(Keyed); ok {
		return o.CacheKey()
	}
	return ""
}
