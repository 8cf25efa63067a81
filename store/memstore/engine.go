package memstore

import (
	"github.com/stratacache/strata/internal/index"
	"github.com/stratacache/strata/store"
)

// This file is the traffic between the window and the engine. The invariants:
//
//  1. All writes of a key are made under its shard's mu.
//  2. If the engine holds a key, its value is the newest. So only the newest
//     value is ever put into the engine; while the engine holds a key, a write
//     replaces the value in the engine in the same rw critical section that
//     shows it in the window; and a key whose insertion is pending in the
//     engine's queue is marked as in flight, and is not written before the queue
//     has been waited for.
//  3. A slot leaves the window, under rw, only when the engine has decided on
//     its entry.
//  4. A write takes the older object out of the index before it shows the newer
//     one anywhere, and only under the shard's mu is anything put into it. So what
//     the index has is the newest, and a reader who was given that is not given
//     the older one afterwards.

func (s *Store) shard(key string) *shard { return s.shardOf(s.index.Key(key)) }

func (s *Store) shardOf(k index.Key) *shard { return &s.shards[k.Hash>>8&uint64(len(s.shards)-1)] }

// find returns what key holds, or nil. Most comes from the index; the engine's policy
// learns of such a read later, see sweep.
func (s *Store) find(st *stripe, key string) any {
	k := s.index.Key(key)
	if obj := s.index.Find(k); obj != nil {
		return obj
	}
	return s.search(st, key, k)
}

// search reads key in the engine, then in the window. What proves to be read gets back
// into the index.
func (s *Store) search(st *stripe, key string, k index.Key) any {
	if !s.enter(st) {
		return nil
	}
	sh := s.shardOf(k)
	left := sh.left.Load()
	c, _ := s.cache.Get(k.Hash) // with as few frames above it as may be, see GetObject
	obj := c.Object(k)
	if obj == nil {
		obj = s.findRecent(sh, key, k, left)
	}
	st.leave()
	if obj != nil && s.index.Use(obj) {
		s.restore(key, k, obj)
	}
	return obj
}

// inEngine reads a key in the engine, and returns nil if it is not there.
func (s *Store) inEngine(k index.Key) any {
	c, _ := s.cache.Get(k.Hash)
	return c.Object(k)
}

// restore indexes obj again, if nobody writes just now and it is still what key
// holds.
func (s *Store) restore(key string, k index.Key, obj any) {
	sh := s.shardOf(k)
	if !sh.mu.TryLock() {
		return
	}
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return
	}
	if s.peek(sh, key, k) == obj {
		s.index.Restore(k, obj)
	}
}

// notLooked is what findRecent takes for left from who has not looked at the engine.
const notLooked = ^uint64(0)

// findRecent reads the window. While it holds rw no entry can leave for the
// engine; one that did since left was read, which was before the first look at the
// engine, is there.
func (s *Store) findRecent(sh *shard, key string, k index.Key, left uint64) any {
	sh.rw.RLock()
	defer sh.rw.RUnlock()
	if obj := sh.get(key); obj != nil {
		return obj
	}
	if sh.left.Load() != left && s.holds(k) {
		return s.inEngine(k)
	}
	return nil
}

// holds reports whether the engine holds a key, or another of the same hash, without
// counting as an access.
func (s *Store) holds(k index.Key) bool {
	_, ok := s.cache.GetTTL(k.Hash)
	return ok
}

// peek reads key for a writer, and returns nil if it is absent. The caller holds the
// shard's mu.
func (s *Store) peek(sh *shard, key string, k index.Key) any {
	if obj := sh.get(key); obj != nil {
		return obj
	}
	if s.holds(k) {
		return s.inEngine(k)
	}
	return nil
}

// claim returns the header of obj, as the store holds it from now on.
func (s *Store) claim(k index.Key, obj any) *index.Header {
	if h := s.index.Claim(k, obj); h != nil {
		return h
	}
	return s.index.Claim(k, &foreign{obj: obj})
}

// write stores obj. The caller holds sh.mu.
//
// The window keeps what was just written from being dropped at once. Where the engine
// has room, it drops nothing, and what it holds need not pass through the window.
func (s *Store) write(sh *shard, key string, k index.Key, obj any, cost int64, large bool) {
	h := s.claim(k, obj)
	old, uses := s.withdraw(sh, key, k)
	if old != nil && s.roomy.Load() && sh.slots[key] == nil && old.Suits(cost) && old.Exchange(h) {
		s.index.Put(k, h, uses)
		return
	}
	sh.rw.Lock()
	sl := sh.put(key, k.Hash, h, cost)
	settled := old == nil || s.replace(sh, sl, old)
	sh.rw.Unlock()
	if large {
		sl.large = true
		s.reserve(cost)
	}
	if !settled {
		s.cache.Wait()
	}
	s.index.Put(k, h, uses)
	if sh.full() {
		s.handOver(sh)
	}
}

// withdraw takes the object of key out of the index, and waits for one that is on
// its way to the engine. old is the cell in which the engine holds it, nil if it does
// not; uses is how the key was used, as Table.Put takes it. Most writes need not ask
// the engine, which is dear: what was in the index is in the window, or in the engine
// unless that has dropped it. That may be a moment before it says so; replace finds
// out. The caller holds sh.mu.
func (s *Store) withdraw(sh *shard, key string, k index.Key) (old *index.Cell, uses uint64) {
	h, uses := s.index.Withdraw(k)
	sl := sh.slots[key]
	switch {
	case sl == nil && h == nil:
		if s.holds(k) {
			if old, _ = s.cache.Get(k.Hash); old.Object(k) == nil {
				old = nil // of another key
			}
		}
	case sl == nil:
		old = h.Cell()
	case sl.flying:
		old = sl.header.Cell()
		s.land(sh)
	default:
		old = sl.header.Cell()
		s.release(sl)
	}
	if old != nil && old.Gone() {
		old = nil
	}
	return old, uses
}

