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
	m  map[flightKey]*flight
}

// flightKey separates readers that cannot share: of another type, and those
// without a loader (who must not wait for a load) from those with one.
type flightKey struct {
	key  string
	typ  reflect.Type
	load bool
}

// flight is one walk or load in progress. obj and err are written before done
// is closed and read after.
type flight struct {
	flightKey
	epoch uint64 // the chain's epoch, read before the stamp was drawn
	stamp uint64 // version drawn before the work began
	since uint64 // the same for the walk under way, the leader's second maybe
	done  chan struct{}
	obj   any // *object[V]
	err   error
	down  bool // landed; the leader's own

	right  *right // lease under which it loads
	waited bool   // for another process's lease

	// stale is a value past its soft deadline that may be served meanwhile. news is
	// closed once there is one, or with done, so that a waiter who takes either
	// has one channel to wait for: a select of two costs a herd that is woken at
	// once twice the time.
	stale atomic.Value // *object[V]
	news  chan struct{}
}

// offer lets waiters take o, which was found after the flight was claimed, instead
// of waiting for the load. Only the leader offers.
func (f *flight) offer(o any) {
	if f.stale.Swap(o) == nil && !f.down {
		close(f.news)
	}
}

func (t *flights) shard(key string) *flightShard {
	return &t.shards[maphash.String(t.seed, key)%uint64(len(t.shards))]
}

// landed reports whether obj and err are there.
func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// claim returns the flight of k, and whether the caller is the one who must
// work on it and land it.
func (t *flights) claim(k flightKey, c *Chain) (f *flight, leader bool) {
	s := t.shard(k.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.m[k]; f != nil {
		return f, false
	}
	t.n.Add(1) // before the stamp is drawn, or forget could miss it
	f = &flight{flightKey: k, epoch: c.epoch.Load(), done: make(chan struct{})}
	f.news = make(chan struct{})
	f.stamp = c.hlc.Next()
	f.since = f.stamp
	if s.m == nil {
		s.m = make(map[flightKey]*flight)
	}
	s.m[k] = f
	return f, true
}

// land publishes the outcome of f to its waiters. Only the first landing counts.
func (t *flights) land(f *flight, obj any, err error) {
	if f.down {
		return
	}
	t.remove(f)
	t.publish(f, obj, err)
}

// publish is land, but those who come later still get the outcome, until remove:
// the tiers are yet to be given what was loaded, and would not have it.
func (t *flights) publish(f *flight, obj any, err error) {
	if f.down {
		return
	}
	f.obj, f.err, f.down = obj, err, true
	close(f.done)
	if f.stale.Load() == nil {
		close(f.news)
	}
}

// rescue is deferred by those who work on flights. Where a panic (of a codec, a
// Clone or Size function, an observer) or runtime.Goexit ends the work, it is an
// error for the waiters: none may wait for ever, and a cache must not take its
// program down.
func (c *Chain) rescue(fs ...*flight) { c.rescued(recover(), fs) }

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
	s := t.shard(f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[f.flightKey] == f {
		delete(s.m, f.flightKey)
		t.n.Add(-1)
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
	if len(s.m) == 0 || t.broken {
		return
	}
	for k, f := range s.m {
		if k.key == key && f.stamp < version {
			delete(s.m, k)
			t.n.Add(-1)
		}
	}
}

// forgetAll detaches every flight, for Clear.
func (t *flights) forgetAll() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		t.n.Add(-int64(len(s.m)))
		clear(s.m)
		s.mu.Unlock()
	}
}
