package otterstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"

	"github.com/stratacache/strata/store"
)

// Store is a cache tier in memory. Create it with New. It is safe for concurrent
// use.
type Store struct {
	cache    *otter.Cache[string, item]
	counter  *stats.Counter
	capacity int64
	maxEntry int64

	closed  atomic.Bool
	closing sync.RWMutex // writers hold it for reading: nothing is stored after Close

	told atomic.Pointer[func(any)] // see NotifyEvictions

	sets, deletes, expired atomic.Uint64
}

// item is what the engine holds: the object, and what it weighs.
type item struct {
	obj    any
	weight uint32
}

// entry is an encoded entry as the store holds it.
type entry struct{ store.Entry }

var (
	_ store.Store        = (*Store)(nil)
	_ store.Objects      = (*Store)(nil)
	_ store.BatchGetter  = (*Store)(nil)
	_ store.BatchSetter  = (*Store)(nil)
	_ store.BatchDeleter = (*Store)(nil)
	_ store.Filler       = (*Store)(nil)
	_ store.Scanner      = (*Store)(nil)
	_ store.Clearer      = (*Store)(nil)
	_ store.Statser      = (*Store)(nil)

	_ store.EvictionNotifier = (*Store)(nil)
)

const tier = "memory"

// New makes a store; opts may be nil. The error names the option that is wrong.
func New(opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{counter: stats.NewCounter(), capacity: o.Capacity, maxEntry: o.MaxEntry}
	config := &otter.Options[string, item]{
		MaximumWeight: uint64(o.Capacity),
		Weigher:       func(_ string, i item) uint32 { return i.weight },
		StatsRecorder: s.counter,
	}
	config.OnDeletion = func(e otter.DeletionEvent[string, item]) {
		if !e.WasEvicted() {
			return
		}
		if o.OnEvict != nil {
			o.OnEvict(public(e.Value.obj))
		}
		if f := s.told.Load(); f != nil {
			(*f)(public(e.Value.obj))
		}
	}
	if s.cache, err = otter.New(config); err != nil {
		return nil, fmt.Errorf("otterstore: %w", err)
	}
	return s, nil
}

// NotifyEvictions implements store.EvictionNotifier, beside Options.OnEvict and
// under the same conditions.
func (s *Store) NotifyEvictions(f func(obj any)) { s.told.Store(&f) }

// check is the common head of every operation with a context.
func (s *Store) check(ctx context.Context, op, key string) error {
	if key == "" {
		return fail(op, key, store.ErrInvalidKey)
	}
	if err := ctx.Err(); err != nil {
		return fail(op, key, err)
	}
	if s.closed.Load() {
		return fail(op, key, store.ErrClosed)
	}
	return nil
}

func fail(op, key string, err error) error {
	return &store.Error{Op: op, Tier: tier, Key: key, Err: err}
}

// public returns obj as callers see it.
func public(obj any) any {
	if e, is := obj.(*entry); is {
		return &e.Entry
	}
	return obj
}

// asEntry returns the entry that obj is, or nil.
func asEntry(obj any) *store.Entry {
	switch e := obj.(type) {
	case *entry:
		return &e.Entry
	case *store.Entry:
		return e
	}
	return nil
}

// Get implements store.Store. A hit allocates nothing. It reads the clock only
// for an entry that has a deadline.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return store.Entry{}, err
	}
	i, _ := s.cache.GetIfPresent(key)
	e := asEntry(i.obj)
	if e == nil {
		return store.Entry{}, store.ErrNotFound
	}
	if !e.Expires.IsZero() && e.Expired(time.Now()) {
		s.expire(key, i.obj)
		return store.Entry{}, store.ErrNotFound
	}
	return *e, nil
}

// expire removes key if it still holds obj, which has expired.
func (s *Store) expire(key string, obj any) {
	gone := false
	s.cache.ComputeIfPresent(key, func(now item) (item, otter.ComputeOp) {
		gone = asEntry(now.obj) == asEntry(obj)
		if !gone {
			return now, otter.CancelOp
		}
		return item{}, otter.InvalidateOp
	})
	if gone {
		s.expired.Add(1)
	}
}

