package chain

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/stratacache/strata/store"
)

// PendingOptions bound the writes that are acknowledged or owed but not yet in
// their tier: write-back, and the repair of a tier that failed during a
// write-through. They apply to each tier's queue.
type PendingOptions struct {
	// MaxEntries and MaxBytes bound a queue; 0 means 65,536 and 64 MiB.
	MaxEntries int
	MaxBytes   int64
	// WhenFull says what a write-back Set does when the queue is full.
	WhenFull FullPolicy
	// Batch is the number of entries of one flush; 0 means 512.
	Batch int
	// Interval is how long a write may wait for others to share its flush;
	// 0 means 50 ms.
	Interval time.Duration
	// Journal is the directory in which rules with `durable: true` keep
	// acknowledged writes; empty: there are none.
	Journal string
}

// FullPolicy says what happens to a write-back when its queue is full.
type FullPolicy int

// The policies for a full queue.
const (
	// FullBlock waits for room until the context ends.
	FullBlock FullPolicy = iota
	// FullThrough writes to the tier directly.
	FullThrough
	// FullReject returns ErrBusy.
	FullReject
)

// ErrBusy is the error of a write-back whose queue is full under FullReject.
var ErrBusy = errors.New("strata: write-back queue is full")

var errFull = errors.New("strata: queue is full")

// slot is the newest operation of a key that its tier has not taken yet.
type slot struct {
	key     string
	version uint64
	entry   store.Entry
	deleted bool      // a tombstone: the key is to be removed
	purge   bool      // this tier is to drop the key; others may hold it
	obj     held      // the decoded value, if at hand
	since   time.Time // when the oldest operation that this slot replaced came in

	prev, next *slot // by age
}

// slotOverhead is charged for each slot beside its key and value.
const slotOverhead = 200

// removes reports whether the tier is to remove the key: what it may hold of it
// is older than the slot.
func (s *slot) removes(now time.Time) bool {
	return s.deleted || s.purge || s.entry.Expired(now)
}

func (s *slot) size() int64 {
	return int64(len(s.key)+len(s.entry.Value)) + slotOverhead
}

// queue holds a tier's pending writes: one slot per key, the operation of the
// highest version wins, a delete is a tombstone, and a slot leaves only after
// the tier took it. Reads look here before they ask the tiers.
type queue struct {
	c *Chain
	t *tier

	mu          sync.Mutex
	slots       map[string]*slot
	first, last *slot // oldest, newest
	bytes       int64
	room        chan struct{} // closed and renewed when slots leave
	idle        chan struct{} // closed and renewed when the queue empties

	n     atomic.Int64  // len(slots), read without the lock
	wake  chan struct{} // something came in
	hurry chan struct{} // somebody drains: no reason to gather more

	flushed, failed, lost counter
}

func newQueue(c *Chain, t *tier) *queue {
	return &queue{
		c: c, t: t, slots: make(map[string]*slot), wake: make(chan struct{}, 1),
		hurry: make(chan struct{}, 1), room: make(chan struct{}), idle: make(chan struct{}),
	}
}

// get returns a copy of the key's slot.
func (q *queue) get(key string) (s slot, ok bool) {
	if q.n.Load() == 0 {
		return slot{}, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.slots[key]
	if p == nil {
		return slot{}, false
	}
	return *p, true
}

// put stores s unless the key's slot is newer. It fails with errFull where the
// bounds leave no room; a slot that replaces one of its key always finds room.
func (q *queue) put(s slot) error {
	if !q.hasRoom(s.key, int64(len(s.entry.Value))) {
		return errFull
	}
	q.force(s)
	return nil
}

// owes reports whether the tier has yet to take that version of key, or an older
// one.
func (q *queue) owes(key string, version uint64) bool {
	s, ok := q.get(key)
	return ok && s.version <= version
}

// hasRoom reports whether an operation on key with a value of n bytes fits.
func (q *queue) hasRoom(key string, n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fits(key, n)
}

func (q *queue) fits(key string, n int64) bool {
	if q.slots[key] != nil {
		return true
	}
	opts := &q.c.opts.Pending
	return len(q.slots) < opts.MaxEntries && (q.bytes+n <= opts.MaxBytes || len(q.slots) == 0)
}

// force stores s, unless the key's slot is newer, whatever the bounds.
func (q *queue) force(s slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old := q.slots[s.key]; old != nil {
		if old.version > s.version {
			return
		}
		q.bytes += s.size() - old.size()
		old.version, old.entry, old.deleted, old.purge, old.obj = s.version, s.entry, s.deleted, s.purge, s.obj
		return
	}
	s.since = time.Now()
	q.push(&s)
	signal(q.wake)
}

// signal leaves a note in a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// putWait is put that waits for room until ctx ends.
func (q *queue) putWait(ctx context.Context, s slot) error {
	for {
		if err := q.put(s); !errors.Is(err, errFull) {
			return err
		}
		if err := q.awaitRoom(ctx, s.key, int64(len(s.entry.Value))); err != nil {
			return err
		}
	}
}

// awaitRoom waits until slots have left a full queue, ctx ends or the chain
// closes.
func (q *queue) awaitRoom(ctx context.Context, key string, n int64) error {
	q.mu.Lock()
	room, fits := q.room, q.fits(key, n)
	q.mu.Unlock()
	if fits {
		return nil
	}
	signal(q.wake)
	signal(q.hurry)
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-q.c.closing:
		return store.ErrClosed
	}
}

