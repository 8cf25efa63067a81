package chain

import (
	"context"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// objects is a memory tier without bounds, for the tests of this package.
type objects struct {
	mu sync.Mutex
	m  map[string]any
}

func (s *objects) GetObject(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.m[key]
	return o, ok
}

func (s *objects) SetObject(key string, obj any, _ int64, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = obj
	return nil
}

func (s *objects) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
}

func (s *objects) Get(context.Context, string) (store.Entry, error) {
	return store.Entry{}, store.ErrNotFound
}

func (s *objects) Set(_ context.Context, key string, _ store.Entry) error {
	s.forget(key)
	return nil
}

func (s *objects) Delete(_ context.Context, key string) error {
	s.forget(key)
	return nil
}

func (*objects) Close() error { return nil }
