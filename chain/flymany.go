package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// fly does the work of the flights that a batch leads: pending writes, then one
// call a tier, then one load. Those that a write overtook are walked for again. try
// counts the walks, from 1.
//
// here says that a caller walks, who must not be held: loads, and whatever is left
// when his context ends, are returned, to be done apart from him.
func (b *batch[V]) fly(ctx context.Context, items []*item[V], try int, here bool) (rest func(context.Context)) {
	for ; len(items) > 0; try++ {
		missing, left := b.round(ctx, items, try, here)
		var due []*item[V]
		for _, it := range items {
			if it.due != nil {
				due = append(due, &item[V]{key: it.key, p: it.p, held: it.due, seen: it.f.since})
			}
		}
		b.refresh(ctx, due)
		if left { // a tier may have been left because of that
			open := which(items, func(it *item[V]) bool { return !it.f.down })
			return func(ctx context.Context) { b.fly(ctx, open, 1, false) }
		}
		onward := func(ctx context.Context) []*item[V] {
			b.loadAll(ctx, missing)
			return which(items, func(it *item[V]) bool { return it.again })
		}
		if here && len(missing) > 0 {
			return func(ctx context.Context) { b.fly(ctx, onward(ctx), try+1, false) }
		}
		items = onward(ctx)
	}
	return nil
}

// which returns the items that are wanted, in a slice of their own.
func which[V any](items []*item[V], wanted func(*item[V]) bool) (some []*item[V]) {
	for _, it := range items {
		if wanted(it) {
			some = append(some, it)
		}
	}
	return some
}

// round is one try of fly. It returns the items that must be loaded; left says that
// the caller, who walks, has to go.
func (b *batch[V]) round(ctx context.Context, items []*item[V], try int, here bool) (missing []*item[V], left bool) {
	open := make([]*item[V], 0, len(items))
	now := time.Now().UnixNano()
	for _, it := range items {
		it.try, it.again, it.due = try, false, nil
		it.best, it.fd, it.skip = nil, finding{sound: it.near[:0]}, nil
		if it.held = b.c.again(it.key, now); b.c.settled(it.f, it.held, now) {
			continue
		}
		if it.held != nil {
			it.f.offer(it.held)
		}
		if it.try == maxWalks { // one by one, each with its lock
			it.fd = *b.c.lookup(ctx, it.f, it.p, true, here)
			it.best, _ = it.fd.obj.(*object[V])
			it.skip = b.c.chain.bytes
		} else if it.p.owed() && b.fromPending(ctx, it, here) {
			continue
		}
		open = append(open, it)
	}
	for _, t := range b.c.chain.bytes {
		if len(open) == 0 {
			return nil, false
		}
		if here && over(ctx) {
			return nil, true
		}
		open = b.fromTier(ctx, t, open, here)
	}
	if here && over(ctx) {
		return nil, true
	}
	return b.finish(open), false
}

// deliver lands an item with the fresh value that was found for it, unless a write
// overtook it.
func (b *batch[V]) deliver(it *item[V], o *object[V]) {
	if it.again = b.c.overtaken(it.f, it.p, &it.fd, o, b.load != nil, it.try); it.again {
		return
	}
	b.c.arrive(it.f, it.p, &it.fd, o)
	if b.load != nil && it.p.wantsRefresh(it.fd.now(), o.refreshable(), o.version, 0) {
		it.due = o
	}
}

// fromPending answers an item from the writes under way, if it can.
func (b *batch[V]) fromPending(ctx context.Context, it *item[V], here bool) bool {
	ch := b.c.chain
	owed := ch.pending(it.p, it.key)
	if owed.turn(it.p) > 0 { // a tier is to be asked before
		it.fd = *b.c.lookup(ctx, it.f, it.p, false, here)
		it.best, _ = it.fd.obj.(*object[V])
		it.skip = ch.bytes
		return false
	}
	it.skip = owed.by
	ch.owed(&it.fd, owed)
	switch {
	case it.fd.deleted:
		it.held, it.skip = nil, ch.bytes // absent, whatever the tiers hold
	case it.fd.found:
		switch b.c.judge(ctx, it.f, it.p, &it.fd) {
		case take:
			b.deliver(it, it.fd.obj.(*object[V]))
			return true
		case stale:
			it.best, _ = it.fd.obj.(*object[V])
			it.skip = ch.bytes // nothing in a tier is newer
		case useless:
			it.fd = finding{}
		}
	}
	return false
}

// fromTier asks one tier for all open items that it may hold, and returns those
// that stay open.
func (b *batch[V]) fromTier(ctx context.Context, t *tier, items []*item[V], here bool) []*item[V] {
	keys := make([]string, 0, len(items))
	for _, it := range items {
		it.at = placed{}
		for _, p := range it.p.tiers {
			if p.tier == t && !slices.Contains(it.skip, t) {
				keys = append(keys, it.key)
				it.at = p
			}
		}
	}
	if len(keys) == 0 {
		return items
	}
	answers, err := t.getEach(ctx, keys, here, b.room(here))
	defer b.keep(answers, here)
	if here && err != nil && over(ctx) {
		return items // the caller has left: the walk will be done anew
	}
	b.learn(ctx, answers)
	now := time.Now()
	open := items[:0]
	for _, it := range items {
		if it.at.tier == nil {
			open = append(open, it)
			continue
		}
		var a store.Answer // none where the call was not made
		if len(answers) > 0 {
			a, answers = answers[0], answers[1:]
		}
		if !b.answered(it, &a, err, now) {
			open = append(open, it)
		}
	}
	return open
}