func (q *queue) push(s *slot) {
	q.slots[s.key] = s
	s.prev = q.last
	if q.last == nil {
		q.first = s
	} else {
		q.last.next = s
	}
	q.last = s
	q.bytes += s.size()
	q.n.Add(1)
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
	if s == nil || s.version > version {
		return
	}
	delete(q.slots, key)
	if s.prev == nil {
		q.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		q.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	q.bytes -= s.size()
	close(q.room)
	q.room = make(chan struct{})
	if q.n.Add(-1) == 0 {
		close(q.idle)
		q.idle = make(chan struct{})
	}
}

// oldest returns up to n slots, oldest first, as copies.
func (q *queue) oldest(n int) []slot {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := make([]slot, 0, min(n, len(q.slots)))
	for s := q.first; s != nil && len(batch) < n; s = s.next {
		batch = append(batch, *s)
	}
	return batch
}

// drain waits until the queue is empty or ctx ends.
func (q *queue) drain(ctx context.Context) error {
	for {
		q.mu.Lock()
		idle, n := q.idle, len(q.slots)
		q.mu.Unlock()
		if n == 0 {
			return nil
		}
		signal(q.wake)
		signal(q.hurry)
		select {
		case <-idle:
		case <-ctx.Done():
			return &PendingError{Tier: q.t.Name, Left: n, Err: ended(ctx)}
		}
	}
}

// run flushes the queue until stop closes.
func (q *queue) run(stop <-chan struct{}) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 50*time.Millisecond, 5*time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-q.wake:
		case <-stop:
			return
		}
		wait := q.c.opts.Pending.Interval
		for q.n.Load() > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-q.hurry:
				timer.Stop()
			case <-stop:
				return
			}
			sent, err := q.flush(q.c.ctx)
			switch {
			case err != nil:
				wait = retry.NextBackOff()
			case sent == 0:
				wait = q.c.opts.Pending.Interval
			default:
				retry.Reset()
				wait = 0
			}
		}
	}
}

// flush sends one batch to the tier and settles what it took. Keys whose lock is
// held are left for the next round: their holder is writing something newer.
func (q *queue) flush(ctx context.Context) (sent int, err error) {
	batch := q.oldest(q.c.opts.Pending.Batch)
	sets := make(map[string]store.Entry)
	var deletes []string
	versions := make(map[string]uint64, len(batch))
	now := time.Now()
	for i := range batch {
		s := &batch[i]
		k := q.c.locks.ref(s.key)
		if !k.tryLock() {
			continue
		}
		defer k.unlock()
		versions[s.key] = s.version
		if s.removes(now) {
			deletes = append(deletes, s.key) // what the tier holds is older than this
		} else {
			sets[s.key] = s.entry
		}
	}
	err = q.send(ctx, sets, deletes, versions)
	if err != nil {
		q.failed.add(1)
		q.c.report(err)
	}
	return len(versions), err
}

func (q *queue) send(ctx context.Context, sets map[string]store.Entry, deletes []string, versions map[string]uint64) error {
	var errs []error
	if len(deletes) > 0 {
		err := q.t.call(ctx, &q.t.writes, func(ctx context.Context) error {
			return store.DeleteMany(ctx, q.t.Store, deletes)
		})
		q.settleBatch(deletes, versions, err)
		errs = append(errs, err)
	}
	if len(sets) > 0 {
		keys := make([]string, 0, len(sets))
		for key := range sets {
			keys = append(keys, key)
		}
		err := q.t.call(ctx, &q.t.writes, func(ctx context.Context) error {
			return store.SetMany(ctx, q.t.Store, sets)
		})
		q.settleBatch(keys, versions, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settleBatch removes the slots of those keys for which the tier gave no error.
// Where the tier will never take an entry, the slot becomes a tombstone, since
// what the tier holds of the key is older.
func (q *queue) settleBatch(keys []string, versions map[string]uint64, err error) {
	for _, key := range keys {
		kerr := store.KeyError(err, key)
		switch {
		case kerr == nil:
			q.flushed.add(1)
			q.settle(key, versions[key])
			if q.t.Shared {
				q.c.announce(store.ChangeWrite, key, versions[key])
			}
		case refuses(kerr):
			q.lost.add(1)
			q.bury(key, versions[key])
		}
	}
}

// bury makes the key's slot of that version one that purges the key from the
// tier; one that removes it already is given up.
func (q *queue) bury(key string, version uint64) {
	q.mu.Lock()
	s := q.slots[key]
	if s == nil || s.version != version {
		q.mu.Unlock()
		return
	}
	again := s.removes(time.Now())
	q.bytes -= int64(len(s.entry.Value))
	s.purge, s.entry, s.obj = true, store.Entry{Version: version}, nil
	q.mu.Unlock()
	if again {
		q.settle(key, version)
	}
}

// clear drops every slot: the tier is being emptied.
func (q *queue) clear() {
	for _, s := range q.oldest(int(q.n.Load())) {
		q.settle(s.key, s.version)
	}
}

func (q *queue) stats() PendingStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := PendingStats{
		Entries: len(q.slots), Bytes: q.bytes,
		Flushed: q.flushed.load(), Failed: q.failed.load(), Lost: q.lost.load(),
	}
	if q.first != nil {
		s.Age = time.Since(q.first.since).Seconds()
	}
	return s
}

// PendingError reports writes that were still pending when a Flush or Close had
// to end.
type PendingError struct {
	Tier string
	Left int
	Err  error
}

// Error implements error.
func (e *PendingError) Error() string {
	return "strata: tier " + e.Tier + ": " + strconv.Itoa(e.Left) + " writes still pending: " + e.Err.Error()
}

// Unwrap returns why the wait ended.
func (e *PendingError) Unwrap() error { return e.Err }
