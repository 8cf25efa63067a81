package chain

import (
	"context"
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// right is the right of this process to load a key, leased from a shared tier.
type right struct {
	store.Lease
	t *tier
}

// leaser returns the nearest tier of the plan that leases keys; nil where the
// rule asks for no lease or no tier can give one.
func (p *plan) leaser() *tier {
	if p.lease <= 0 {
		return nil
	}
	for _, t := range p.tiers {
		if _, ok := t.Store.(store.Leaser); ok {
			return t.tier
		}
	}
	return nil
}

// loadAlone is load for one process at a time, where the rule asks for it: it
// loads under a lease of the shared tier, or waits for the process that has it and
// looks again. Where the lease cannot be had for another reason, such as a Redis
// that is down, each process loads for itself.
func (c *Cache[V]) loadAlone(ctx context.Context, f *flight, p *plan, load loader[V], best *object[V], fd *finding) {
	t := p.leaser()
	if t == nil || f.right != nil {
		c.load(ctx, f, p, load, best, fd)
		return
	}
	if best != nil {
		f.offer(best) // for those whose soft timeout passes meanwhile
	}
	lease, err := c.chain.lease(ctx, t, f.key, p.lease)
	switch {
	case err == nil:
		f.right = &right{lease, t}
		c.fly(ctx, f, p, load) // somebody may have loaded it since we looked
		if !f.left() {
			c.chain.giveBack(ctx, f)
		}
	case errors.Is(err, store.ErrLeased):
		c.chain.counts.leaseWaits.add(1)
		if err := c.chain.awaitLease(ctx, t, p, f.key); err != nil {
			c.failed(f, p, best, moment{f.since, f.epoch}, err)
			return
		}
		f.waited = true
		c.fly(ctx, f, p, load)
	default:
		c.chain.report(tierError("lease", t.Name, f.key, err))
		c.load(ctx, f, p, load, best, fd)
	}
}

func (c *Chain) lease(ctx context.Context, t *tier, key string, ttl time.Duration) (l store.Lease, err error) {
	err = t.call(ctx, &t.writes, func(ctx context.Context) (err error) {
		l, err = t.Store.(store.Leaser).Lease(ctx, key, ttl)
		return err
	})
	return l, err
}

// giveBack gives the right back, if there is one, also where ctx has ended: others
// wait for it.
func (c *Chain) giveBack(ctx context.Context, f *flight) {
	if f.right == nil {
		return
	}
	err := f.right.t.call(context.WithoutCancel(ctx), &f.right.t.writes, f.right.Release)
	if err != nil {
		c.report(tierError("release", f.right.t.Name, f.key, err)) // it runs out by itself
	}
}

// awaitLease waits, for as long as a load may take, until another process has
// given back its lease.
func (c *Chain) awaitLease(ctx context.Context, t *tier, p *plan, key string) error {
	if p.hard > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.hard)
		defer cancel()
	}
	return t.Store.(store.Leaser).AwaitLease(ctx, key)
}

// callFenced writes keys to a tier by write, and takes the leases of those whose
// rules ask for leases away, before and after: no load that overlaps the write is
// to be stored after it.
func (c *Chain) callFenced(ctx context.Context, t *tier, keys []string, write func(context.Context) error) error {
	leaser, ok := t.Store.(store.Leaser)
	if !ok || !c.leases {
		return t.call(ctx, &t.writes, write)
	}
	var leased []string
	for _, key := range keys {
		if c.plan(key).lease > 0 {
			leased = append(leased, key)
		}
	}
	return t.call(ctx, &t.writes, func(ctx context.Context) error {
		if err := breakAll(ctx, leaser, leased); err != nil {
			return err
		}
		err := write(ctx) // some of a batch may have been written even so
		if berr := breakAll(ctx, leaser, leased); err == nil {
			err = berr
		}
		return err
	})
}

// setLeased writes o, which is no delete, to a tier that can break leases in the same
// call; done is false where that does not apply, or the tier refuses the entry.
func (c *Chain) setLeased(ctx context.Context, o *operation, t placed) (done bool, err error) {
	if o.plan.lease <= 0 {
		return false, nil
	}
	w, ok := t.Store.(store.LeaseWriter)
	e, live := t.entryFor(o.entry)
	if !ok || !live {
		return false, nil
	}
	err = t.call(ctx, &t.writes, func(ctx context.Context) error { return w.SetLeased(ctx, o.key, e) })
	return !refuses(err), err
}

func breakAll(ctx context.Context, leaser store.Leaser, keys []string) error {
	if w, ok := leaser.(store.LeaseWriter); ok && len(keys) > 0 {
		return w.BreakLeases(ctx, keys)
	}
	for _, key := range keys {
		if err := leaser.BreakLease(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns the keys of entries.
func keysOf(entries map[string]store.Entry) []string {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	return keys
}

// fillLeased stores what was loaded under a lease. A lease that was lost, to a
// write or to time, means that the value may be older than what others have seen:
// it stays nowhere.
func (c *Chain) fillLeased(ctx context.Context, p *promotion) (ok bool) {
	t := p.right.t
	at := -1
	for i := range p.to {
		if p.to[i].tier == t {
			at = i
		}
	}
	if at < 0 {
		return true
	}
	e, live := p.to[at].entryFor(p.entry)
	if !live || !t.admits(p.key) {
		return true
	}
	defer t.queue.letGo(p.key)
	e = c.aged(t, e, p)
	var stored bool
	err := t.call(ctx, &t.writes, func(ctx context.Context) (err error) {
		stored, err = p.right.Fill(ctx, e)
		return err
	})
	switch {
	case err != nil:
		t.dropped.add(1)
		c.report(tierError("fill", t.Name, p.key, err))
	case stored:
		t.fills.add(1)
		if c.opts.Observer != nil {
			c.opts.Observer.Fill(t.Name, p.key)
		}
	default:
		c.counts.fenced.add(1)
		c.forget(p.key, p.stamp)
		return false
	}
	return true
}

// forget takes key out of memory if what it holds is of that version or older.
func (c *Chain) forget(key string, version uint64) {
	if c.memory == nil {
		return
	}
	s := c.fences.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	obj, ok := c.memory.peek(key)
	if h, is := obj.(held); ok && is && h.ver() <= version {
		if err := c.memory.Store.Delete(context.Background(), key); err != nil {
			c.report(tierError("delete", c.memory.Name, key, err))
		}
	}
}
