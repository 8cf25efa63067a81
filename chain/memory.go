package chain

import "time"

// duty is what must happen to an object found in memory.
type duty int

const (
	serving    duty = iota // it can be served as it is
	refreshing             // it can be served, and a refresh is due
	thinking               // it cannot be served before the tiers or the loader were asked
)

// inMemory returns the object of key, if it is of our type, has not passed its
// hard deadline and is not covered by an invalidation, and what is to be done. It
// counts what can be served.
func (c *Cache[V]) inMemory(p *plan, key string, now int64, loads bool) (*object[V], duty) {
	o, otherType := c.sound(key, now)
	if otherType {
		c.chain.counts.typeMisses.add(1)
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

// sound returns the object of key unless it cannot be served in any way.
func (c *Cache[V]) sound(key string, now int64) (o *object[V], otherType bool) {
	if c.objects == nil {
		return nil, false
	}
	x, ok := c.objects.GetObject(key)
	if !ok {
		return nil, false
	}
	o, ok = x.(*object[V])
	if !ok {
		return nil, true
	}
	epoch := c.chain.epoch.Load() // before the barriers are read, or a new one could be missed
	if now >= o.expires || o.epoch.Load() < c.chain.doubtEpoch.Load() || !c.chain.valid(o.epoch.Load(), o.version, o.tags()) {
		return nil, false
	}
	o.epoch.Store(epoch)
	return o, false
}

// again reads memory anew for a flight that has been claimed, when what was read
// before may be out of date: another flight may have filled memory since, or a
// write changed it. A write that ends after the claim is kept apart by the
// flight's stamp.
func (c *Cache[V]) again(key string) *object[V] {
	o, _ := c.sound(key, time.Now().UnixNano())
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
