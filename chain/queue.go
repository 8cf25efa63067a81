package chain

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/store"
)

var errFull = errors.New("strata: queue is full")

// queue holds a tier's pending writes: one slot per key, the operation of the
// highest version wins, a delete is a tombstone, and a slot leaves only after
// the tier took it. Reads look here before they ask the tiers.
type queue struct {
	c *Chain
	t *tier

	mu        sync.Mutex
	slots     map[string]*slot
	ready     slotList // to be sent, oldest first
	deferred  slotList // failed, and waiting for their next attempt
	due       int64    // no later than the earliest due time of deferred
	bytes     int64
	free      *slot // for reuse, linked by next
	frees     int
	reserved  int // entries, and bytes, that writers were promised
	promised  int64
	room      chan struct{} // closed when slots leave; nil while nobody waits
	idle      chan struct{} // closed when the queue empties; nil likewise
	quiet     chan struct{} // closed when a flush or a hold ends; nil likewise
	pacer     pacer
	held      map[string]int
	away      int // slots of ready that are on their way
	draining  int
	nudged    bool // flush now, whatever pause is on
	closed    bool
	successes uint64 // entries that the tier took
	err       error  // of the last batch, where it failed

	n     atomic.Int64  // len(slots), read without the lock
	wake  chan struct{} // a flush may have become due earlier
	lanes [2]lane       // each is held by whoever flushes on it, both by who clears
	more  chan struct{} // a second batch may be due

	flushed, failed, lost counter
}

func newQueue(c *Chain, t *tier) *queue {
	q := &queue{
		c: c, t: t, slots: make(map[string]*slot), held: make(map[string]int),
		wake: make(chan struct{}, 1), more: make(chan struct{}, 1),
	}
	for i := range q.lanes {
		q.lanes[i].token = make(chan struct{}, 1)
	}
	q.pacer.init(&c.opts.Pending)
	return q
}

// get returns a copy of the key's slot.
func (q *queue) get(key string) (s slot, ok bool) {
	if q.n.Load() == 0 {
		return slot{}, false
	}
	q.mu.Lock()
	p := q.slots[key]
	if p == nil || p.version <= p.gone {
		q.mu.Unlock()
		return slot{}, false
	}
	s = *p
	q.mu.Unlock()
	s.encode()
	return s, true
}

// object returns the decoded value and the version of the key's slot. Without
// value, or where there is none at hand, obj is nil; without slot, version is 0.
func (q *queue) object(key string) (obj held, version uint64) {
	if q.n.Load() == 0 {
		return nil, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.slots[key]
	if p == nil || p.purge || p.version <= p.gone {
		return nil, 0
	}
	return p.obj, p.version
}

// current reports whether the operation of a delivery is still the newest of its
// key.
func (q *queue) current(d *delivery) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return d.of.version == d.version && d.of.gone < d.version
}

// put stores s unless the key's slot is newer. It fails with errFull where the
// bounds leave no room.
func (q *queue) put(s *slot) error {
	_, err := q.putOver(s)
	return err
}

// putOver is put that also returns what was in the slot.
func (q *queue) putOver(s *slot) (was prior, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old := q.slots[s.key]
	switch {
	case q.closed:
		return was, store.ErrClosed
	case !q.fits(old, s.key, s.valueSize()):
		return was, errFull
	}
	return q.store(old, s), nil
}

// reserve promises room for an operation on key with a value of n bytes. It is
// ended by fulfil or by release.
func (q *queue) reserve(key string, n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return store.ErrClosed
	case !q.fits(q.slots[key], key, n):
		return errFull
	}
	q.reserved++
	q.promised += n + int64(len(key)) + slotOverhead
	return nil
}

func (q *queue) unreserve(key string, n int64) {
	q.reserved--
	q.promised -= n + int64(len(key)) + slotOverhead
}

// release gives the room back that reserve promised.
func (q *queue) release(key string, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unreserve(key, n)
	q.announce()
}

// fulfil stores s in the room that reserve promised for a value of n bytes.
func (q *queue) fulfil(s *slot, n int64) prior {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unreserve(s.key, n)
	return q.store(q.slots[s.key], s)
}

