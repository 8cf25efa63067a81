package otterstore

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/stratacache/strata/internal/serial"
	"github.com/stratacache/strata/store"
)

// GetMany implements store.BatchGetter.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	return serial.GetMany(ctx, s, keys)
}

// SetMany implements store.BatchSetter.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	return serial.SetMany(ctx, s, entries)
}

// DeleteMany implements store.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	return serial.DeleteMany(ctx, s, keys)
}

// Scan implements store.Scanner, for entries and objects alike. Nothing is locked
// while the caller's loop runs. A key that is there from beginning to end comes
// once; one that is written or removed meanwhile may come or not.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", fail("scan", prefix, err))
			return
		}
		if s.closed.Load() {
			yield("", fail("scan", prefix, store.ErrClosed))
			return
		}
		now := time.Now()
		var keys []string
		for key, i := range s.cache.All() {
			if e := asEntry(i.obj); strings.HasPrefix(key, prefix) && (e == nil || !e.Expired(now)) {
				keys = append(keys, key)
			}
		}
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
}
