package chain

import (
	"context"
	"time"

	"github.com/stratacache/strata/store"
)

// loader is the form that all loaders are brought to.
type loader[V any] = func(ctx context.Context, r Request[V]) (Loaded[V], error)

// miss answers what peek could not: values that are stale, due for a refresh, or
// not in memory.
func (c *Cache[V]) miss(ctx context.Context, key string, load loader[V]) (*object[V], error) {
	ch := c.chain
	if err := ch.check(key); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p := ch.plan(key)
	now, seen := time.Now().UnixNano(), ch.hlc.Last()
	o, due := c.inMemory(p, key, now, load != nil)
	if o != nil && due != thinking {
		if due == refreshing {
			c.refresh(ctx, p, key, load, o, seen)
		}
		return o, nil
	}
	if ch.absent.has(key, now) {
		ch.counts.negative.add(1)
		return nil, store.ErrNotFound
	}
	f, leader := ch.flights.claim(flightKey{key, c.typ, load != nil}, ch)
	if leader {
		c.depart(ctx, f, p, load)
	}
	return c.await(ctx, f, p, load != nil)
}

// depart starts the work on f. A walk without a load runs in the caller's own
// goroutine where its context cannot end, and so cannot take the work down with
// it; all else runs apart from its callers.
func (c *Cache[V]) depart(ctx context.Context, f *flight, p *plan, load loader[V]) {
	if load == nil && ctx.Done() == nil {
		c.fly(ctx, f, p, nil)
		return
	}
	c.chain.work.enter()
	go func() {
		defer c.chain.work.leave()
		fctx, cancel := c.chain.detach(ctx)
		defer cancel()
		c.fly(fctx, f, p, load)
	}()
}

// detach returns a context with the values of ctx that ends with the chain.
func (c *Chain) detach(ctx context.Context) (context.Context, context.CancelFunc) {
	dctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(c.ctx, cancel)
	return dctx, func() { stop(); cancel() }
}

// await waits for f, for the end of ctx, or for the rule's soft timeout where a
// stale value is at hand.
func (c *Cache[V]) await(ctx context.Context, f *flight, p *plan, loads bool) (*object[V], error) {
	var soft <-chan time.Time
	if loads && p.soft > 0 && !p.neverStale {
		t := time.NewTimer(p.soft)
		defer t.Stop()
		soft = t.C
	}
	for {
		select {
		case <-f.done:
			o, _ := f.obj.(*object[V])
			return o, f.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-soft:
			soft = nil
			o, _ := f.stale.Load().(*object[V])
			if o != nil && time.Now().UnixNano() < o.expires {
				c.countStale(f.key)
				return o, nil
			}
		}
	}
}

// fly does the work of f: memory once more, pending writes, tiers, loader.
func (c *Cache[V]) fly(ctx context.Context, f *flight, p *plan, load loader[V]) {
	ch := c.chain
	held := c.again(f.key)
	if c.settled(f, held) {
		return
	}
	fd := c.lookup(ctx, f, p)
	best, _ := fd.obj.(*object[V])
	best = fresher(best, held)
	now := time.Now().UnixNano()
	switch {
	case fd.deleted:
		best = nil
	case best != nil && now >= best.expires:
		best = nil
	case fd.found && best != nil && now < best.fresh:
		c.arrive(f, p, fd, best)
		return
	}
	if best != nil && p.servesStale(now, best.deadlines(), p.swr) {
		c.countStale(f.key)
		ch.fillMemory(p, f.key, best, f.stamp)
		ch.flights.land(f, best, nil)
		if load != nil {
			c.refresh(ctx, p, f.key, load, best, f.stamp)
		}
		return
	}
	ch.counts.misses.add(1)
	if ob := ch.opts.Observer; ob != nil {
		ob.Miss(f.key)
	}
	switch {
	case load != nil:
		c.load(ctx, f, p, load, best, fd)
	default:
		ch.flights.land(f, nil, fd.failure())
	}
}

// settled lands f with what has come to be known since the reader looked into
// memory and before it claimed f, if that answers it: another flight may have
// landed in between.
func (c *Cache[V]) settled(f *flight, held *object[V]) bool {
	ch := c.chain
	now := time.Now().UnixNano()
	switch {
	case held != nil && now < held.fresh:
		c.hitInMemory(f.key)
		ch.flights.land(f, held, nil)
	case held != nil && now < held.hot:
		c.countStale(f.key)
		ch.flights.land(f, held, nil)
	case held == nil && ch.absent.has(f.key, now):
		ch.counts.negative.add(1)
		ch.flights.land(f, nil, store.ErrNotFound)
	default:
		return false
	}
	return true
}

// fresher returns the newer of two values of a key, either of which may be nil:
// by version, and by deadline where one was written by nobody knows whom.
func fresher[V any](a, b *object[V]) *object[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.version != 0 && b.version != 0 && a.version != b.version:
		if b.version > a.version {
			return b
		}
		return a
	case b.fresh > a.fresh:
		return b
	default:
		return a
	}
}

// lookup walks for f and decodes what it finds, which is then in the finding's
// obj.
func (c *Cache[V]) lookup(ctx context.Context, f *flight, p *plan) *finding {
	return c.chain.walk(ctx, p, f.key, func(fd *finding) verdict { return c.judge(f, p, fd) })
}

// judge decodes the entry of a finding into its obj and says what it is good for.
func (c *Cache[V]) judge(f *flight, p *plan, fd *finding) verdict {
	if !c.chain.valid(0, fd.entry.Version, fd.entry.Tags) {
		return useless
	}
	now := time.Now().UnixNano()
	l := lifeOf(&fd.entry)
	o, ok := fd.obj.(*object[V])
	if !ok {
		v, err := c.decode(p, &fd.entry)
		if err != nil {
			c.chain.counts.typeMisses.add(1)
			c.chain.report(&store.Error{Op: "decode", Tier: fd.from, Key: f.key, Err: err})
			return useless
		}
		o = c.object(p, v, l, now, &fd.entry, 0, f.epoch)
	}
	fd.obj = o
	if now < l.fresh {
		return take
	}
	return stale
}

// arrive lands a value that a tier had, and sends it to the tiers that lacked it.
func (c *Cache[V]) arrive(f *flight, p *plan, fd *finding, o *object[V]) {
	ch := c.chain
	ch.countHit(p, fd.from, f.key)
	ch.fillMemory(p, f.key, o, f.stamp)
	ch.flights.land(f, o, nil)
	if len(fd.to) > 0 {
		ch.filler.promote(promotion{key: f.key, entry: fd.entry, stamp: f.stamp, to: fd.to})
	}
}

func (c *Chain) countHit(p *plan, from, key string) {
	for _, t := range p.tiers {
		if t.Name == from {
			t.hits.add(1)
		}
	}
	if ob := c.opts.Observer; ob != nil {
		ob.Hit(from, key)
	}
}
