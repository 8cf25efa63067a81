package chain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// leases is a shared tier that writes down how leases are broken.
type leases struct {
	*mapStore
	mu  sync.Mutex
	log []string
}

func (s *leases) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *leases) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

func (s *leases) Lease(context.Context, string, time.Duration) (store.Lease, error) {
	return nil, store.ErrLeased
}
func (s *leases) AwaitLease(context.Context, string) error { return nil }

func (s *leases) BreakLease(_ context.Context, key string) error {
	s.add("break %s", key)
	return nil
}

func (s *leases) Set(ctx context.Context, key string, e store.Entry) error {
	s.add("set %s", key)
	return s.mapStore.Set(ctx, key, e)
}

func (s *leases) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	s.add("set %d", len(entries))
	for key, e := range entries {
		if err := s.mapStore.Set(ctx, key, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *leases) Delete(ctx context.Context, key string) error {
	s.add("delete %s", key)
	return s.mapStore.Delete(ctx, key)
}

// leaseWriter can do it in few calls.
type leaseWriter struct {
	leases
	refuses bool
}

func (s *leaseWriter) SetLeased(ctx context.Context, key string, e store.Entry) error {
	s.add("set leased %s", key)
	if s.refuses {
		return store.ErrTooLarge
	}
	return s.mapStore.Set(ctx, key, e)
}

func (s *leaseWriter) BreakLeases(_ context.Context, keys []string) error {
	s.add("break %d", len(keys))
	return nil
}

// A write takes the leases of its keys away, before and after, in as few calls as the
// store needs.
func TestWritesBreakLeases(t *testing.T) {
	const rules = "rules: [{keys: 'leased:{id}', ttl: 1h, lease: 10s}, {keys: 'free:{id}', ttl: 1h}]"
	plain, writer := &leases{mapStore: newMap()}, &leaseWriter{leases: leases{mapStore: newMap()}}
	for name, c := range map[string]struct {
		s           store.Store
		log         func() []string
		set, delete []string
		many        []string
	}{
		"one by one": {
			plain, plain.take, []string{"break leased:1", "set leased:1", "break leased:1"},
			[]string{"break leased:1", "delete leased:1", "break leased:1"}, nil,
		},
		"together": {
			writer, writer.take, []string{"set leased leased:1"},
			[]string{"break 1", "delete leased:1", "break 1"}, []string{"break 2", "set 3", "break 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache := chain.NewCache[int](newChain(t, []chain.Tier{{Name: "redis", Store: c.s}}, rules, nil), nil)
			want := func(what string, want []string) {
				t.Helper()
				if got := c.log(); !slices.Equal(got, want) {
					t.Errorf("%s: %q; want %q", what, got, want)
				}
			}
			noErr(t, cache.Set(t.Context(), "leased:1", 1))
			want("a leased key", c.set)
			noErr(t, cache.Set(t.Context(), "free:1", 1))
			want("another key", []string{"set free:1"})
			noErr(t, cache.Delete(t.Context(), "leased:1"))
			want("a delete", c.delete)
			if c.many != nil {
				noErr(t, cache.SetMany(t.Context(), map[string]int{"leased:1": 1, "leased:2": 2, "free:1": 1}))
				want("a batch", c.many)
			}
			if v, err := cache.Get(t.Context(), "free:1"); err != nil || v != 1 {
				t.Errorf("Get = %d, %v", v, err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) { // what the tier holds of the key has to go
		s := &leaseWriter{leases: leases{mapStore: newMap()}}
		cache := chain.NewCache[int](newChain(t, []chain.Tier{{Name: "redis", Store: s}}, rules, nil), nil)
		noErr(t, cache.Set(t.Context(), "leased:1", 1))
		s.refuses = true
		_ = cache.Set(t.Context(), "leased:1", 2)
		if v, err := cache.Get(t.Context(), "leased:1"); err == nil && v == 1 || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get = %d, %v; the older value must be gone", v, err)
		}
	})
}