// replace gives a key that the engine holds, in the cell old, its new value: in that
// cell, if the engine need not hear of it. Otherwise it gets a new one, by a Set, which
// ristretto does at once. If the engine evicts the key in between, the Set becomes an
// insertion that is still in the queue when replace returns: then settled is false.
//
// Ristretto does not evict when an update makes an entry larger. While it is
// over its budget, the old value is removed instead, and the new one has to be
// admitted like any other.
func (s *Store) replace(sh *shard, sl *slot, old *index.Cell) (settled bool) {
	tight := s.tight.Load()
	if !tight && old.Suits(sl.cost) && old.Exchange(sl.header) {
		return true
	}
	sh.sent++
	if sh.sentBytes += sl.cost; tight || s.cache.RemainingCost() < 0 {
		s.cache.Del(sl.hash)
		return true
	}
	s.live.Add(1)
	if !s.cache.Set(sl.hash, index.NewCell(sl.header, sl.hash, sl.cost), sl.cost) {
		s.live.Add(-1) // it was an insertion, and dropped
		sl.header.Cell().Drop()
		return true
	}
	return old.Replaced()
}

// handOver gives the engine the oldest entries of the window, and takes those
// that were given last time out of it: so the engine, which has a goroutine of
// its own, works while the window fills again. The caller holds sh.mu.
func (s *Store) handOver(sh *shard) {
	s.land(sh)
	room := s.adjust()
	sh.takeOff()
	s.sweep(sh, room)
	s.send(sh)
}

// send queues the entries in flight. One that the engine holds already is up to
// date there.
func (s *Store) send(sh *shard) {
	for _, sl := range sh.flight {
		s.release(sl) // before, so that there is room for it
		if c := sl.header.Cell(); c != nil && !c.Gone() {
			continue
		}
		if sl.header.Untold() {
			s.cache.Get(sl.hash)
		}
		s.insert(sl)
		sh.sent++
	}
}

// land waits until the engine has decided on all that this shard sent, and takes
// the entries in flight out of the window. The caller holds sh.mu.
func (s *Store) land(sh *shard) {
	if sh.sent > 0 {
		s.cache.Wait()
		sh.sent, sh.sentBytes = 0, 0
	}
	if len(sh.flight) == 0 {
		return
	}
	sh.rw.Lock()
	defer sh.rw.Unlock()
	for _, sl := range sh.flight {
		sh.drop(sl)
	}
	sh.flight, sh.flightBytes = sh.flight[:0], 0
}

// insert queues an insertion.
func (s *Store) insert(sl *slot) {
	s.live.Add(1)
	c := index.NewCell(sl.header, sl.hash, sl.cost)
	for !s.cache.Set(sl.hash, c, sl.cost) {
		s.cache.Wait() // the queue was full
	}
}

// remove deletes key from the window and the engine. The caller holds sh.mu. The
// engine's second removal, which it queues, comes before any later insertion.
func (s *Store) remove(sh *shard, key string, k index.Key) {
	s.index.Withdraw(k)
	if sl := sh.slots[key]; sl != nil && sl.flying {
		s.land(sh)
	} else if sl != nil {
		s.release(sl)
		sh.rw.Lock()
		sh.drop(sl)
		sh.rw.Unlock()
	}
	if s.holds(k) {
		s.cache.Del(k.Hash)
		sh.sent++
		if sh.full() {
			s.handOver(sh)
		}
	}
}

// put stores obj under key if ok, called with the shard's mu held, agrees; nil
// always does. What is too large is refused, and the key removed.
func (s *Store) put(op, key string, obj any, cost int64, ok func(sh *shard, k index.Key) bool) (stored bool, err error) {
	if cost > s.size.maxEntry {
		return false, s.tooLarge(op, key)
	}
	large := cost > s.shards[0].maxBytes/2
	if large {
		s.largeMu.Lock()
		defer s.largeMu.Unlock()
		s.settleLarge(key)
	}
	k := s.index.Key(key)
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return false, fail(op, key, store.ErrClosed)
	}
	if ok != nil && !ok(sh, k) {
		return false, nil
	}
	s.write(sh, key, k, obj, cost, large)
	s.sets.Add(1)
	return true, nil
}

// settleLarge hands over the large entry that is in the window, so that there is
// but one at a time, and makes key the next one. The caller holds largeMu, and
// no shard's mu.
func (s *Store) settleLarge(key string) {
	prev := s.largeKey
	s.largeKey = key
	if prev == "" || prev == key {
		return
	}
	sh := s.shard(prev)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sl := sh.slots[prev]
	if sl == nil || s.closed.Load() {
		return
	}
	s.land(sh)
	if sl.large { // it was not in flight
		sh.fly(sl)
		s.send(sh)
		s.land(sh)
	}
}

// tooLarge refuses a write and removes what it would have replaced.
func (s *Store) tooLarge(op, key string) error {
	if err := s.del(op, key); err != nil {
		return err
	}
	s.rejections.Add(1)
	return fail(op, key, store.ErrTooLarge)
}

// del removes key.
func (s *Store) del(op, key string) error {
	k := s.index.Key(key)
	sh := s.shardOf(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return fail(op, key, store.ErrClosed)
	}
	s.remove(sh, key, k)
	return nil
}