// fits reports whether there is room, old being the key's slot, if any. An operation that replaces one of its key
// takes no entry; one that is larger than the whole bound fits an empty queue.
func (q *queue) fits(old *slot, key string, n int64) bool {
	opts := &q.c.opts.Pending
	more := n + int64(len(key)) + slotOverhead
	if old != nil {
		more -= old.size()
	} else if len(q.slots)+q.reserved >= opts.MaxEntries {
		return false
	}
	used := q.bytes + q.promised
	return more <= 0 || used == 0 || used+more <= opts.MaxBytes
}

// store files s, old being the key's slot, if any, and returns what that held. mu
// is held.
func (q *queue) store(old, s *slot) (was prior) {
	if old == nil {
		q.insert(s)
		return was
	}
	if old.version > s.version {
		s.rec.drop(q.t, true)
		return was
	}
	if !old.purge {
		was = prior{old.obj, old.version}
	}
	old.rec.drop(q.t, s.rec == nil) // a newer record in the journal says enough
	q.bytes += s.valueSize() - old.valueSize()
	old.version, old.entry, old.deleted, old.purge = s.version, s.entry, s.deleted, s.purge
	old.obj, old.lazy, old.room = s.obj, s.lazy, s.room
	old.rec, old.at, old.replayed, old.told = s.rec, s.at, s.replayed, false
	old.alone, old.failures, old.attempts, old.err = false, 0, 0, nil
	if old.list == &q.deferred { // another value may fare better
		old.unlink()
		old.since = s.at
		q.ready.pushBack(old)
	}
	return was
}

func (q *queue) insert(s *slot) {
	p := q.free
	if p != nil {
		q.free = p.next
		q.frees--
	} else {
		p = new(slot)
	}
	*p = *s
	p.since = s.at
	q.slots[s.key] = p
	q.ready.pushBack(p)
	q.bytes += p.size()
	q.n.Add(1)
	switch q.ready.n - q.away {
	case q.c.opts.Pending.Batch:
		q.hurry()
	case 1:
		signal(q.wake)
	}
}

// signal leaves a note in a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// announce wakes those who wait for what a change of the queue may bring. mu is
// held.
func (q *queue) announce() {
	wakeAll(&q.room)
	if len(q.slots) == 0 {
		wakeAll(&q.idle)
	}
}

func wakeAll(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}

// await returns the channel that the next wakeAll closes.
func await(c *chan struct{}) <-chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

// awaitRoom waits until there may be room for an operation on key, ctx ends or
// the chain closes.
func (q *queue) awaitRoom(ctx context.Context, key string, n int64) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return store.ErrClosed
	}
	if q.fits(q.slots[key], key, n) {
		q.mu.Unlock()
		return nil
	}
	room := await(&q.room)
	q.mu.Unlock()
	signal(q.wake)
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-q.c.closing:
		return store.ErrClosed
	}
}

// force stores s whatever the bounds, unless the key's slot is newer.
func (q *queue) force(s *slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.store(q.slots[s.key], s)
}

// owes reports whether the tier has yet to take that version of key, or an older
// one.
func (q *queue) owes(key string, version uint64) bool {
	if q.n.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.slots[key]
	return s != nil && s.gone < s.version && s.version <= version
}

// settle removes the key's slot if it is not newer than version: the tier has
// that operation or a later one.
func (q *queue) settle(key string, version uint64) {
	if q.n.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.slots[key]
	switch {
	case s == nil || s.version > version:
	case s.busy: // on its way all the same; removed when that has ended
		s.gone = version
	default:
		q.remove(s)
		q.announce()
	}
}

// maxFree is how many slots are kept for reuse.
const maxFree = 4096

// remove takes a slot out. mu is held; announce is to follow.
func (q *queue) remove(s *slot) {
	delete(q.slots, s.key)
	s.unlink()
	q.bytes -= s.size()
	q.n.Add(-1)
	s.rec.drop(q.t, true)
	*s = slot{}
	if q.frees < maxFree {
		s.next, q.free = q.free, s
		q.frees++
	}
}

// snapshot returns copies of the slots for which keep says so.
func (q *queue) snapshot(keep func(*slot) bool) []slot {
	if q.n.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []slot
	for _, s := range q.slots {
		if keep(s) {
			all = append(all, *s)
		}
	}
	return all
}

// clear drops the slots of versions up to version: the tier is being emptied.
func (q *queue) clear(version uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.slots {
		switch {
		case s.version > version:
		case s.busy: // although no flush should be under way: see settle
			s.gone = version
		default:
			q.remove(s)
		}
	}
	q.announce()
}
