package packstore

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// Scan implements store.Scanner for entries and objects alike. It gathers the
// keys of one of its 32 parts at a time, and holds no lock while the caller's loop
// runs.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		for i := range s.shards {
			if s.closed.Load() {
				yield("", fail("scan", prefix, store.ErrClosed))
				return
			}
			keys = s.shards[i].keys(prefix, keys[:0])
			for _, key := range keys {
				if err := ctx.Err(); err != nil {
					yield("", fail("scan", prefix, err))
					return
				}
				if !yield(key, nil) {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield("", fail("scan", prefix, err))
		}
	}
}

// keys appends the live keys under prefix.
func (sh *shard) keys(prefix string, keys []string) []string {
	now := time.Now().UnixNano()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.table {
		if s == 0 {
			continue
		}
		r := sh.at(s)
		if key := r.key(); len(key) >= len(prefix) && string(key[:len(prefix)]) == prefix && !r.expired(now) {
			keys = append(keys, string(key))
		}
	}
	for key, b := range sh.byKey {
		if strings.HasPrefix(key, prefix) && (b.expires == never || now < b.expires) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Count implements store.Counter.
func (s *Store) Count() int64 {
	now, n := time.Now().UnixNano(), int64(0)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, sl := range sh.table {
			if sl != 0 && !sh.at(sl).expired(now) {
				n++
			}
		}
		for _, b := range sh.byKey {
			if b.expires == never || now < b.expires {
				n++
			}
		}
		sh.mu.Unlock()
	}
	return n
}

// Clear implements store.Clearer.
func (s *Store) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("clear", "", err)
	}
	if s.closed.Load() {
		return fail("clear", "", store.ErrClosed)
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.reset()
		sh.mu.Unlock()
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.reset()
		sh.mu.Unlock()
	}
	return nil
}

// Stats implements store.Statser. Entries that have expired and that nobody has
// asked for since count until they are swept.
func (s *Store) Stats() store.Stats {
	st := store.Stats{Bytes: s.bytes.Load(), Capacity: s.opts.Capacity}
	var live, log int64
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		st.Hits += sh.hits
		st.Misses += sh.misses
		st.Sets += sh.sets
		st.Deletes += sh.deletes
		st.Evictions += sh.evictions
		st.Rejections += sh.rejected
		st.Expired += sh.expired
		st.Entries += int64(sh.n + len(sh.byKey))
		live += sh.live
		log += int64(len(sh.order)) * int64(s.segSize)
		sh.mu.Unlock()
	}
	st.Extra = map[string]float64{"log_bytes": float64(log), "log_live_bytes": float64(live)}
	return st
}
