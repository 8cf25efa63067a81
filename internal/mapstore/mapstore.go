// Package mapstore is the plainest store that keeps the whole contract of
// package store: a map behind a mutex, which counts what is asked of it. Tests
// use it where what lies above a store is tested, and no engine matters.
package mapstore

import (
	"context"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// Store is a map of entries. The zero value is empty and ready. It is safe for
// concurrent use, and evicts nothing.
type Store struct {
	mu      sync.Mutex
	entries map[string]store.Entry
	reads   map[string]int
	fills   map[string]int
	writes  map[string]int
	batches int
	closed  bool
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.BatchGetter = (*Store)(nil)
	_ store.Filler      = (*Store)(nil)
	_ store.Scanner     = (*Store)(nil)
	_ store.Clearer     = (*Store)(nil)
)

// New returns an empty store.
func New() *Store { return &Store{} }

// enter locks the store, whatever it returns.
func (s *Store) enter(ctx context.Context, op, key string, keyed bool) error {
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = store.ErrClosed
	case keyed && key == "":
		err = store.ErrInvalidKey
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		return nil
	}
	return &store.Error{Op: op, Tier: "map", Key: key, Err: err}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	err := s.enter(ctx, "get", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return store.Entry{}, err
	}
	count(&s.reads, key)
	if e, ok := s.live(key); ok {
		return e, nil
	}
	return store.Entry{}, store.ErrNotFound
}

// GetMany implements store.BatchGetter.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	err := s.enter(ctx, "get", "", false)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.batches++
	found := map[string]store.Entry{}
	var be *store.BatchError
	for _, key := range keys {
		if key == "" {
			be = be.Add(key, &store.Error{Op: "get", Tier: "map", Key: key, Err: store.ErrInvalidKey})
			continue
		}
		count(&s.reads, key)
		if e, ok := s.live(key); ok {
			found[key] = e
		}
	}
	return found, be.ErrOrNil()
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	err := s.enter(ctx, "set", key, true)
	defer s.mu.Unlock()
	if err == nil {
		s.put(key, e)
	}
	return err
}

// Fill implements store.Filler.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	err := s.enter(ctx, "fill", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return false, err
	}
	if old, ok := s.live(key); ok && !store.Newer(e.Version, old.Version) {
		return false, nil
	}
	count(&s.fills, key)
	s.put(key, e)
	return true, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.enter(ctx, "delete", key, true)
	defer s.mu.Unlock()
	if err == nil {
		delete(s.entries, key)
	}
	return err
}

// Scan implements store.Scanner: it lists what was there when it began.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := s.enter(ctx, "scan", prefix, false)
		entries := maps.Clone(s.entries)
		s.mu.Unlock()
		if err != nil {
			yield("", err)
			return
		}
		for key, e := range entries {
			if strings.HasPrefix(key, prefix) && !e.Expired(time.Now()) && !yield(key, nil) {
				return
			}
		}
	}
}

// Clear implements store.Clearer.
func (s *Store) Clear(ctx context.Context) error {
	err := s.enter(ctx, "clear", "", false)
	defer s.mu.Unlock()
	if err == nil {
		clear(s.entries)
	}
	return err
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// live returns the entry of key unless it has expired.
func (s *Store) live(key string) (store.Entry, bool) {
	e, ok := s.entries[key]
	return e, ok && !e.Expired(time.Now())
}

func (s *Store) put(key string, e store.Entry) {
	if e.Expired(time.Now()) {
		delete(s.entries, key)
		return
	}
	count(&s.writes, key)
	if s.entries == nil {
		s.entries = map[string]store.Entry{}
	}
	s.entries[key] = e
}

func count(n *map[string]int, key string) {
	if *n == nil {
		*n = map[string]int{}
	}
	(*n)[key]++
}