// Set implements store.Store. It keeps e.Value; the error is store.ErrTooLarge
// for an entry beyond Options.MaxEntry, and the key is then absent.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	if err := s.check(ctx, "set", key); err != nil {
		return err
	}
	if !e.Expires.IsZero() && e.Expired(time.Now()) {
		return s.write("set", func() { s.cache.Invalidate(key) })
	}
	ent := newEntry(e)
	return s.put("set", key, ent, entryCost(key, ent))
}

// newEntry returns e as the store holds it. A deadline lives by the wall clock,
// as it does in every other tier.
func newEntry(e store.Entry) *entry {
	e.Expires = e.Expires.Round(0)
	e.Fresh = e.Fresh.Round(0)
	return &entry{e}
}

// put stores obj, or removes the key where obj is too large: the caller believes
// that what was there is replaced.
func (s *Store) put(op, key string, obj any, cost int64) error {
	if cost > s.maxEntry {
		if err := s.write(op, func() { s.cache.Invalidate(key) }); err != nil {
			return err
		}
		return fail(op, key, store.ErrTooLarge)
	}
	return s.write(op, func() {
		s.cache.Set(key, item{obj, uint32(cost)})
		s.sets.Add(1)
	})
}

// write runs f unless the store is closed.
func (s *Store) write(op string, f func()) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed.Load() {
		return fail(op, "", store.ErrClosed)
	}
	f()
	return nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx, "delete", key); err != nil {
		return err
	}
	return s.write("delete", func() {
		s.cache.Invalidate(key)
		s.deletes.Add(1)
	})
}

// Fill implements store.Filler. What is there counts as older if it is an object
// other than an entry, for such a key is a miss to Get.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	if err := s.check(ctx, "fill", key); err != nil {
		return false, err
	}
	ent := newEntry(e)
	cost := entryCost(key, ent)
	err = s.write("fill", func() {
		s.cache.Compute(key, func(now item, found bool) (item, otter.ComputeOp) {
			at := time.Now()
			old := asEntry(now.obj)
			if found && old != nil && !old.Expired(at) && !store.Newer(e.Version, old.Version) {
				return now, otter.CancelOp
			}
			if e.Expired(at) || cost > s.maxEntry {
				return item{}, otter.InvalidateOp
			}
			stored = true
			return item{ent, uint32(cost)}, otter.WriteOp
		})
	})
	if err == nil && cost > s.maxEntry {
		err = fail("fill", key, store.ErrTooLarge)
	}
	if stored {
		s.sets.Add(1)
	}
	return stored, err
}

// Clear implements store.Clearer.
func (s *Store) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("clear", "", err)
	}
	s.closing.Lock() // writers wait: what they wrote before is gone, what they write afterwards stays
	defer s.closing.Unlock()
	if s.closed.Load() {
		return fail("clear", "", store.ErrClosed)
	}
	s.cache.InvalidateAll()
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed.Swap(true) {
		return nil
	}
	s.cache.InvalidateAll()
	s.cache.StopAllGoroutines()
	return nil
}

// Stats implements store.Statser. Hits and Misses count GetObject too; a read
// that finds an expired entry, or one of the other kind, counts as a hit.
// Entries and Bytes are the engine's estimate.
func (s *Store) Stats() store.Stats {
	c := s.counter.Snapshot()
	st := store.Stats{
		Hits: c.Hits, Misses: c.Misses, Evictions: c.Evictions,
		Sets: s.sets.Load(), Deletes: s.deletes.Load(), Expired: s.expired.Load(),
		Capacity: s.capacity,
	}
	if !s.closed.Load() {
		s.cache.CleanUp() // what is written and not yet weighed
		st.Entries, st.Bytes = int64(s.cache.EstimatedSize()), int64(s.cache.WeightedSize())
	}
	return st
}
