package chain

import (
	"context"
	"time"

	"github.com/stratacache/strata/store"
)

// loader is the form that all loaders are brought to.
type loader[V any] = func(ctx context.Context, r Request[V]) (Loaded[V], error)

// miss answers what peek could not: values that are stale, due for a refresh, or
// not in memory; held is false if peek has found nothing there.
func (c *Cache[V]) miss(ctx context.Context, key string, held bool, load loader[V]) (*object[V], error) {
	ch := c.chain
	if err := ch.check(key); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	p := ch.plan(key)
	now, seen := time.Now().UnixNano(), ch.hlc.Last()
	o, due := c.inMemory(p, key, held, now, load != nil)
	if o != nil && due != thinking {
		if due == refreshing {
			c.refresh(ctx, p, key, load, o, seen)
		}
		return o, nil
	}
	if o := c.pending(p, key, now); o != nil {
		return o, nil
	}
	if ch.absent.has(key, now) {
		ch.counts.negative.add(1)
		return nil, store.ErrNotFound
	}
	f, leader := ch.flights.claimAt(flightKey{key, c.typ, load != nil}, ch, nil, now)
	if leader {
		c.depart(ctx, f, p, load, now)
	}
	return c.await(ctx, f, p, load != nil, time.Unix(0, now))
}

// depart does the work on f, as far as it may be done in the caller's own
// goroutine, which is the quickest way: the walk, but not the load, for others
// wait for that and the caller may leave. Where the caller's context ends during the
// walk, the work is begun anew apart from him. A rule with a soft timeout has its
// caller wait beside the work, not in it. now was read just before.
func (c *Cache[V]) depart(ctx context.Context, f *flight, p *plan, load loader[V], now int64) {
	room()
	if p.soft > 0 && load != nil {
		c.chain.work.enter()
		c.apart(ctx, f, func(ctx context.Context) { c.fly(ctx, f, p, load) })
		return
	}
	// Close and Flush wait for what may go on behind the caller's back.
	counted := load != nil || ctx.Done() != nil
	if counted {
		c.chain.work.enter()
	}
	defer func() {
		if counted {
			c.chain.work.leave()
		}
	}()
	if rest := c.flyHere(ctx, f, p, load, now); rest != nil {
		if !counted {
			c.chain.work.enter()
		}
		counted = false
		c.apart(ctx, f, rest)
	}
}

// apart runs work on f in a goroutine, with a context that outlives the caller's. The
// caller has counted it as work of the chain.
func (c *Cache[V]) apart(ctx context.Context, f *flight, work func(context.Context)) {
	f.shared()
	go func() {
		defer c.chain.discharge(f)
		room()
		work(c.chain.detach(ctx))
	}()
}

// flyHere is fly in the goroutine of the caller, as far as that goes. It returns
// what is left to be done, nil if f has landed.
func (c *Cache[V]) flyHere(ctx context.Context, f *flight, p *plan, load loader[V], now int64) (rest func(context.Context)) {
	handed := false
	defer c.chain.rescueHere(&handed, f)
	fd, best, ok := c.search(ctx, f, p, load != nil, true, now)
	switch now := fd.now(); {
	case !ok:
		f.ended()
		return nil
	case over(ctx): // a tier may have been left because of that
		rest = func(ctx context.Context) { c.fly(ctx, f, p, load) }
	case load != nil && !p.answers(best.life(), now):
		rest = func(ctx context.Context) { c.finish(ctx, f, p, load, fd, best, time.Now().UnixNano()) }
	default:
		c.finish(ctx, f, p, load, fd, best, now)
		f.ended()
		return nil
	}
	handed = true
	return rest
}

// detached has the values of a caller's context, and ends with the chain.
type detached struct {
	context.Context // the chain's
	values          context.Context
}

// Value asks the chain's context first, which has no values but the one by which
// package context knows its own kind: contexts derived from a detached one are then
// ended without a goroutine each, and have the chain's cause.
func (d detached) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

// detach returns a context with the values of ctx that ends with the chain.
func (c *Chain) detach(ctx context.Context) context.Context { return detached{c.ctx, ctx} }

