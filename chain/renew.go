package chain

import (
	"context"
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// foresee reads, for a refresh of a value that memory holds, what the tiers hold of
// it, where they could not tell afterwards whether that is older than what was
// loaded: under a plain rule, values have no version. It asks those that can replace
// exactly what was read.
func (c *Chain) foresee(ctx context.Context, p *plan, key string) *finding {
	f := &finding{}
	if !p.plain {
		return f
	}
	for _, t := range p.tiers {
		if !t.agesUnknown() {
			f.sound = append(f.sound, t)
			continue
		}
		var e store.Entry
		err := t.call(ctx, &t.reads, func(ctx context.Context) (err error) {
			e, err = t.Store.Get(ctx, key)
			return err
		})
		c.foreseen(f, t, key, e, err)
	}
	return f
}

// agesUnknown reports whether the tier may hold values of which it cannot tell the
// age.
func (t *tier) agesUnknown() bool {
	_, ok := t.Store.(store.Replacer)
	return ok && t.sink == nil
}

func (c *Chain) foreseen(f *finding, t placed, key string, e store.Entry, err error) {
	switch {
	case err == nil && e.Version == 0:
		f.outdate(t.tier, e, true)
	case err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt):
		f.errs = append(f.errs, tierError("get", t.Name, key, err))
		return
	}
	f.sound = append(f.sound, t)
}

// foresee is Chain.foresee for a batch, with one call a tier.
func (b *batch[V]) foresee(ctx context.Context, items []*item[V]) {
	c := b.c.chain
	for _, t := range c.bytes {
		var keys []string
		for _, it := range items {
			if it.p.plain && it.p.placedIn(t) && t.agesUnknown() {
				keys = append(keys, it.key)
			}
		}
		var found map[string]store.Entry
		var err error
		if len(keys) > 0 {
			err = t.call(ctx, &t.reads, func(ctx context.Context) (err error) {
				found, err = store.GetMany(ctx, t.Store, keys)
				return err
			})
		}
		for _, it := range items {
			e, ok := found[it.key]
			kerr := store.KeyError(err, it.key)
			switch {
			case !it.p.plain:
				continue
			case ok:
				kerr = nil
			case kerr == nil:
				kerr = store.ErrNotFound
			}
			for _, own := range it.p.tiers {
				if own.tier == t {
					c.foreseen(&it.fd, own, it.key, e, kerr)
				}
			}
		}
	}
}

func (p *plan) placedIn(t *tier) bool {
	for _, own := range p.tiers {
		if own.tier == t {
			return true
		}
	}
	return false
}

// renew lands f with best under new deadlines: memory's object shares its value,
// and the tiers that can are told the deadlines without being sent the value.
func (c *Cache[V]) renew(ctx context.Context, f *flight, p *plan, w WriteOptions, best *object[V], fd *finding, took time.Duration) {
	ch := c.chain
	now := time.Now().UnixNano()
	l := p.lifeFor(now, w.TTL)
	e := store.Entry{Version: f.since, Tags: best.tags()}
	if w.Tags != nil {
		e.Tags = p.tagsFor(f.key, w.Tags)
	}
	l.apply(&e)
	o := c.object(p, best.value, l, now, &e, took, f.epoch)
	o.cost = best.cost
	o.markLoaded(ch)
	ch.fillMemory(p, f.key, o, f.since)
	ch.flights.land(f, o, nil)

	r := &renewal{c: ch, promotion: promotion{key: f.key, entry: e, stamp: f.since, to: p.fillable(fd), right: f.right}}
	r.old, r.loaded, r.tags = best.version, best.loaded(), w.Tags != nil
	r.whole = func() (store.Entry, error) {
		x, err := c.encode(p, f.key, best.value)
		l.apply(&x)
		x.Version, x.Tags = e.Version, e.Tags
		return x, err
	}
	r.run(ctx, fd.replace)
}

// renewal is a promotion whose tiers are likely to hold the value already.
type renewal struct {
	promotion
	c      *Chain
	old    uint64 // the version of what they should hold
	loaded bool   // that was loaded, see aged
	tags   bool   // the tags are to change too, which takes the whole entry
	whole  func() (store.Entry, error)
}

func (r *renewal) run(ctx context.Context, replace outdated) {
	if len(r.to) == 0 {
		return
	}
	rest := r.to
	if r.right == nil && !r.tags { // under a lease, the whole fill is what is fenced
		rest = r.touchAll(ctx, replace)
	}
	if len(rest) == 0 {
		return
	}
	e, err := r.whole()
	if err != nil {
		r.c.report(err)
		return
	}
	p := r.promotion
	p.entry, p.to = e, rest
	r.c.fillTiers(ctx, &p, replace)
}

// touchAll renews the deadlines in the tiers, far to near, and returns those that
// need the whole entry, in the order of the plan.
func (r *renewal) touchAll(ctx context.Context, replace outdated) (rest []placed) {
	c := r.c
	k := c.locks.ref(r.key)
	if k.lock(ctx) != nil {
		return nil
	}
	defer k.unlock()
	touched := make([]bool, len(r.to))
	for i := len(r.to) - 1; i >= 0; i-- {
		old := store.Entry{Version: r.old}
		if r.loaded && c.ages(r.to[i].tier) {
			old.Version = loadedAs(r.old)
		}
		if x, ok := replace.in(r.to[i].tier); ok && x.known {
			old = x.entry
		}
		touched[i] = r.touch(ctx, r.to[i], old)
	}
	for i, t := range r.to {
		if !touched[i] {
			rest = append(rest, t)
		}
	}
	return rest
}

func (r *renewal) touch(ctx context.Context, t placed, old store.Entry) (done bool) {
	toucher, ok := t.Store.(store.Toucher)
	e, live := t.entryFor(r.entry)
	if !ok || !live || !t.admits(r.key) {
		return false
	}
	e = r.c.aged(t.tier, e, &r.promotion)
	defer t.queue.letGo(r.key)
	if !r.c.fences.open(r.key, r.stamp) {
		return false // the fill will find out too, and count it
	}
	err := t.call(ctx, &t.writes, func(ctx context.Context) (err error) {
		done, err = toucher.Touch(ctx, r.key, old, e)
		return err
	})
	if err != nil && !errors.Is(err, ErrTierDown) {
		r.c.report(tierError("touch", t.Name, r.key, err))
	}
	if done {
		r.c.countFill(t.tier, r.key)
	}
	return done
}
