package chain

// duty is what must happen to an object found in memory.
type duty int

const (
	serving    duty = iota // it can be served as it is
	refreshing             // it can be served, and a refresh is due
	thinking               // it cannot be served before the tiers or the loader were asked
)

// inMemory returns the object of key, if it is of our type, has not passed its
// hard deadline and is not covered by an invalidation, and what is to be done. It
// counts what can be served. Where nothing was held just now, it does not look.
func (c *Cache[V]) inMemory(p *plan, key string, held bool, now int64, loads bool) (*object[V], duty) {
	if !held {
		return c.weigh(p, key, nil, false, now, loads)
	}
	o, otherType := c.look(key, false)
	return c.weigh(p, key, o, otherType, now, loads)
}

// weigh is inMemory for what a look has found.
func (c *Cache[V]) weigh(p *plan, key string, o *object[V], otherType bool, now int64, loads bool) (*object[V], duty) {
	if otherType {
		c.chain.counts.typeMisses.add(1)
	}
	if o != nil && !c.sound(o, now) {
		o = nil
	}
	switch {
	case o == nil:
		if p.memory {
			c.chain.memory.misses.add(1)
		}
		return nil, thinking
	case now < o.fresh:
		c.hitInMemory(key)
		if loads && now >= o.hot && p.wantsRefresh(now, o.refreshable(), o.version, o.loadTime()) {
			return o, refreshing
		}
		return o, serving
	case now < o.hot: // a load has failed not long ago
		c.countStale(key)
		return o, serving
	case loads && p.servesStale(now, o.deadlines(), p.swr):
		c.countStale(key)
		return o, refreshing
	default:
		return o, thinking
	}
}

// look returns the object that memory holds under key, whatever its state. Where it
// is a read, it counts as one; of a look that follows another it does not.
func (c *Cache[V]) look(key string, read bool) (o *object[V], otherType bool) {
	if c.objects == nil {
		return nil, false
	}
	var x any
	var ok bool
	if read {
		x, ok = c.objects.GetObject(key)
	} else {
		x, ok = c.chain.memory.peek(key)
	}
	if !ok {
		return nil, false
	}
	o, ok = x.(*object[V])
	return o, !ok
}

// sound reports whether an object can be served in any way.
func (c *Cache[V]) sound(o *object[V], now int64) bool {
	epoch := c.chain.epoch.Load() // before the barriers are read, or a new one could be missed
	was := o.epoch.Load()
	if was == retired || now >= o.expires || was < c.chain.doubtEpoch.Load() || !c.chain.valid(was, o.version, o.tags()) {
		return false
	}
	if was != epoch {
		o.epoch.CompareAndSwap(was, epoch) // a write may retire it just now
	}
	return true
}

// pending returns the decoded value of a write that waits for its tiers, if that
// answers a read: it is of our type, fresh, and covered by no invalidation. It is
// the short way to what a walk would find, for plans whose writes put their slots
// in place under the stripe's lock.
func (c *Cache[V]) pending(p *plan, key string, now int64) *object[V] {
	ch := c.chain
	if !p.memory || !p.backOnly() || !p.owed() {
		return nil
	}
	s := ch.fences.of(key)
	s.mu.Lock()
	var newest held
	if s.busy == 0 {
		newest = p.newest(key)
	}
	s.mu.Unlock()
	o, ok := newest.(*object[V])
	if !ok || now >= o.hot {
		return nil
	}
	epoch := ch.epoch.Load()
	was := o.epoch.Load()
	if was == retired || was < ch.doubtEpoch.Load() || !ch.valid(was, o.version, o.tags()) {
		return nil
	}
	o.epoch.CompareAndSwap(was, epoch)
	ch.counts.pendingHits.add(1)
	if ob := ch.opts.Observer; ob != nil {
		ob.Hit("pending", key)
	}
	return o
}

// owed reports whether any tier of the plan has something pending.
func (p *plan) owed() bool {
	for i := range p.tiers {
		if p.tiers[i].queue.n.Load() > 0 {
			return true
		}
	}
	return false
}

// newest returns the decoded value of the newest pending write of key, nil where
// that is a delete, or where a nearer tier that is shared and owed nothing is to be
// asked before; see owed.turn.
func (p *plan) newest(key string) (obj held) {
	var version uint64
	ask := false
	for i := range p.tiers {
		o, v := p.tiers[i].queue.object(key)
		switch {
		case v > version && ask:
			return nil
		case v > version:
			obj, version = o, v
		case v == 0 && p.tiers[i].Shared:
			ask = true
		}
	}
	return obj
}

// again reads memory anew for a flight that has been claimed, when what was read
// before may be out of date: another flight may have filled memory since, or a
// write changed it. A write that ends after the claim is kept apart by the
// flight's stamp.
func (c *Cache[V]) again(key string, now int64) *object[V] {
	o, _ := c.look(key, false)
	if o == nil || !c.sound(o, now) {
		return nil
	}
	return o
}

// holds reports whether o, which was read when seen was the latest version of
// the process, is still what the key may be: no write has begun since, and no
// invalidation covers it.
func (c *Cache[V]) holds(o *object[V], key string, seen uint64) bool {
	return c.chain.fences.open(key, seen) && c.chain.valid(o.epoch.Load(), o.version, o.tags())
}

func (c *Cache[V]) hitInMemory(key string) {
	c.chain.memory.hits.add(1)
	if ob := c.chain.opts.Observer; ob != nil {
		ob.Hit(c.chain.memory.Name, key)
	}
}

func (c *Cache[V]) countStale(key string) {
	c.chain.counts.stale.add(1)
	if ob := c.chain.opts.Observer; ob != nil {
		ob.Stale(key)
	}
}
