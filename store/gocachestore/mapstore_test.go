package gocachestore

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// mapStore is the plainest store that keeps the whole contract.
type mapStore struct {
	mu      sync.Mutex
	entries map[string]store.Entry
	closed  bool
}

func newMapStore() *mapStore { return &mapStore{entries: map[string]store.Entry{}} }

func (s *mapStore) ready(ctx context.Context, op, key string) error {
	var err error
	switch {
	case s.closed:
		err = store.ErrClosed
	case key == "":
		err = store.ErrInvalidKey
	default:
		err = ctx.Err()
	}
	if err != nil {
		return &store.Error{Op: op, Tier: "map", Key: key, Err: err}
	}
	return nil
}

func (s *mapStore) Get(ctx context.Context, key string) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "get", key); err != nil {
		return store.Entry{}, err
	}
	e, ok := s.entries[key]
	if !ok || e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

func (s *mapStore) Set(ctx context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "set", key); err != nil {
		return err
	}
	s.entries[key] = e
	return nil
}

func (s *mapStore) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx, "delete", key); err != nil {
		return err
	}
	delete(s.entries, key)
	return nil
}

func (s *mapStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *mapStore) Scan(_ context.Context, prefix string) iter.Seq2[string, error] {
	s.mu.Lock()
	var keys []string
	for key := range s.entries {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	s.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}
