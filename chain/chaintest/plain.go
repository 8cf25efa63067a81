package chaintest

import (
	"context"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// plain is the near tier: a map that does as it should.
type plain struct {
	mu sync.Mutex
	m  map[string]store.Entry
}

func newPlain() *plain { return &plain{m: map[string]store.Entry{}} }

func (s *plain) Get(_ context.Context, key string) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.m[key]
	if !ok || e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

func (s *plain) Set(_ context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = e
	return nil
}

func (s *plain) Fill(_ context.Context, key string, e store.Entry) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.m[key]; ok && !old.Expired(time.Now()) && !store.Newer(e.Version, old.Version) {
		return false, nil
	}
	s.m[key] = e
	return true, nil
}

func (s *plain) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
	return nil
}

func (s *plain) Close() error { return nil }

// forget empties the tier, as an eviction of all would.
func (s *plain) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.m)
}
