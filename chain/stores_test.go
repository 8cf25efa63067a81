package chain_test

import (
	"context"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// mapStore is a tier of bytes, as plain as can be, that counts its reads.
type mapStore struct {
	mu      sync.Mutex
	m       map[string]store.Entry
	reads   map[string]int
	fills   map[string]int
	writes  map[string]int
	batches int
	closed  bool
}

func newMap() *mapStore {
	return &mapStore{m: map[string]store.Entry{}, reads: map[string]int{}, fills: map[string]int{}}
}

func (s *mapStore) enter(ctx context.Context, op, key string, keyed bool) error {
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = store.ErrClosed
	case ctx.Err() != nil:
		err = ctx.Err()
	case keyed && key == "":
		err = store.ErrInvalidKey
	default:
		return nil
	}
	return &store.Error{Op: op, Tier: "map", Key: key, Err: err}
}

func (s *mapStore) Get(ctx context.Context, key string) (store.Entry, error) {
	err := s.enter(ctx, "get", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return store.Entry{}, err
	}
	s.reads[key]++
	e, ok := s.m[key]
	if !ok || e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

func (s *mapStore) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
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
			be = be.Add(key, store.ErrInvalidKey)
			continue
		}
		s.reads[key]++
		if e, ok := s.m[key]; ok && !e.Expired(time.Now()) {
			found[key] = e
		}
	}
	return found, be.ErrOrNil()
}

func (s *mapStore) put(key string, e store.Entry) {
	if e.Expired(time.Now()) {
		delete(s.m, key)
		return
	}
	if s.writes == nil {
		s.writes = map[string]int{}
	}
	s.writes[key]++
	s.m[key] = e
}

func (s *mapStore) Set(ctx context.Context, key string, e store.Entry) error {
	err := s.enter(ctx, "set", key, true)
	defer s.mu.Unlock()
	if err == nil {
		s.put(key, e)
	}
	return err
}

func (s *mapStore) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	err := s.enter(ctx, "fill", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return false, err
	}
	if old, ok := s.m[key]; ok && !old.Expired(time.Now()) && !store.Newer(e.Version, old.Version) {
		return false, nil
	}
	s.fills[key]++
	s.put(key, e)
	return true, nil
}

func (s *mapStore) Delete(ctx context.Context, key string) error {
	err := s.enter(ctx, "delete", key, true)
	defer s.mu.Unlock()
	if err == nil {
		delete(s.m, key)
	}
	return err
}

func (s *mapStore) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	err := s.enter(ctx, "scan", "", false)
	m := maps.Clone(s.m)
	s.mu.Unlock()
	return func(yield func(string, error) bool) {
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

func (s *mapStore) Clear(ctx context.Context) error {
	err := s.enter(ctx, "clear", "", false)
	defer s.mu.Unlock()
	if err == nil {
		clear(s.m)
	}
	return err
}

func (s *mapStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *mapStore) readsOf(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[key]
}

func (s *mapStore) peek(key string) (store.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.m[key]
	return e, ok
}

func (s *mapStore) plant(key string, e store.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = e
}

// objectStore is a memory tier that keeps nothing beyond its capacity: the most
// awkward one that the contract allows, since it may refuse and drop at any time.
type objectStore struct {
	mapStore
	objs     map[string]any
	capacity int
}

func newObjects(capacity int) *objectStore {
	s := &objectStore{objs: map[string]any{}, capacity: capacity}
	s.m, s.reads, s.fills = map[string]store.Entry{}, map[string]int{}, map[string]int{}
	return s
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

// fillsAndSets counts the writes of a key.
func (s *mapStore) fillsAndSets(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes[key]
}