// learn sees to it that the barriers of what was found are known.
func (b *batch[V]) learn(ctx context.Context, answers []store.Answer) {
	var tags []string
	for i := range answers {
		tags = append(tags, answers[i].Entry.Tags...)
	}
	if len(tags) > 0 {
		b.c.chain.learn(ctx, tags)
	}
}

// answered judges what the tier that was asked said of one item until now, and reports
// whether that settles it.
func (b *batch[V]) answered(it *item[V], a *store.Answer, err error, now time.Time) bool {
	t := it.at
	kerr := store.KeyError(err, it.key)
	switch {
	case a.Found:
		kerr = nil
	case kerr == nil:
		kerr = store.ErrNotFound
	}
	if !b.c.chain.answer(t, it.key, a.Entry, kerr, &it.fd, now) {
		return false
	}
	it.fd.from = t.Name
	verdict := b.c.appraise(it.f, it.p, &it.fd, now.UnixNano())
	o, _ := it.fd.obj.(*object[V])
	if verdict == take {
		it.fd.to = without(it.fd.sound, t.tier, t.at)
		b.deliver(it, o)
		return true
	}
	it.fd.outdate(t.tier, a.Entry, true)
	if verdict == stale {
		it.best = fresher(it.best, o)
	}
	it.fd.found = false
	return false
}

// finish lands the items that no tier had fresh, stale where the rule allows and
// not found without a loader. It returns those that must be loaded.
func (b *batch[V]) finish(items []*item[V]) (missing []*item[V]) {
	ch := b.c.chain
	for _, it := range items {
		now := it.fd.now()
		if b.c.recall(it.f, it.p, &it.fd, it.best, now) {
			continue
		}
		it.best = usable(&it.fd, it.best, it.held)
		if it.again = b.c.overtaken(it.f, it.p, &it.fd, it.best, b.load != nil, it.try); it.again {
			continue
		}
		if it.best != nil && now < it.best.fresh { // of a last try
			b.c.arrive(it.f, it.p, &it.fd, it.best)
			continue
		}
		if it.best != nil && it.p.servesStale(now, it.best.deadlines(), it.p.swr) {
			b.c.countStale(it.key)
			ch.fillMemory(it.p, it.key, it.best, it.f.since)
			ch.flights.land(it.f, it.best, nil)
			if b.load != nil {
				it.due = it.best
			}
			continue
		}
		ch.counts.misses.add(1)
		it.p.stats.misses.add(1)
		if ob := ch.opts.Observer; ob != nil {
			ob.Miss(it.key)
		}
		if b.load == nil {
			ch.flights.land(it.f, nil, it.fd.failure())
			continue
		}
		missing = append(missing, it)
	}
	return missing
}

// loadAll calls the loader for items and lands them.
func (b *batch[V]) loadAll(ctx context.Context, items []*item[V]) {
	if len(items) == 0 {
		return
	}
	ch := b.c.chain
	keys := make([]string, len(items))
	hard := items[0].p.hard
	for i, it := range items {
		it.walked = it.f.begin(ch)
		keys[i] = it.key
		if it.p.hard > 0 && (hard <= 0 || it.p.hard < hard) {
			hard = it.p.hard
		}
		if it.best != nil {
			it.f.offer(it.best)
		}
	}
	what := keys[0]
	if len(keys) > 1 {
		what = fmt.Sprintf("%s and %d more keys", what, len(keys)-1)
	}
	start := time.Now()
	values, err := guarded(ctx, ch, what, hard, func(ctx context.Context) (map[string]V, error) {
		return b.load(ctx, slices.Clone(keys))
	})
	took := time.Since(start)
	ch.counts.loads.add(1)
	ch.counts.loadTime.observe(took)
	fills := make([]promotion, 0, len(items))
	replace := make(map[string]outdated)
	defer func() {
		for _, it := range items {
			if !it.p.memory {
				ch.flights.remove(it.f)
			}
		}
	}()
	for _, it := range items {
		it.p.countLoad(took, store.KeyError(err, it.key))
		if ob := ch.opts.Observer; ob != nil {
			ob.Load(it.key, took, store.KeyError(err, it.key))
		}
		if e, ok := b.landLoaded(ctx, it, values, err, took); ok {
			fills = append(fills, promotion{key: it.key, entry: e, stamp: it.f.since, to: it.p.fillable(&it.fd)})
			replace[it.key] = it.fd.replace
		}
	}
	ch.fillTiersMany(ctx, fills, replace)
}

// landLoaded lands one item with what the loader said of it.
func (b *batch[V]) landLoaded(ctx context.Context, it *item[V], values map[string]V, err error, took time.Duration) (store.Entry, bool) {
	c, ch := b.c, b.c.chain
	if v, ok := values[it.key]; ok {
		if c.opts.Clone != nil {
			v = c.opts.Clone(v)
		}
		e, ok := c.accept(it.f, it.p, v, WriteOptions{}, took)
		return e, ok && c.encoded(it.p, it.key, v, &e)
	}
	kerr := store.KeyError(err, it.key)
	switch {
	case kerr == nil: // left out: not found, but that was not said
		ch.flights.land(it.f, nil, store.ErrNotFound)
	case errors.Is(kerr, store.ErrNotFound):
		ch.vanished(ctx, it.f, it.p, it.best != nil || len(it.fd.replace) > 0, kerr)
	default:
		ch.counts.loadErrors.add(1)
		c.failed(it.f, it.p, it.best, it.walked, kerr)
	}
	return store.Entry{}, false
}
