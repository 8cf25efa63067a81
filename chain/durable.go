package chain

import (
	"context"
	"errors"

	"github.com/stratacache/strata/internal/journal"
)

// promise is a durable operation on its way: stamped, in the journal, and in the
// room that the queues promised, but visible to nobody before it is on the disk.
type promise struct {
	o      *operation
	rec    *record
	ticket journal.Ticket
}

// writeDurable is writeFree for rules that are durable: the operation is on the
// disk before it becomes visible and before the caller is answered. An error
// leaves it open whether a crash brings it to life.
func (c *Chain) writeDurable(ctx context.Context, o *operation) error {
	p, err := c.promise(ctx, o)
	if p == nil {
		return err
	}
	return c.keep(ctx, p)
}

// writeDurableMany is writeDurable for many operations, which share their wait
// for the disk. It returns what failed.
func (c *Chain) writeDurableMany(ctx context.Context, ops []*operation) map[*operation]error {
	failed := make(map[*operation]error)
	var ps []*promise
	keep := func() {
		for _, p := range ps {
			if err := c.keep(ctx, p); err != nil {
				failed[p.o] = err
			}
		}
		ps = ps[:0]
	}
	for _, o := range ops {
		p, err := c.tryPromise(ctx, o, len(ps) == 0)
		if errors.Is(err, errFull) {
			keep() // what was promised room must not wait for room
			p, err = c.promise(ctx, o)
		}
		switch {
		case err != nil:
			failed[o] = err
		case p != nil:
			ps = append(ps, p)
		}
	}
	keep()
	return failed
}

// promise takes room, in the queues and the journal, and appends o to the journal.
// Where a queue is full it does as Options.Pending.WhenFull says; without error
// and promise, o was carried out directly.
func (c *Chain) promise(ctx context.Context, o *operation) (*promise, error) {
	for {
		p, err := c.tryPromise(ctx, o, true)
		if !errors.Is(err, errFull) {
			return p, err
		}
		full := c.fullest(o)
		if full == nil {
			continue
		}
		c.queueFull(full)
		switch c.opts.Pending.WhenFull {
		case FullReject:
			return nil, busy(o, full)
		case FullThrough:
			return nil, c.writeOver(ctx, o)
		}
		if err := full.awaitRoom(ctx, o.key, int64(len(o.entry.Value))); err != nil {
			return nil, err
		}
	}
}

// fullest returns a queue of o's plan that has no room for it, if any.
func (c *Chain) fullest(o *operation) *queue {
	for _, t := range o.plan.tiers {
		q := t.queue
		q.mu.Lock()
		fits := q.fits(q.slots[o.key], o.key, int64(len(o.entry.Value)))
		q.mu.Unlock()
		if !fits {
			return q
		}
	}
	return nil
}

// tryPromise is promise that fails with errFull where a queue is full, and, unless
// wait is set, where the journal has no room for the moment.
func (c *Chain) tryPromise(ctx context.Context, o *operation, wait bool) (*promise, error) {
	if err := journalable(o.key, &o.entry); err != nil {
		return nil, journalError("set", o.key, err)
	}
	if _, err := c.reserve(o); err != nil {
		return nil, err
	}
	size := recordSize(o.key, &o.entry)
	if err := c.ledger.admit(ctx, size, wait); err != nil {
		c.release(o)
		if errors.Is(err, errFull) {
			return nil, err
		}
		return nil, journalError("set", o.key, err)
	}
	s := c.fences.of(o.key)
	s.mu.Lock()
	if o.overtaken(s) || o.since != 0 && c.ledger.promised(o.key) {
		s.mu.Unlock()
		c.ledger.landed(size)
		c.release(o)
		return nil, errOvertaken
	}
	o.stamp(c.hlc.Next())
	rec, ticket, err := c.ledger.append(o, size)
	s.mu.Unlock()
	p := &promise{o: o, rec: rec, ticket: ticket}
	if err != nil {
		c.breakPromise(p)
		return nil, journalError("set", o.key, err)
	}
	return p, nil
}

// promised reports whether an operation of key is on its way to the disk.
func (l *ledger) promised(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[key] != nil
}

// keep waits for the disk and makes the operation visible, unless a newer one of
// the key was quicker.
func (c *Chain) keep(ctx context.Context, p *promise) error {
	o := p.o
	if err := c.ledger.j.Wait(ctx, p.ticket); err != nil {
		c.breakPromise(p)
		return journalError("set", o.key, err)
	}
	c.ledger.landed(p.rec.size)
	s := c.fences.of(o.key)
	s.mu.Lock()
	if overtaken, foreign := c.ledger.arrive(o.key, o.version, true); overtaken {
		s.mu.Unlock()
		c.release(o)
		p.rec.dropMask(^uint64(0), foreign)
		return nil
	}
	c.supersede(o, s, c.fulfil(o, p.rec))
	end := s.at
	s.mu.Unlock()
	c.flights.forget(o.key, end)
	c.told(o)
	return nil
}

// breakPromise gives up an operation that may or may not have reached the disk. If
// the journal works, or works again, it is told that nobody is owed it.
func (c *Chain) breakPromise(p *promise) {
	c.ledger.landed(p.rec.size)
	c.ledger.arrive(p.o.key, p.o.version, false)
	c.release(p.o)
	p.rec.cancel()
}
