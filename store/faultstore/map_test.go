package faultstore_test

import (
	"context"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// mapStore is the plainest store that keeps the contract.
type mapStore struct {
	mu     sync.Mutex
	m      map[string]store.Entry
	closed bool
}

func newMap() *mapStore { return &mapStore{m: map[string]store.Entry{}} }

func (s *mapStore) check(ctx context.Context, op, key string, keyed bool) error {
	err := ctx.Err()
	if keyed && key == "" {
		err = store.ErrInvalidKey
	}
	if s.closed {
		err = store.ErrClosed
	}
	if err != nil {
		return &store.Error{Op: op, Tier: "map", Key: key, Err: err}
	}
	return nil
}

func (s *mapStore) Get(ctx context.Context, key string) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, "get", key, true); err != nil {
		return store.Entry{}, err
	}
	e, ok := s.m[key]
	if !ok || e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

func (s *mapStore) Set(ctx context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, "set", key, true); err != nil {
		return err
	}
	s.set(key, e)
	return nil
}

func (s *mapStore) set(key string, e store.Entry) {
	if e.Expired(time.Now()) {
		delete(s.m, key)
		return
	}
	s.m[key] = e
}

func (s *mapStore) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, "fill", key, true); err != nil {
		return false, err
	}
	if old, ok := s.m[key]; ok && !old.Expired(time.Now()) && !store.Newer(e.Version, old.Version) {
		return false, nil
	}
	s.set(key, e)
	return true, nil
}

func (s *mapStore) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx, "delete", key, true); err != nil {
		return err
	}
	delete(s.m, key)
	return nil
}

func (s *mapStore) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		err := s.check(ctx, "scan", prefix, false)
		m := maps.Clone(s.m)
		s.mu.Unlock()
		if err != nil {
			yield("", err)
			return
		}
		for key, e := range m {
			if strings.HasPrefix(key, prefix) && !e.Expired(time.Now()) && !yield(key, nil) {
				return
			}
		}
	}
}

func (s *mapStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
