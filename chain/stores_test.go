package chain_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
)

// mapStore is a tier of bytes, as plain as can be, that counts its reads.
type mapStore = mapstore.Store

func newMap() *mapStore { return mapstore.New() }

// objectStore is a memory tier that keeps nothing beyond its capacity: the most
// awkward one that the contract allows, since it may refuse and drop at any time.
type objectStore struct {
	mapStore
	mu       sync.Mutex
	objs     map[string]any
	capacity int
	closed   bool
}

func newObjects(capacity int) *objectStore {
	return &objectStore{objs: map[string]any{}, capacity: capacity}
}

func (s *objectStore) GetObject(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objs[key]
	return o, ok && !s.closed
}

func (s *objectStore) SetObject(key string, obj any, _ int64, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	delete(s.objs, key)
	for len(s.objs) >= s.capacity {
		for victim := range s.objs {
			delete(s.objs, victim)
			break
		}
		if s.capacity == 0 {
			return nil // refused, silently as an admission policy does
		}
	}
	s.objs[key] = obj
	return nil
}

func (s *objectStore) Delete(ctx context.Context, key string) error {
	err := s.mapStore.Delete(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objs, key)
	return err
}

func (s *objectStore) Clear(ctx context.Context) error {
	err := s.mapStore.Clear(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objs)
	return err
}

func (s *objectStore) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.mapStore.Close()
}

// newChain makes a chain that is closed at the end of the test.
func newChain(t testing.TB, tiers []chain.Tier, yaml string, opts *chain.Options) *chain.Chain {
	t.Helper()
	c, err := chain.New(tiers, parse(t, yaml), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}
