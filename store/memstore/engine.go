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

// find returns what key holds, or nil. What has been read often comes from the
// index; the engine's policy learns of other reads by being asked.
func (s *Store) find(st *stripe, key string) any {
	k := s.index.Key(key)
	obj, known := s.index.Find(k)
	switch {
	case obj == nil:
		return s.search(st, key, k)
	case !known && s.enter(st):
		s.cache.Get(key)
		st.leave()
	}
	return obj
}

// search reads key in the engine, then in the window. What proves to be read often
// gets back into the index.
func (s *Store) search(st *stripe, key string, k index.Key) any {
	if !s.enter(st) {
		return nil
	}
	sh := s.shardOf(k)
	left := sh.left.Load()
	obj, ok := s.cache.Get(key)
	if !ok {
		obj, ok = s.findRecent(sh, key, left)
	}
	st.leave()
	if !ok {
		return nil
	}
	if s.index.Use(obj) {
		s.restore(key, k, obj)
	}
	return obj
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
	if now, ok := s.peek(sh, key); ok && now == obj {
		s.index.Restore(k, obj)
	}
}

// notLooked is what findRecent takes for left from who has not looked at the engine.
const notLooked = ^uint64(0)

// findRecent reads the window. While it holds rw no entry can leave for the
// engine; one that did since left was read, which was before the first look at the
// engine, is there.
func (s *Store) findRecent(sh *shard, key string, left uint64) (any, bool) {
	sh.rw.RLock()
	defer sh.rw.RUnlock()
	if v, ok := sh.get(key); ok {
		return v, true
	}
	if sh.left.Load() != left && s.holds(key) {
		return s.cache.Get(key)
	}
	return nil, false
}

// holds reports whether the engine holds key, without counting as an access.
func (s *Store) holds(key string) bool {
	_, ok := s.cache.GetTTL(key)
	return ok
}

// peek reads key for a writer. The caller holds the shard's mu.
func (s *Store) peek(sh *shard, key string) (any, bool) {
	if v, ok := sh.get(key); ok {
		return v, true
	}
	if s.holds(key) {
		return s.cache.Get(key)
	}
	return nil, false
}

// write stores obj. The caller holds sh.mu.
func (s *Store) write(sh *shard, key string, k index.Key, obj any, cost int64, large bool) {
	old, held := s.withdraw(sh, key, k)
	sh.rw.Lock()
	sl := sh.put(key, obj, cost)
	settled := true
	if sl.held = held; held {
		settled = s.replace(sh, sl, old)
	}
	sh.rw.Unlock()
	if large {
		sl.large = true
		s.reserve(cost)
	}
	if !settled {
		s.cache.Wait()
	}
	sl.header = s.index.Put(k, obj)
	if sh.full() {
		s.handOver(sh)
	}
}

// withdraw takes the object of key out of the index, and waits for one that is on
// its way to the engine. held says whether the engine holds the key, and old is the
// header of what it holds, as far as that is known. Most writes need not ask the
// engine, which is dear: what was in the index is in the window, or in the engine
// unless that has dropped it. That may be a moment before it says so; replace finds
// out. The caller holds sh.mu.
func (s *Store) withdraw(sh *shard, key string, k index.Key) (old *index.Header, held bool) {
	old = s.index.Withdraw(k)
	sl := sh.slots[key]
	switch {
	case sl == nil:
		held = old != nil
	case sl.flying:
		old, held = sl.header, true
		s.land(sh)
	default:
		old, held = sl.header, sl.held
		s.release(sl)
	}
	switch {
	case old != nil:
		held = held && !old.Dropped()
	case sl == nil || held:
		held = s.holds(key)
	}
	return old, held
}

