package chain

import (
	"context"
	"errors"
	"time"

	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// outcome is what became of an operation in the tiers that are written before
// the caller is answered.
type outcome struct {
	errs   []error
	failed []placed
}

// writeLocked is write for plans in which a tier is written before the caller is
// answered: the key's lock gives the tiers the operations in version order.
func (c *Chain) writeLocked(ctx context.Context, o *operation) error {
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
	if k.last > o.version {
		return nil // a later operation has been carried out already
	}
	out := c.writeTiers(ctx, o)
	err := c.conclude(ctx, o, &out)
	if err != nil {
		o.obj = nil // the outcome is open: memory must not vouch for it
	} else {
		k.last = o.version
	}
	c.settle(o, k)
	c.told(o)
	return err
}

// conclude decides what an operation came to: it fails if no tier took it, or
// one that failed cannot be owed it. A tier that is owed an operation has it in
// its queue, where reads see it.
func (c *Chain) conclude(ctx context.Context, o *operation, out *outcome) error {
	if len(out.failed) > 0 && len(out.failed) == len(o.plan.tiers) {
		return errors.Join(out.errs...)
	}
	for _, t := range out.failed {
		s := o.slot(t, o.removes(t.at))
		if err := t.queue.put(&s); err != nil {
			if errors.Is(err, errFull) {
				c.queueFull(t.queue)
				err = busy(o, t.queue) // to wait for room in it is to wait for the tier that has just failed
			}
			return errors.Join(append(out.errs, err)...)
		}
	}
	return c.writeBack(ctx, o)
}

// writeTiers writes o to the tiers that are written through or around, far to
// near, and carries on past those that fail.
func (c *Chain) writeTiers(ctx context.Context, o *operation) (out outcome) {
	for i := len(o.plan.tiers) - 1; i >= 0; i-- {
		t := o.plan.tiers[i]
		if t.mode == policy.WriteBack {
			continue
		}
		if err := t.queue.hold(ctx, o.key); err != nil {
			out.errs, out.failed = append(out.errs, err), append(out.failed, t)
			continue
		}
		err := c.writeTier(ctx, o, t, o.removes(i))
		t.queue.letGo(o.key)
		if err != nil {
			out.errs, out.failed = append(out.errs, err), append(out.failed, t)
		}
	}
	return out
}

// writeTier writes o to one tier, whose flushes of the key are held. Where the
// tier refuses the entry for good, what it holds of the key is removed, so that it
// does not answer with something older.
func (c *Chain) writeTier(ctx context.Context, o *operation, t placed, remove bool) error {
	done, err := false, error(nil)
	if !remove && t.sink == nil {
		done, err = c.setLeased(ctx, o, t)
	}
	if !done {
		err = c.callFenced(ctx, t.tier, []string{o.key}, func(ctx context.Context) error { return c.storeIn(ctx, o, t, remove) })
	}
	if err != nil {
		err = tierError("set", t.Name, o.key, err)
		c.report(err)
		return err
	}
	t.queue.settle(o.key, o.version)
	return nil
}

func (c *Chain) storeIn(ctx context.Context, o *operation, t placed, remove bool) error {
	if t.sink != nil {
		w := Write{Key: o.key, Entry: o.entry, Delete: o.deleted}
		return store.KeyError(t.sink.WriteMany(ctx, []Write{w}), o.key)
	}
	e, live := t.entryFor(o.entry)
	if remove || !live {
		return t.erase(ctx, o.key, o.erased())
	}
	err := t.Store.Set(ctx, o.key, e)
	if refuses(err) {
		t.dropped.add(1)
		c.report(err)
		return t.erase(ctx, o.key, o.erased())
	}
	return err
}

// writeBack puts o into the queues of the tiers that are written back, in a plan
// with others that are not.
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
	for {
		err := t.queue.put(&s)
		if !errors.Is(err, errFull) {
			return err
		}
		c.queueFull(t.queue)
		switch c.opts.Pending.WhenFull {
		case FullReject:
			return busy(o, t.queue)
		case FullThrough:
			if err := t.queue.hold(ctx, o.key); err != nil {
				return err
			}
			defer t.queue.letGo(o.key)
			return c.writeTier(ctx, o, t, o.deleted)
		}
		if err := t.queue.awaitRoom(ctx, s.key, int64(len(s.entry.Value))); err != nil {
			return err
		}
	}
}

// retract removes a key that a loader did not find since stamp from the tiers
// that still hold it. The key's lock is held.
func (c *Chain) retract(ctx context.Context, key string, stamp uint64) error {
	o := &operation{key: key, plan: c.deletePlan(key), version: stamp, deleted: true, at: time.Now().UnixNano()}
	o.entry.Version = stamp
	var errs []error
	for i := len(o.plan.tiers) - 1; i >= 0; i-- {
		t := o.plan.tiers[i]
		if t.sink != nil {
			continue // the loader does not speak for the system of record
		}
		if t.mode == policy.WriteBack {
			errs = append(errs, c.retractLater(o, t))
		} else if err := c.retractNow(ctx, o, t); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// retractLater leaves a tombstone in a queue unless something came since the
// operation's stamp: writers of such a tier do not take the key's lock.
func (c *Chain) retractLater(o *operation, t placed) error {
	f := c.fences.of(o.key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at > o.version {
		return nil
	}
	s := o.slot(t, true)
	return t.queue.put(&s)
}

func (c *Chain) retractNow(ctx context.Context, o *operation, t placed) error {
	if err := t.queue.hold(ctx, o.key); err != nil {
		return err
	}
	defer t.queue.letGo(o.key)
	if !c.fences.open(o.key, o.version) {
		return nil
	}
	return c.writeTier(ctx, o, t, true)
}
