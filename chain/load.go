package chain

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/stratacache/strata/store"
)

// refresh loads key in the background, unless that is under way. o is the value
// to be renewed, read when seen was the latest version of the process.
func (c *Cache[V]) refresh(ctx context.Context, p *plan, key string, load loader[V], o *object[V], seen uint64) {
	ch := c.chain
	f, leader := ch.flights.claim(flightKey{key, c.typ, true}, ch)
	if !leader {
		return
	}
	ch.work.enter()
	c.apart(ctx, f, func(ctx context.Context) {
		best, done := c.renewable(f, o, seen)
		switch {
		case done:
		case best != nil:
			c.load(ctx, f, p, load, best, ch.foresee(ctx, p, key))
		default:
			c.fly(ctx, f, p, load)
		}
	})
}

// renewable returns the value that a refresh of o starts from, nil where a write
// has come since o was read. done is set where o has been replaced by a value
// that needs no refresh, with which f is landed.
func (c *Cache[V]) renewable(f *flight, o *object[V], seen uint64) (best *object[V], done bool) {
	held := c.again(f.key, time.Now().UnixNano())
	switch {
	case held == o:
		return o, false
	case held != nil && time.Now().UnixNano() < held.hot:
		c.chain.flights.land(f, held, nil)
		return nil, true
	case held != nil:
		return held, false
	case c.holds(o, f.key, seen):
		return o, false // memory never held it, or has evicted it
	default:
		return nil, false
	}
}

// moment is a point in the process's history: no write is older that has not been
// seen then, and no barrier.
type moment struct{ since, epoch uint64 }

// begin stamps a load. It returns the moment of the walk before, which is what the
// value at hand can vouch for. Where a write has come between the walk and the load,
// the load keeps the walk's stamp: it is for those who asked before the write, and
// is not to take the place of what that wrote.
func (f *flight) begin(c *Chain) moment {
	m := moment{f.since, f.epoch}
	epoch, since := c.epoch.Load(), c.hlc.Next() // past every version that the walk has seen
	if c.fences.open(f.key, m.since) {           // asked after the stamp was drawn
		f.epoch, f.since = epoch, since
	}
	return m
}

// loaded lands a loaded value: memory first, so that whoever comes next hits,
// then the waiters, then the tiers.
func (c *Cache[V]) loaded(ctx context.Context, f *flight, p *plan, res Loaded[V], best *object[V], seen moment, fd *finding, took time.Duration) {
	if res.NotModified {
		if best == nil {
			c.failed(f, p, nil, seen, fmt.Errorf("strata: loader of %q says not modified, but was given no value", f.key))
			return
		}
		f.since, f.epoch = seen.since, seen.epoch
		c.renew(ctx, f, p, res.WriteOptions, best, fd, took)
		return
	}
	if c.opts.Clone != nil {
		res.Value = c.opts.Clone(res.Value)
	}
	if !p.memory {
		defer c.chain.flights.remove(f)
	}
	e, ok := c.accept(f, p, res.Value, res.WriteOptions, took)
	if !ok {
		return
	}
	runtime.Gosched() // those who wait go on before the tiers are filled
	if c.encoded(p, f.key, res.Value, &e) {
		c.chain.fillTiers(ctx, &promotion{key: f.key, entry: e, stamp: f.since, to: p.fillable(fd), right: f.right}, fd.replace)
	}
}

// accept puts a loaded value into memory and lands f with it. It returns the
// entry for the tiers, which encoded is to complete; ok is false where they can hold
// none. The caller removes f once they have it.
func (c *Cache[V]) accept(f *flight, p *plan, v V, w WriteOptions, took time.Duration) (e store.Entry, ok bool) {
	now := time.Now().UnixNano()
	ok = len(p.tiers) > 0
	if ok && !c.flat { // memory goes by the length of its encoding
		ok = c.encoded(p, f.key, v, &e)
	}
	l := p.lifeFor(now, w.TTL)
	e.Version, e.Tags = f.since, p.tagsFor(f.key, w.Tags)
	l.apply(&e)
	o := c.object(p, v, l, now, &e, took, f.epoch)
	o.markLoaded(c.chain)
	c.chain.fillMemory(p, f.key, o, f.since)
	if p.memory {
		c.chain.flights.land(f, o, nil)
	} else {
		c.chain.flights.publish(f, o, nil)
	}
	return e, ok
}

// encoded puts v into e, unless it is there. It reports false where that cannot be:
// the caller has his value, but the tiers cannot have it.
func (c *Cache[V]) encoded(p *plan, key string, v V, e *store.Entry) bool {
	if e.Value != nil {
		return true
	}
	x, err := c.encode(p, key, v)
	if err != nil {
		c.chain.report(err)
		return false
	}
	e.Value, e.Codec = x.Value, x.Codec
	return true
}

// fillable returns the tiers that a loaded value goes to: all but those that
// could not answer.
func (p *plan) fillable(fd *finding) []placed {
	if len(fd.errs) == 0 {
		return p.tiers
	}
	return fd.sound
}

// failed lands a load that failed: with the value at hand where the rule allows,
// and with the error otherwise. A value that may still be served goes on being
// served for a while from now before the load is tried again; seen is when it was
// found.
func (c *Cache[V]) failed(f *flight, p *plan, best *object[V], seen moment, err error) {
	ch := c.chain
	if best == nil {
		ch.flights.land(f, nil, err)
		return
	}
	now := time.Now().UnixNano()
	end := best.fresh
	if !p.neverStale {
		end = min(add(end, max(p.swr, p.sie)), best.expires)
	}
	if now < end {
		again := &object[V]{
			hot: min(add(now, p.jittered(ch.opts.StaleBackoff)), end), value: best.value,
			fresh: best.fresh, expires: best.expires, version: best.version, cost: best.cost, more: best.more,
		}
		again.epoch.Store(best.epoch.Load())
		ch.fillMemory(p, f.key, again, seen.since)
		best = again
	}
	if now >= best.fresh && !p.servesStale(now, best.deadlines(), p.sie) {
		ch.flights.land(f, nil, err)
		return
	}
	ch.report(&store.Error{Op: "load", Tier: "loader", Key: f.key, Err: err})
	c.countStale(f.key)
	ch.flights.land(f, best, nil)
}

// vanished lands f with the loader's word, err, that the key does not exist. It is
// remembered for the rule's negative TTL, and what memory and the tiers still
// hold of the key (held) is removed, unless a write came.
func (c *Chain) vanished(ctx context.Context, f *flight, p *plan, held bool, err error) {
	c.forgetAbsent(f, p)
	c.flights.land(f, nil, err)
	if !held {
		return
	}
	k := c.locks.ref(f.key)
	if k.lock(ctx) != nil {
		return
	}
	defer k.unlock()
	if !c.fences.open(f.key, f.since) {
		return
	}
	if err := c.retract(ctx, f.key, f.since); err != nil {
		c.report(err)
	}
}

// forgetAbsent takes a key that does not exist out of memory and remembers that.
func (c *Chain) forgetAbsent(f *flight, p *plan) {
	s := c.fences.of(f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at > f.since {
		return
	}
	if p.negative > 0 {
		c.absent.add(f.key, time.Now().UnixNano(), p.negative)
	}
	if c.memory != nil {
		if err := c.memory.Store.Delete(context.Background(), f.key); err != nil {
			c.report(tierError("delete", c.memory.Name, f.key, err))
		}
	}
}