// await waits for f, for the end of ctx, or for a stale value that may be served
// meanwhile: within stale_while_revalidate at once, otherwise when the rule's soft
// timeout has passed since the call began.
func (c *Cache[V]) await(ctx context.Context, f *flight, p *plan, loads bool, began time.Time) (*object[V], error) {
	var soft <-chan time.Time
	stales, late := loads && !p.neverStale, false
	if stales && p.soft > 0 && !f.landed() {
		t := time.NewTimer(p.soft - time.Since(began))
		defer t.Stop()
		soft = t.C
	}
	for !f.landed() {
		next := f.wait(stales)
		if ctx.Done() == nil && soft == nil {
			<-next // without a select, which is dearer to wake
		} else {
			select {
			case <-next:
			case <-ctx.Done():
				return nil, ended(ctx)
			case <-soft:
				soft, late = nil, true
			}
		}
		o, _ := f.stale.Load().(*object[V])
		if o == nil || f.landed() {
			continue
		}
		if now := time.Now().UnixNano(); now < o.expires && (late || p.servesStale(now, o.deadlines(), p.swr)) {
			c.countStale(f.key)
			return o, nil
		}
		stales = false // there is no other news
	}
	o, _ := f.obj.(*object[V])
	return o, f.err
}

// maxWalks is how often a walk that a write overtook is begun anew before the
// last one keeps writers away.
const maxWalks = 3

// fly does the work of f: memory once more, pending writes, tiers, loader.
func (c *Cache[V]) fly(ctx context.Context, f *flight, p *plan, load loader[V]) {
	if fd, best, ok := c.search(ctx, f, p, load != nil, false, time.Now().UnixNano()); ok {
		c.finish(ctx, f, p, load, fd, best, fd.now())
	}
}

// search looks for what f wants in memory, pending writes and tiers. ok is false
// where f has landed. here says that a caller walks, who must not be held. now was read
// just before.
func (c *Cache[V]) search(ctx context.Context, f *flight, p *plan, loads, here bool, now int64) (fd *finding, best *object[V], ok bool) {
	for try := 1; ; try++ {
		if try > 1 {
			now = time.Now().UnixNano()
		}
		held := c.again(f.key, now)
		if c.settled(f, held, now) {
			return nil, nil, false
		}
		if held != nil {
			f.offer(held)
		}
		fd = c.lookup(ctx, f, p, try == maxWalks, here)
		best, _ = fd.obj.(*object[V])
		if !(here && over(ctx)) && c.recall(f, p, fd, best, now) {
			return nil, nil, false
		}
		best = usable(fd, best, held)
		if here && over(ctx) || !c.overtaken(f, p, fd, best, loads, try) {
			return fd, best, true
		}
	}
}

// answers reports whether a value with these deadlines is an answer at now, with no
// need to wait for a load.
func (p *plan) answers(l life, now int64) bool { return now < l.fresh || p.servesStale(now, l, p.swr) }

// usable returns the newer of what a walk and memory had, if any of it may still
// be served.
func usable[V any](fd *finding, found, held *object[V]) *object[V] {
	best := fresher(found, held)
	if fd.deleted || best != nil && fd.now() >= best.expires {
		return nil
	}
	return best
}

// overtaken reports whether a write began or ended while f walked, and prepares f
// for another walk then: it may have seen one tier before the write and the next
// after it, and readers to come the other way around. Where the walk answers, f is
// taken off the list first: who comes now starts his own, and what f found was
// true at that moment. The last walk is not overtaken, for it kept writers away.
func (c *Cache[V]) overtaken(f *flight, p *plan, fd *finding, best *object[V], loads bool, try int) bool {
	now := fd.now()
	if !loads || best != nil && (now < best.fresh || p.servesStale(now, best.deadlines(), p.swr)) {
		c.chain.flights.remove(f)
	}
	if try >= maxWalks || c.chain.fences.open(f.key, f.since) {
		return false
	}
	f.since = c.chain.hlc.Next()
	return true
}