// replace gives a key that the engine holds its new value, which ristretto does
// at once. If the engine evicts the key in between, the Set becomes an insertion
// that is still in the queue when replace returns: then settled is false. old is the
// header of the value before, nil if that is not known.
//
// Ristretto does not evict when an update makes an entry larger. While it is
// over its budget, the old value is removed instead, and the new one has to be
// admitted like any other.
func (s *Store) replace(sh *shard, sl *slot, old *index.Header) (settled bool) {
	sh.sent++
	if sh.sentBytes += sl.cost; s.cache.RemainingCost() < 0 {
		s.cache.Del(sl.key)
		sl.held = false
		return true
	}
	s.live.Add(1)
	if !s.cache.Set(sl.key, sl.obj, sl.cost) {
		s.live.Add(-1) // it was an insertion, and dropped
		sl.held = false
		return true
	}
	if old != nil {
		return old.Replaced()
	}
	return s.holds(sl.key)
}

// drops reports whether the engine has dropped what it was given when sl was written.
func (s *Store) drops(sl *slot) bool {
	if sl.header != nil {
		return sl.header.Dropped()
	}
	return !s.holds(sl.key)
}

// handOver gives the engine the oldest entries of the window, and takes those
// that were given last time out of it: so the engine, which has a goroutine of
// its own, works while the window fills again. The caller holds sh.mu.
func (s *Store) handOver(sh *shard) {
	s.land(sh)
	s.adjust()
	sh.takeOff()
	s.send(sh)
}

// send queues the entries in flight. One that the engine holds already is up to
// date there.
func (s *Store) send(sh *shard) {
	for _, sl := range sh.flight {
		s.release(sl) // before, so that there is room for it
		if sl.held {
			if !s.drops(sl) {
				continue
			}
			sl.header = nil // which says what came of it the first time
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
	for !s.cache.Set(sl.key, sl.obj, sl.cost) {
		s.cache.Wait() // the queue was full
	}
}

// remove deletes key from the window and the engine. The caller holds sh.mu. The
// engine's second removal, which it queues, comes before any later insertion.
func (s *Store) remove(sh *shard, key string) {
	s.index.Withdraw(s.index.Key(key))
	if sl := sh.slots[key]; sl != nil && sl.flying {
		s.land(sh)
	} else if sl != nil {
		s.release(sl)
		sh.rw.Lock()
		sh.drop(sl)
		sh.rw.Unlock()
	}
	if s.holds(key) {
		s.cache.Del(key)
		sh.sent++
		if sh.full() {
			s.handOver(sh)
		}
	}
}

// reserve takes the bytes of a large entry in the window from the engine's
// budget; the others have a budget of their own.
func (s *Store) reserve(bytes int64) {
	s.budgetMu.Lock()
	defer s.budgetMu.Unlock()
	s.reserved += bytes
	s.setBudget()
}

// adjust follows the number of entries with the engine's budget.
func (s *Store) adjust() {
	s.budgetMu.Lock()
	defer s.budgetMu.Unlock()
	s.setBudget()
}

// setBudget sets what the engine may spend on entries. The caller holds
// budgetMu.
func (s *Store) setBudget() {
	s.peak = max(s.peak, s.live.Load())
	s.cache.UpdateMaxCost(max(s.size.main-s.reserved-s.idle(), 1))
}

// idle is the memory that entries leave behind in the engine: Go's maps never
// shrink. The caller holds budgetMu.
func (s *Store) idle() int64 { return max(s.peak-s.live.Load(), 0) * perIdleSlot }

// release gives back what was reserved for sl.
func (s *Store) release(sl *slot) {
	if sl.large {
		sl.large = false
		s.reserve(-sl.cost)
	}
}

// put stores obj under key if ok, called with the shard's mu held, agrees; nil
// always does. What is too large is refused, and the key removed.
func (s *Store) put(op, key string, obj any, cost int64, ok func(sh *shard) bool) (stored bool, err error) {
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
	if ok != nil && !ok(sh) {
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
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return fail(op, key, store.ErrClosed)
	}
	s.remove(sh, key)
	return nil
}
