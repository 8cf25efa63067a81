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
	obj     held // for memory; nil where it was not decoded or is deleted
}

// begin draws the operation's version and turns away every fill and flight that
// began before it. c.fences.end must follow.
func (c *Chain) begin(o *operation) {
	o.stamp(c.hlc.Next())
	if o.plan.has(policy.WriteAround) {
		o.obj = nil // the nearer tiers, memory among them, forget the key
	}
	c.fences.begin(o.key, o.version)
}

// stamp gives the operation its version.
func (o *operation) stamp(version uint64) {
	o.version, o.entry.Version = version, version
	if o.obj != nil {
		o.obj.stamp(version)
	}
}

// settle makes the operation visible in memory and ends the time in which fills
// that overlapped it are turned away. The key's lock is held, so that operations
// settle in the order of their versions.
func (c *Chain) settle(o *operation) {
	s := c.fences.of(o.key)
	s.mu.Lock()
	c.remember(o, s)
	end := s.at
	s.mu.Unlock()
	c.flights.forget(o.key, end)
}

// remember puts the operation into memory. The stripe's lock is held.
func (c *Chain) remember(o *operation, s *stripe) {
	if c.memory != nil {
		if o.obj != nil && o.plan.memory && !o.deleted {
			c.memory.put(c, o.key, o.obj)
		} else if err := c.memory.Store.Delete(context.Background(), o.key); err != nil && !errors.Is(err, store.ErrClosed) {
			c.report(err)
		}
	}
	c.absent.remove(o.key)
	// A fresh stamp: a walk may have begun since the version was drawn, and have
	// passed by the queues and tiers before they had the operation.
	s.at = max(s.at, c.hlc.Next())
}

// outcome is what became of an operation in the tiers that are written before
// the caller is answered.
type outcome struct {
	errs   []error
	failed []placed
}

// conclude decides what an operation came to: it fails if no tier took it, or
// one that failed cannot be owed it. A tier that is owed an operation has it in
// its queue, where reads see it.
func (c *Chain) conclude(ctx context.Context, o *operation, out *outcome) error {
	if len(out.failed) > 0 && len(out.failed) == len(o.plan.tiers) {
		return errors.Join(out.errs...)
	}
	for _, t := range out.failed {
		if err := t.queue.put(o.slot(t, o.removes(t.at))); err != nil {
			return errors.Join(append(out.errs, err)...)
		}
	}
	return c.writeBack(ctx, o)
}

// write carries o out in every tier of its plan: those written through first,
// far to near, then the slots of those written back, then memory.
func (c *Chain) write(ctx context.Context, o *operation) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if c.free(o.plan) {
		return c.writeFree(ctx, o)
	}
	return c.writeLocked(ctx, o)
}

// free reports whether no operation of p asks a tier before it answers.
func (c *Chain) free(p *plan) bool {
	return p.backOnly() && (len(p.tiers) == 0 || c.opts.Pending.WhenFull != FullThrough)
}

// writeFree is write for plans whose tiers are all written back: the version, the
// slots and memory are one step under the stripe's lock, so that the caller never
// waits for a tier, nor for a flush of the key that is under way.
func (c *Chain) writeFree(ctx context.Context, o *operation) error {
	for {
		full, end := c.tryFree(o)
		if full == nil {
			c.flights.forget(o.key, end)
			c.told(o)
			return nil
		}
		c.counts.queueFull.add(1)
		if c.opts.Pending.WhenFull == FullReject {
			return &store.Error{Op: "set", Tier: full.t.Name, Key: o.key, Err: ErrBusy}
		}
		if err := full.awaitRoom(ctx, o.key, int64(len(o.entry.Value))); err != nil {
			return err
		}
	}
}

