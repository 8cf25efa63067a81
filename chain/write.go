package chain

import (
	"context"
	"errors"

	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// operation is one write or delete on its way into the tiers.
type operation struct {
	key     string
	plan    *plan
	version uint64
	entry   store.Entry // without value where the key is deleted
	deleted bool
	at      int64 // when it was asked for, Unix nanoseconds
	obj     held  // for memory; nil where it was not decoded or is deleted
	atWork  bool  // it holds the key's lock and has not settled; of its own goroutine
	// since makes the operation conditional: it fails with errOvertaken where another
	// of the key has begun since that stamp. 0: it is not.
	since uint64

	// Where lazy is set, entry has no value yet: lazy makes it of obj, in about
	// room bytes, when somebody needs it.
	lazy encoder
	room int64
}

// encoder encodes the value of an object. It cannot fail.
type encoder interface {
	encodeObject(key string, h held) []byte
}

// size returns the bytes of the value.
func (o *operation) size() int64 {
	if o.lazy != nil {
		return o.room
	}
	return int64(len(o.entry.Value))
}

// encode makes the value that was left for later.
func (o *operation) encode() {
	if o.lazy != nil {
		o.entry.Value, o.lazy = o.lazy.encodeObject(o.key, o.obj), nil
	}
}

// errOvertaken is the error of a conditional operation that came too late.
var errOvertaken = errors.New("strata: another write came first")

// write carries o out in every tier of its plan: those written through first,
// far to near, then the slots of those written back, then memory.
func (c *Chain) write(ctx context.Context, o *operation) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	switch {
	case !o.plan.backOnly():
		return c.writeLocked(ctx, o)
	case o.plan.durable:
		return c.writeDurable(ctx, o)
	default:
		return c.writeFree(ctx, o)
	}
}

// begin draws the operation's version and turns away every fill and flight that
// began before it. c.fences.end must follow, unless a conditional operation is
// refused.
func (c *Chain) begin(o *operation) error {
	if o.plan.has(policy.WriteAround) {
		o.obj = nil // the nearer tiers, memory among them, forget the key
	}
	if o.since != 0 {
		s := c.fences.of(o.key)
		s.mu.Lock()
		defer s.mu.Unlock()
		if o.overtaken(s) {
			return errOvertaken
		}
		o.stamp(c.hlc.Next())
		s.at = max(s.at, o.version)
		s.busy++
		return nil
	}
	o.stamp(c.hlc.Next())
	c.fences.begin(o.key, o.version)
	return nil
}

// enter prepares an operation to be carried out, now that k, the lock of its key, is
// held. leave must follow. What was loaded while it waited for the lock may be in a tier
// that compares versions and keeps the later one: so the operation gets a new one, unless
// its own is of this millisecond, in which no load is later than a write (see aged).
func (c *Chain) enter(o *operation, k *keyLock) {
	if now := c.hlc.Next(); k.last < o.version && o.version < loadedAs(now) {
		o.stamp(now)
	}
	s := c.fences.of(o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = max(s.at, c.hlc.Next()) // a fill may have held the lock until now
	s.work++
	o.atWork = true
}

// leave ends what enter began, unless the operation has settled.
func (c *Chain) leave(o *operation) {
	if !o.atWork {
		return
	}
	s := c.fences.of(o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = max(s.at, c.hlc.Next())
	s.settled(o)
}

// overtaken reports whether a conditional operation comes too late. The lock of
// its key's stripe, s, is held.
func (o *operation) overtaken(s *stripe) bool {
	if o.since == 0 {
		return false
	}
	if s.at > o.since || s.busy > 0 {
		return true
	}
	for i := range o.plan.tiers {
		if _, v := o.plan.tiers[i].queue.object(o.key); v > o.since {
			return true
		}
	}
	return false
}

// stamp gives the operation its version.
func (o *operation) stamp(version uint64) {
	o.version, o.entry.Version = version, version
	if o.obj != nil {
		o.obj.stamp(version)
	}
}

// settle makes the operation visible in memory and ends the time in which fills
// that overlapped it are turned away. The key's lock, k, is held, so that operations
// settle in the order of their versions. One that another process has overtaken
// leaves nothing in memory and in the queues: that was announced only once.
func (c *Chain) settle(o *operation, k *keyLock) {
	s := c.fences.of(o.key)
	s.mu.Lock()
	if k.news > o.version || o.plan.plain && k.news != 0 { // in the shared tier, a plain value may be the other's
		o.obj = nil
		for _, t := range o.plan.tiers {
			t.queue.settle(o.key, k.news)
		}
	}
	if k.asked > o.version && k.found != o.version {
		o.obj = nil // the shared tier was found to hold something else since: it may have come after this
	}
	if k.last == o.version {
		c.know(o.key, o.version, true)
	}
	c.remember(o, s) // raises the fence
	s.settled(o)
	end := s.at
	s.mu.Unlock()
	c.flights.forget(o.key, end)
}

// remember puts the operation into memory. The stripe's lock is held.
func (c *Chain) remember(o *operation, s *stripe) {
	if c.memory != nil {
		if o.obj != nil && o.plan.memory && !o.deleted {
			s.fill = c.hlc.Last()
			c.memory.put(c, o.key, o.obj)
		} else {
			c.dropMemory(o.key)
		}
	}
	c.raise(o, s)
}

// supersede is remember for an operation whose slots are in place: reads find the
// value there, and the flush puts it into memory, once for all the Sets of the key
// that come until then. What memory holds is not to be served from now on. was is
// what the slot held before. The stripe's lock is held.
func (c *Chain) supersede(o *operation, s *stripe, was prior) {
	switch {
	case c.memory == nil:
	case o.obj == nil || !o.plan.memory || o.deleted:
		c.dropMemory(o.key)
	case was.obj != nil && s.fill < was.version:
		c.retire(was.obj) // memory has nothing else: that of before was retired by the last Set
	default:
		obj, ok := c.memory.peek(o.key)
		if h, is := obj.(held); is {
			c.retire(h)
		} else if ok {
			c.dropMemory(o.key)
		}
	}
	c.know(o.key, o.version, true)
	c.raise(o, s)
}

// retire ends the time in which memory may serve h.
func (c *Chain) retire(h held) {
	if !c.keeps {
		h.retire()
	}
}

// dropMemory removes key from memory.
func (c *Chain) dropMemory(key string) {
	if err := c.memory.Store.Delete(context.Background(), key); err != nil && !errors.Is(err, store.ErrClosed) {
		c.report(err)
	}
}

// raise gives the stripe a fresh stamp: a walk may have begun since the version was
// drawn, and have passed by the queues and tiers before they had the operation. The
// stripe's lock is held.
func (c *Chain) raise(o *operation, s *stripe) {
	c.absent.remove(o.key)
	s.at = max(s.at, c.hlc.Tick())
}

// slot returns o as a slot of t's queue. remove says that t is not to hold the
// entry, although the key may live on in other tiers.
func (o *operation) slot(t placed, remove bool) slot {
	s := slot{key: o.key, version: o.version, entry: o.entry, deleted: o.deleted, obj: o.obj, at: o.at, lazy: o.lazy, room: o.room}
	if t.sink == nil && !o.deleted {
		s.purge = remove || !t.bound(&s.entry, o.at)
	}
	return s
}

// removes reports whether o takes the key out of the plan's i-th tier: a delete
// does, and a write around every tier but the farthest.
func (o *operation) removes(i int) bool {
	return o.deleted || o.plan.tiers[i].mode == policy.WriteAround && i < len(o.plan.tiers)-1
}
