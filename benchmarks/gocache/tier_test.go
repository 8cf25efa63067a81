package gocache

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	"github.com/redis/go-redis/v9"
)

// mapStore is a gocache store in a map, which counts its calls and runs a hook
// before each: what faultstore is for strata.
type mapStore struct {
	before    func(ctx context.Context, op string) error // nil: nothing
	answering atomic.Pointer[race]                       // of the next Get

	mu     sync.Mutex
	values map[any]any
	calls  map[string]int
}

var _ lib_store.StoreInterface = (*mapStore)(nil)

func newMapStore() *mapStore {
	return &mapStore{values: map[any]any{}, calls: map[string]int{}}
}

// enter counts a call and runs the hook, without the lock.
func (s *mapStore) enter(ctx context.Context, op string) error {
	s.mu.Lock()
	s.calls[op]++
	s.mu.Unlock()
	if s.before == nil {
		return nil
	}
	return s.before(ctx, op)
}

func (s *mapStore) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *mapStore) Get(ctx context.Context, key any) (any, error) {
	if err := s.enter(ctx, "get"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	v, ok := s.values[key]
	s.mu.Unlock()
	if r := s.answering.Swap(nil); r != nil {
		r.answering()
	}
	if !ok {
		return nil, lib_store.NotFound{}
	}
	return v, nil
}

func (s *mapStore) GetWithTTL(ctx context.Context, key any) (any, time.Duration, error) {
	v, err := s.Get(ctx, key)
	return v, time.Hour, err
}

func (s *mapStore) Set(ctx context.Context, key, value any, _ ...lib_store.Option) error {
	if err := s.enter(ctx, "set"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

func (s *mapStore) Delete(ctx context.Context, key any) error {
	if err := s.enter(ctx, "delete"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
	return nil
}

func (s *mapStore) Invalidate(context.Context, ...lib_store.InvalidateOption) error { return nil }

func (s *mapStore) Clear(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.values)
	return nil
}

func (s *mapStore) GetType() string { return "map" }

// ristrettoTier is gocache's memory store, and the engine below it.
func ristrettoTier[V any](t *testing.T) (*ristretto_store.RistrettoStore[string, V], *ristretto.Cache[string, V]) {
	t.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, V]{
		NumCounters: 100_000, MaxCost: 10_000, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	// It is not closed: the goroutine of gocache's chain, which nothing ends, may still
	// set into it, and a Set into a closed ristretto panics.
	return ristretto_store.NewRistretto(c, lib_store.WithCost(1)), c
}

// redisTier is gocache's Redis store.
func redisTier(client *redis.Client) *redis_store.RedisStore {
	return redis_store.NewRedis(client)
}

// gocacheChain is gocache's chain over two stores, nearest first.
func gocacheChain[V any](near, far lib_store.StoreInterface) *cache.ChainCache[V] {
	return cache.NewChain(cache.New[V](near), cache.New[V](far))
}

// settle waits until the chain has done what it had queued before: it promotes
// a fresh key, in order after the rest.
func settle(t *testing.T, c *cache.ChainCache[string], near, far lib_store.StoreInterface, marker string) {
	t.Helper()
	ctx := t.Context()
	if err := far.Set(ctx, marker, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, marker); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := near.Get(ctx, marker); err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("the chain never promoted the marker")
		}
		time.Sleep(10 * time.Microsecond)
	}
}