// tryFree carries o out unless a queue is full, which it returns.
func (c *Chain) tryFree(o *operation) (full *queue, end uint64) {
	s := c.fences.of(o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	o.stamp(c.hlc.Next())
	for _, t := range o.plan.tiers {
		if !t.queue.hasRoom(o.key, int64(len(o.entry.Value))) {
			return t.queue, 0
		}
	}
	for _, t := range o.plan.tiers {
		// Rooms were checked one by one, so that concurrent writers may overshoot
		// the bound by an entry each.
		t.queue.force(o.slot(t, o.deleted))
	}
	c.remember(o, s)
	return nil, s.at
}

// writeLocked is write for plans in which a tier is written before the caller is
// answered: the key's lock gives the tiers the operations in version order.
func (c *Chain) writeLocked(ctx context.Context, o *operation) error {
	k := c.locks.ref(o.key)
	c.begin(o)
	defer c.fences.end(o.key)
	if err := k.lock(ctx); err != nil {
		return err
	}
	defer k.unlock()
	c.fences.raise(o.key, c.hlc.Next()) // a fill may have held the lock until now
	if k.last > o.version {
		return nil // a later operation has been carried out already
	}
	err := c.conclude(ctx, o, c.writeTiers(ctx, o))
	if err != nil {
		o.obj = nil // the outcome is open: memory must not vouch for it
	} else {
		k.last = o.version
	}
	c.settle(o)
	c.told(o)
	return err
}

// writeTiers writes o to the tiers that are written through or around, far to
// near, and carries on past those that fail.
func (c *Chain) writeTiers(ctx context.Context, o *operation) *outcome {
	out := &outcome{}
	for i := len(o.plan.tiers) - 1; i >= 0; i-- {
		t := o.plan.tiers[i]
		if t.mode == policy.WriteBack {
			continue
		}
		if err := c.writeTier(ctx, o, t, o.removes(i)); err != nil {
			err = tierError("set", t.Name, o.key, err)
			c.report(err)
			out.errs, out.failed = append(out.errs, err), append(out.failed, t)
		}
	}
	return out
}

// removes reports whether o takes the key out of the plan's i-th tier: a delete
// does, and a write around every tier but the farthest.
func (o *operation) removes(i int) bool {
	return o.deleted || o.plan.tiers[i].mode == policy.WriteAround && i < len(o.plan.tiers)-1
}

// writeTier writes o to one tier. Where the tier refuses the entry for good, what
// it holds of the key is removed, so that it does not answer with something older.
func (c *Chain) writeTier(ctx context.Context, o *operation, t placed, remove bool) error {
	e, live := t.entryFor(o.entry)
	err := t.call(ctx, &t.writes, func(ctx context.Context) error {
		if remove || !live {
			return t.Store.Delete(ctx, o.key)
		}
		err := t.Store.Set(ctx, o.key, e)
		if refuses(err) {
			t.dropped.add(1)
			c.report(err)
			return t.Store.Delete(ctx, o.key)
		}
		return err
	})
	if err == nil {
		t.queue.settle(o.key, o.version)
	}
	return err
}

// writeBack puts o into the queues of the tiers that are written back.
func (c *Chain) writeBack(ctx context.Context, o *operation) error {
	for i := len(o.plan.tiers) - 1; i >= 0; i-- {
		t := o.plan.tiers[i]
		if t.mode != policy.WriteBack {
			continue
		}
		if err := c.enqueue(ctx, o, t); err != nil {
			return err
		}
	}
	return nil
}

// enqueue puts o into one queue, and does as Options.Pending.WhenFull says where
// that is full.
func (c *Chain) enqueue(ctx context.Context, o *operation, t placed) error {
	s := o.slot(t, o.deleted)
	err := t.queue.put(s)
	if !errors.Is(err, errFull) {
		return err
	}
	c.counts.queueFull.add(1)
	switch c.opts.Pending.WhenFull {
	case FullReject:
		return &store.Error{Op: "set", Tier: t.Name, Key: o.key, Err: ErrBusy}
	case FullThrough:
		return c.writeTier(ctx, o, t, o.deleted)
	default:
		return t.queue.putWait(ctx, s)
	}
}

// slot returns o as a slot of t's queue. remove says that t is not to hold the
// entry, although the key may live on in other tiers.
func (o *operation) slot(t placed, remove bool) slot {
	s := slot{key: o.key, version: o.version, entry: o.entry, deleted: o.deleted, obj: o.obj}
	e, live := t.entryFor(o.entry)
	s.entry, s.purge = e, !o.deleted && (remove || !live)
	return s
}
