package chain

import (
	"hash/maphash"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// flights lets concurrent misses of a key share one walk through the tiers and
// one load. It differs from golang.org/x/sync/singleflight in what the contract
// asks for: a waiter leaves with its own context, a write makes later readers
// start anew, a soft timeout can take the stale value on offer, and a batch can
// claim many keys before it works on them together.
type flights struct {
	seed   maphash.Seed
	shards [256]flightShard
	n      atomic.Int64 // flights in all shards, read without a lock
	broken bool         // set by tests only, which must notice
}

type flightShard struct {
	mu sync.Mutex
	m  map[string]*flight // the first of the key's, which are linked by next
	n  int                // flights in m
}

// flightKey separates readers that cannot share: of another type, and those
// without a loader (who must not wait for a load) from those with one.
type flightKey struct {
	key  string
	typ  reflect.Type
	load bool
}

// flight is one walk or load in progress. obj and err are written before landed is
// set and read after.
type flight struct {
	flightKey
	shard *flightShard
	next  *flight // of the same key; guarded by the shard
	epoch uint64  // the chain's epoch, read before the stamp was drawn
	stamp uint64  // version drawn before the work began
	since uint64  // the same for the walk under way, the leader's second maybe
	obj   any     // *object[V]
	err   error
	over  atomic.Bool // landed
	down  bool        // the same, of the leader's own
	off   bool        // no longer in the shard, by the leader's doing; his own
	met   bool        // others have it, too; guarded by the shard
	alone bool        // it was off before anybody else had it; the leader's
	turn  turn        // of who goes on after a load
	trip  *trip       // of its leader; nil for the flights of batches

	right  *right // lease under which it loads
	waited bool   // for another process's lease

	// stale is a value past its soft deadline that may be served meanwhile. news is
	// closed once there is one, or with done, so that a waiter who takes either
	// has one channel to wait for: a select of two costs a herd that is woken at
	// once twice the time. Both channels are made for the first who waits, for most
	// flights land before anybody does. They are guarded by the shard.
	stale      atomic.Value // *object[V]
	done, news chan struct{}
	told       bool // there is a stale value, or all is over: news is closed
}

// trip is what the leader of a flight needs on his way. It is used again for another
// flight where he says so.
type trip struct {
	found finding
	near  [2]placed // for the finding
}

var trips = sync.Pool{New: func() any { return new(trip) }}

// newFlight returns a flight of a single key.
func newFlight() *flight { return &flight{trip: trips.Get().(*trip)} }

// ended gives back what the leader needed on his way: he has landed f, and has no use for
// what his walk came to. A promotion of that has a list of tiers of its own.
func (f *flight) ended() {
	t := f.trip
	f.trip = nil
	*t = trip{}
	trips.Put(t)
}

// empty returns a finding for a walk, the same one for every walk of a single key.
func (f *flight) empty() *finding {
	if f.trip == nil {
		return new(finding)
	}
	f.trip.found = finding{sound: f.trip.near[:0]}
	return &f.trip.found
}

// offer lets waiters take o, which was found after the flight was claimed, instead
// of waiting for the load. Only the leader offers.
func (f *flight) offer(o any) {
	if f.stale.Swap(o) == nil && !f.down {
		f.shard.mu.Lock()
		f.tell()
		f.shard.mu.Unlock()
	}
}

// tell wakes those who wait for news. The shard is locked.
func (f *flight) tell() {
	if f.told {
		return
	}
	f.told = true
	if f.news != nil {
		close(f.news)
	}
}

// wait returns a channel that is closed when the flight has landed, or where stales
// is set when a stale value is on offer.
func (f *flight) wait(stales bool) <-chan struct{} {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if stales {
		return opened(&f.news, f.told)
	}
	return opened(&f.done, f.over.Load())
}

// opened returns the channel, which is made, and closed where that is due already,
// if there is none.
func opened(ch *chan struct{}, closed bool) <-chan struct{} {
	if *ch == nil {
		*ch = make(chan struct{})
		if closed {
			close(*ch)
		}
	}
	return *ch
}

// spent reports whether nobody has use for f any more: it was not claimed, or has landed
// and left its shard before anybody else came. The leader asks.
func (f *flight) spent() bool { return f.shard == nil || f.down && f.off && !f.met }

// shared notes that another goroutine goes on with f, for which the leader's own waits.
func (f *flight) shared() {
	f.shard.mu.Lock()
	f.met, f.alone = true, false
	f.shard.mu.Unlock()
}

// landed reports whether obj and err are there.
func (f *flight) landed() bool { return f.over.Load() }

func (t *flights) shard(key string) *flightShard {
	return &t.shards[maphash.String(t.seed, key)%uint64(len(t.shards))]
}

// claim returns the flight of k, and whether the caller is the one who must
// work on it and land it.
func (t *flights) claim(k flightKey, c *Chain) (f *flight, leader bool) {
	return t.claimAt(k, c, nil, 0)
}

// claimAt is claim at a time, in Unix nanoseconds, that was read not long ago; 0: it
// was not. own is what a new flight is made of; nil: it is allocated.
func (t *flights) claimAt(k flightKey, c *Chain, own *flight, now int64) (f *flight, leader bool) {
	s := t.shard(k.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.m[k.key]
	for f := first; f != nil; f = f.next {
		if f.flightKey == k {
			f.met = true
			return f, false
		}
	}
	t.n.Add(1) // before the stamp is drawn, or forget could miss it
	if f = own; f == nil {
		f = newFlight()
	}
	f.flightKey, f.shard, f.next, f.epoch = k, s, first, c.epoch.Load()
	if now == 0 {
		f.stamp = c.hlc.Next()
	} else {
		f.stamp = c.hlc.NextAt(now)
	}
	f.since = f.stamp
	if s.m == nil {
		s.m = make(map[string]*flight)
	}
	s.m[k.key] = f
	s.n++
	return f, true
}

// land publishes the outcome of f to its waiters. Only the first landing counts.
func (t *flights) land(f *flight, obj any, err error) {
	if f.down {
		return
	}
	f.obj, f.err, f.down = obj, err, true
	if f.alone {
		f.over.Store(true)
		return
	}
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	t.take(f)
	f.finish()
}

// publish is land, but those who come later still get the outcome, until remove:
// the tiers are yet to be given what was loaded, and would not have it.
func (t *flights) publish(f *flight, obj any, err error) {
	if f.down {
		return
	}
	f.obj, f.err, f.down = obj, err, true
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.finish()
}

// finish wakes all who wait. The shard is locked.
func (f *flight) finish() {
	f.over.Store(true)
	if f.done != nil {
		close(f.done)
	}
	f.tell()
}

// rescue is deferred by those who work on flights. Where a panic (of a codec, a
// Clone or Size function, an observer) or runtime.Goexit ends the work, it is an
// error for the waiters: none may wait for ever, and a cache must not take its
// program down.
func (c *Chain) rescue(fs ...*flight) { c.rescued(recover(), fs) }

// discharge is rescue for work on a flight that may have been left, and the end of
// that work.
func (c *Chain) discharge(f *flight) {
	v := recover()
	if f.left() {
		return
	}
	c.rescued(v, []*flight{f})
	c.work.leave()
}

// rescueHere is rescue for work in a caller's goroutine that may be handed on.
func (c *Chain) rescueHere(handed *bool, fs ...*flight) {
	if v := recover(); v != nil || !*handed {
		c.rescued(v, fs)
	}
}

func (c *Chain) rescued(v any, fs []*flight) {
	var err *PanicError
	for _, f := range fs {
		switch {
		case v != nil:
			err = &PanicError{Key: f.key, Value: v, Stack: debug.Stack()}
		case !f.down:
			err = &PanicError{Key: f.key, Value: "runtime.Goexit called"}
		default:
			continue
		}
		c.flights.land(f, nil, err)
	}
	if err == nil {
		return
	}
	defer func() { _ = recover() }() // of the hook that is told; it may be the one that panicked
	c.report(err)
}

// remove makes later readers start anew; those who wait for f keep waiting.
func (t *flights) remove(f *flight) {
	if f.off {
		return
	}
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	t.take(f)
	f.alone = !f.met
}

// take takes f out of its shard, which is locked, if it is still there.
func (t *flights) take(f *flight) {
	if f.off {
		return
	}
	f.off = true
	t.detach(f.shard, f.key, func(other *flight) bool { return other == f })
}

// detach takes those flights of key out of s, which is locked, that are wanted.
func (t *flights) detach(s *flightShard, key string, wanted func(*flight) bool) {
	first := s.m[key]
	if first == nil {
		return
	}
	left := first
	for at := &left; *at != nil; {
		if f := *at; wanted(f) {
			*at = f.next
			s.n--
			t.n.Add(-1)
		} else {
			at = &f.next
		}
	}
	switch left {
	case first:
	case nil:
		delete(s.m, key)
	default:
		s.m[key] = left
	}
}

// forget detaches every flight of key that began before version, so that no
// reader who comes after a write joins a walk that began before it.
func (t *flights) forget(key string, version uint64) {
	if t.n.Load() == 0 {
		return
	}
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 || t.broken {
		return
	}
	t.detach(s, key, func(f *flight) bool { return f.stamp < version })
}

// forgetAll detaches every flight, for Clear.
func (t *flights) forgetAll() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		t.n.Add(-int64(s.n))
		s.n = 0
		clear(s.m)
		s.mu.Unlock()
	}
}
