package memstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/stratacache/strata/internal/index"
	"github.com/stratacache/strata/store"
)

// Store is a cache tier in memory. Create it with New. It is safe for concurrent
// use.
type Store struct {
	cache   *ristretto.Cache[uint64, *index.Cell] // by the first hash of the key
	index   *index.Table                          // of what the window and the engine hold; it may lack some
	ticks   atomic.Uint64                         // how many reads of a stripe are counted at once, a power of two
	size    sizing
	onEvict func(any)
	told    atomic.Pointer[func(any)] // see NotifyEvictions

	shards  []shard // a power of two
	stripes [numStripes]stripe
	closed  atomic.Bool // set with every shard's mu held

	largeMu  sync.Mutex // before any shard's mu
	largeKey string     // the key last written by a large entry

	budgetMu sync.Mutex // after any shard's mu
	reserved int64      // bytes of large entries in the window
	peak     int64      // the most entries since the last Clear

	live    atomic.Int64  // cells in the engine or its queue
	tight   atomic.Bool   // the engine was over its budget when that was last set
	roomy   atomic.Bool   // it had so much room then that it will drop nothing until the next time
	reads   atomic.Int64  // in this epoch of the index
	hand    atomic.Uint64 // the bucket of the index that is looked at next
	quiet   atomic.Bool   // the engine is being emptied: its evictions are none
	sets    atomic.Uint64
	deletes atomic.Uint64
	expired atomic.Uint64

	evictions, rejections atomic.Uint64
}

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
	_ store.ObjectPeeker     = (*Store)(nil)
	_ store.ObjectFiller     = (*Store)(nil)
)

const tier = "memory"

// New makes a store; opts may be nil. The error names the option that is wrong.
// Close releases the engine's two goroutines.
func New(opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return newSized(size(o), o.OnEvict)
}

func newSized(z sizing, onEvict func(any)) (*Store, error) {
	s := &Store{size: z, onEvict: onEvict, index: index.New(z.index)}
	s.ticks.Store(ticksFor(0))
	n := min(max(pow2(z.windowItems/64), 1), maxShards)
	s.shards = make([]shard, n)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.slots = make(map[string]*slot)
		sh.maxItems = int(min(max(z.windowItems/n, 8), maxShardItems))
		sh.maxBytes = z.window / n
	}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *index.Cell]{
		NumCounters:        z.counters,
		MaxCost:            z.main,
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
		OnExit:             s.left,
		OnEvict:            func(i *ristretto.Item[*index.Cell]) { s.evicted(&s.evictions, i) },
		OnReject:           func(i *ristretto.Item[*index.Cell]) { s.evicted(&s.rejections, i) },
	})
	if err != nil {
		return nil, fmt.Errorf("memstore: %w", err)
	}
	s.cache = cache
	return s, nil
}

// left is told of every cell that leaves the engine, replaced ones included; nil is
// a removal of what was not there. Of two keys of one hash the engine holds one: then
// the object of the other one is still in the index.
func (s *Store) left(c *index.Cell) {
	if c == nil {
		return
	}
	s.live.Add(-1)
	if h := c.Replace(); h != nil {
		s.index.Forget(c.Hash(), h)
	}
}

// evicted is told of what the engine drops by itself, before left.
func (s *Store) evicted(count *atomic.Uint64, i *ristretto.Item[*index.Cell]) {
	if i.Value == nil {
		return
	}
	if h := i.Value.Drop(); h != nil {
		s.dropped(count, i.Key, h)
	}
}

// dropped follows the end of h's object, whose cell has been closed.
func (s *Store) dropped(count *atomic.Uint64, hash uint64, h *index.Header) {
	s.index.Drop(hash, h)
	if s.quiet.Load() {
		return
	}
	count.Add(1)
	obj := public(h.Object())
	if s.onEvict != nil {
		s.onEvict(obj)
	}
	if f := s.told.Load(); f != nil {
		(*f)(obj)
	}
}

// NotifyEvictions implements store.EvictionNotifier, beside Options.OnEvict and
// under the same conditions.
func (s *Store) NotifyEvictions(f func(obj any)) { s.told.Store(&f) }

// check is the common head of every operation with a context.
func check(ctx context.Context, op, key string) error {
	if key == "" {
		return fail(op, key, store.ErrInvalidKey)
	}
	if err := ctx.Err(); err != nil {
		return fail(op, key, err)
	}
	return nil
}

