package chain

import (
	"context"
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// writeFree is write for plans whose tiers are all written back: the version, the
// slots and memory are one step under the stripe's lock, so that the caller never
// waits for a tier, nor for a flush of the key that is under way.
//
// o is not kept: it may lie on the caller's stack.
func (c *Chain) writeFree(ctx context.Context, o *operation) error {
	full, end, err := c.tryFree(o)
	if errors.Is(err, errFull) {
		shared := *o
		shared.encode()
		return c.writeFull(ctx, &shared, full)
	}
	if err != nil {
		return err
	}
	c.flights.forget(o.key, end)
	c.told(o)
	return nil
}

// writeFull is writeFree for an operation that has found a queue full.
func (c *Chain) writeFull(ctx context.Context, o *operation, full *queue) error {
	for {
		c.queueFull(full)
		switch c.opts.Pending.WhenFull {
		case FullReject:
			return busy(o, full)
		case FullThrough:
			return c.writeOver(ctx, o)
		}
		if err := full.awaitRoom(ctx, o.key, int64(len(o.entry.Value))); err != nil {
			return err
		}
		o.at = time.Now().UnixNano() // or another process's write since would be the newer one
		var end uint64
		var err error
		if full, end, err = c.tryFree(o); err == nil {
			c.flights.forget(o.key, end)
			c.told(o)
		}
		if !errors.Is(err, errFull) {
			return err
		}
	}
}

// tryFree carries o out unless a queue is full, which it returns.
func (c *Chain) tryFree(o *operation) (full *queue, end uint64, err error) {
	s := c.fences.of(o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.overtaken(s) {
		return nil, 0, errOvertaken
	}
	switch len(o.plan.tiers) {
	case 0: // memory is all there is
		o.stamp(c.hlc.NextAt(o.at))
		c.remember(o, s)
		return nil, s.at, nil
	case 1:
		t := &o.plan.tiers[0]
		o.stamp(c.hlc.NextAt(o.at))
		sl := o.slot(*t, o.deleted)
		was, err := t.queue.putOver(&sl)
		if err != nil {
			return t.queue, 0, err
		}
		c.supersede(o, s, was)
	default:
		if full, err := c.reserve(o); err != nil {
			return full, 0, err
		}
		o.stamp(c.hlc.NextAt(o.at))
		c.supersede(o, s, c.fulfil(o, nil))
	}
	return nil, s.at, nil
}

// reserve takes room in every queue of o's plan, or in none.
func (c *Chain) reserve(o *operation) (full *queue, err error) {
	n := o.size()
	for i, t := range o.plan.tiers {
		if err := t.queue.reserve(o.key, n); err != nil {
			for _, before := range o.plan.tiers[:i] {
				before.queue.release(o.key, n)
			}
			return t.queue, err
		}
	}
	return nil, nil
}

// release gives back the room that reserve took.
func (c *Chain) release(o *operation) {
	for _, t := range o.plan.tiers {
		t.queue.release(o.key, o.size())
	}
}

// fulfil puts o into the room that reserve took, and returns what a slot of its key
// held.
func (c *Chain) fulfil(o *operation, r *record) (was prior) {
	for _, t := range o.plan.tiers {
		sl := o.slot(t, o.deleted)
		sl.rec = r
		if p := t.queue.fulfil(&sl, o.size()); p.obj != nil {
			was = p
		}
	}
	return was
}

// writeOver writes o past queues that are full, directly into their tiers.
// Memory forgets the key: operations that found room do not wait for this one, so
// that it cannot be told which is the later.
func (c *Chain) writeOver(ctx context.Context, o *operation) error {
	k := c.locks.ref(o.key)
	if err := c.begin(o); err != nil {
		k.drop()
		return err
	}
	defer c.fences.end(o.key)
	if err := k.lock(ctx); err != nil {
		return err
	}
	defer k.unlock()
	c.enter(o, k)
	defer c.leave(o)
	for i, t := range o.plan.tiers {
		if err := t.queue.hold(ctx, o.key); err != nil {
			letGo(o.plan.tiers[:i], o.key)
			return err
		}
	}
	direct := c.divide(o)
	var errs []error
	for i := len(direct) - 1; i >= 0; i-- {
		if err := c.writeTier(ctx, o, direct[i], o.deleted); err != nil {
			errs = append(errs, err)
		}
	}
	letGo(o.plan.tiers, o.key)
	o.obj = nil
	if len(errs) == 0 {
		k.last = max(k.last, o.version)
	}
	c.settle(o, k)
	c.told(o)
	if len(errs) == 0 && o.plan.durable {
		errs = append(errs, c.ledger.sync(ctx)) // what the journal holds of the key is older
	}
	return errors.Join(errs...)
}

func letGo(tiers []placed, key string) {
	for _, t := range tiers {
		t.queue.letGo(key)
	}
}

// divide draws o's version, puts it into those queues that have room, and returns
// the other tiers. All flushes of the key are held, so that what is drawn later
// also reaches the tiers later. A durable operation goes to all tiers directly,
// which is as good as the journal.
func (c *Chain) divide(o *operation) (direct []placed) {
	s := c.fences.of(o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	o.stamp(c.hlc.Next())
	s.at = max(s.at, c.hlc.Next())
	for _, t := range o.plan.tiers {
		sl := o.slot(t, o.deleted)
		if o.plan.durable || t.queue.put(&sl) != nil {
			direct = append(direct, t)
		}
	}
	return direct
}

// queueFull counts a write that found q full, and tells the observer.
func (c *Chain) queueFull(q *queue) {
	c.counts.queueFull.add(1)
	q.observe()
}

func busy(o *operation, q *queue) error {
	op := "set"
	if o.deleted {
		op = "delete"
	}
	return &store.Error{Op: op, Tier: q.t.Name, Key: o.key, Err: ErrBusy}
}