// finish lands what a walk came to, or loads. best is a value at hand at now.
func (c *Cache[V]) finish(ctx context.Context, f *flight, p *plan, load loader[V], fd *finding, best *object[V], now int64) {
	ch := c.chain
	switch {
	case best != nil && now < best.fresh:
		c.arrive(f, p, fd, best)
		if load != nil && p.wantsRefresh(now, best.refreshable(), best.version, 0) {
			c.refresh(ctx, p, f.key, load, best, f.since)
		}
		return
	case best != nil && p.servesStale(now, best.deadlines(), p.swr):
		c.countStale(f.key)
		ch.fillMemory(p, f.key, best, f.since)
		ch.flights.land(f, best, nil)
		if load != nil {
			c.refresh(ctx, p, f.key, load, best, f.since)
		}
		return
	}
	if f.right == nil && !f.waited { // counted already
		ch.counts.misses.add(1)
		p.stats.misses.add(1)
		if ob := ch.opts.Observer; ob != nil {
			ob.Miss(f.key)
		}
	}
	switch {
	case load != nil:
		c.loadAlone(ctx, f, p, load, best, fd)
	default:
		ch.flights.land(f, nil, fd.failure())
	}
}

// settled lands f with what has come to be known since the reader looked into
// memory and before it claimed f, if that answers it: another flight may have
// landed in between.
func (c *Cache[V]) settled(f *flight, held *object[V], now int64) bool {
	ch := c.chain
	switch {
	case held != nil && now < max(held.fresh, held.hot):
		ch.flights.remove(f)
		if held = c.again(f.key, now); held == nil || now >= max(held.fresh, held.hot) {
			return false // a write, just now
		}
		if now < held.fresh {
			c.hitInMemory(f.key)
		} else {
			c.countStale(f.key)
		}
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
// obj. alone keeps those writers away that hold the key's lock. The finding of the walk
// before is over.
func (c *Cache[V]) lookup(ctx context.Context, f *flight, p *plan, alone, here bool) *finding {
	if alone {
		if k := c.chain.locks.ref(f.key); k.lock(ctx) == nil {
			defer k.unlock()
		}
	}
	fd := f.empty()
	c.chain.walk(ctx, p, f.key, here, fd, func(fd *finding) verdict { return c.judge(ctx, f, p, fd) })
	return fd
}

// judge decodes the entry of a finding into its obj and says what it is good for.
func (c *Cache[V]) judge(ctx context.Context, f *flight, p *plan, fd *finding) verdict {
	now := fd.answered
	if now == 0 || len(fd.entry.Tags) > 0 { // to know the barriers may have taken its time
		c.chain.learn(ctx, fd.entry.Tags)
		now = time.Now().UnixNano()
	}
	return c.appraise(f, p, fd, now)
}

// appraise is judge at a time, when the barriers of the entry's tags are known.
func (c *Cache[V]) appraise(f *flight, p *plan, fd *finding, now int64) verdict {
	if !c.chain.valid(0, fd.entry.Version, fd.entry.Tags) {
		return useless
	}
	l := lifeOf(&fd.entry)
	o, ok := fd.obj.(*object[V])
	if !ok {
		v, err := c.decode(p, f.key, &fd.entry)
		if err != nil {
			c.chain.counts.typeMisses.add(1)
			c.chain.report(&store.Error{Op: "decode", Tier: fd.from, Key: f.key, Err: err})
			return useless
		}
		o = c.object(p, v, l, now, &fd.entry, 0, f.epoch)
	} else if o.fresh < l.fresh || o.expires < l.expires { // memory's bound, counted from the write
		o = c.object(p, o.value, l, now, &fd.entry, o.loadTime(), f.epoch)
	}
	fd.obj, fd.at = o, 0
	if now < l.fresh {
		fd.at = now
		return take
	}
	return stale
}

// arrive lands a value that a tier had, and sends it to the tiers that lacked it.
func (c *Cache[V]) arrive(f *flight, p *plan, fd *finding, o *object[V]) {
	ch := c.chain
	ch.countHit(p, fd.from, f.key)
	if fd.loss == nil { // or every reader puts it back, until that succeeds
		ch.fillMemory(p, f.key, o, f.since)
	}
	ch.flights.land(f, o, nil)
	if len(fd.to) > 0 {
		ch.filler.promote(promotion{key: f.key, entry: fd.entry, stamp: f.since, to: fd.to, private: p.private(fd.from)})
	}
}

func (c *Chain) countHit(p *plan, from, key string) {
	p.stats.hits.add(1)
	for _, t := range p.tiers {
		if t.Name == from {
			t.hits.add(1)
			t.answered.add(1)
		}
	}
	if ob := c.opts.Observer; ob != nil {
		ob.Hit(from, key)
	}
}