func fail(op, key string, err error) error {
	return &store.Error{Op: op, Tier: tier, Key: key, Err: err}
}

// Get implements store.Store. A hit allocates nothing. It reads the clock only
// for an entry that has a deadline.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := check(ctx, "get", key); err != nil {
		return store.Entry{}, err
	}
	st := s.stripe()
	obj := s.find(st, key)
	e := asEntry(obj)
	if e == nil {
		if s.closed.Load() {
			return store.Entry{}, fail("get", key, store.ErrClosed)
		}
		s.miss(st)
		return store.Entry{}, store.ErrNotFound
	}
	if !e.Expires.IsZero() && e.Expired(time.Now()) {
		s.miss(st)
		s.expire(key, obj)
		return store.Entry{}, store.ErrNotFound
	}
	s.hit(st)
	return *e, nil
}

// asEntry returns the entry that obj is, or nil.
func asEntry(obj any) *store.Entry {
	e, _ := public(obj).(*store.Entry)
	return e
}

// expire removes key if it still holds obj, which has expired. The caller has
// ended its read.
func (s *Store) expire(key string, obj any) {
	k := s.index.Key(key)
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return
	}
	if s.peek(sh, key, k) != obj {
		return
	}
	s.remove(sh, key, k)
	s.expired.Add(1)
}

// Set implements store.Store. It keeps e.Value; the error is store.ErrTooLarge
// for an entry beyond Options.MaxEntry, and the key is then absent.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	if err := check(ctx, "set", key); err != nil {
		return err
	}
	if !e.Expires.IsZero() && e.Expired(time.Now()) {
		return s.del("set", key)
	}
	ent := newEntry(key, e)
	_, err := s.put("set", key, ent, entryCost(ent), nil)
	return err
}

// newEntry returns e as the store holds it. A deadline lives by the wall clock,
// as it does in every other tier.
func newEntry(key string, e store.Entry) *entry {
	e.Expires = e.Expires.Round(0)
	e.Fresh = e.Fresh.Round(0)
	return &entry{Entry: e, key: key}
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, "delete", key); err != nil {
		return err
	}
	if err := s.del("delete", key); err != nil {
		return err
	}
	s.deletes.Add(1)
	return nil
}

// Fill implements store.Filler. What is there counts as older if it is an object
// other than an entry, for such a key is a miss to Get.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	if err := check(ctx, "fill", key); err != nil {
		return false, err
	}
	ent := newEntry(key, e)
	return s.put("fill", key, ent, entryCost(ent), func(sh *shard, k index.Key) bool {
		now := time.Now()
		if old := asEntry(s.peek(sh, key, k)); old != nil && !old.Expired(now) && !store.Newer(e.Version, old.Version) {
			return false
		}
		if e.Expired(now) {
			s.remove(sh, key, k)
			return false
		}
		return true
	})
}

// lockAll takes every writer's lock.
func (s *Store) lockAll() (unlock func()) {
	s.largeMu.Lock()
	for i := range s.shards {
		s.shards[i].mu.Lock()
	}
	return func() {
		for i := range s.shards {
			s.shards[i].mu.Unlock()
		}
		s.largeMu.Unlock()
	}
}

// empty removes everything. The caller has locked all.
func (s *Store) empty(clearEngine func()) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.rw.Lock()
		sh.clear()
		sh.rw.Unlock()
	}
	s.largeKey = ""
	s.index.Clear()
	s.quiet.Store(true)
	clearEngine()
	s.quiet.Store(false)
	s.peak = 0
	s.reserve(-s.reserved)
}

// Clear implements store.Clearer. Writers wait for it: what they wrote before is
// gone, what they write afterwards stays.
func (s *Store) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("clear", "", err)
	}
	defer s.lockAll()()
	if s.closed.Load() {
		return fail("clear", "", store.ErrClosed)
	}
	s.empty(s.cache.Clear)
	return nil
}

// Close implements store.Store. It waits for the calls under way and ends the
// engine's goroutines.
func (s *Store) Close() error {
	defer s.lockAll()()
	if s.closed.Swap(true) {
		return nil
	}
	s.waitReaders()
	s.empty(s.cache.Close)
	return nil
}
