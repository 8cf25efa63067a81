package chain

import (
	"context"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// BatchLoader loads many keys in one call. It returns what it found; a key that
// is neither in the map nor in a *store.BatchError is not found, for this call
// only. A *store.BatchError whose error for a key is store.ErrNotFound says so
// explicitly, which is remembered for the rule's negative_ttl. Any other error
// counts for every key that is not in the map.
type BatchLoader[V any] = func(ctx context.Context, missing []string) (map[string]V, error)

// GetMany returns the outcome of each key: a value, not found, or an error. Each
// tier is asked once, for what the nearer ones lacked. The error is that of
// Results.Err, or says why nothing could be asked.
func (c *Cache[V]) GetMany(ctx context.Context, keys []string) (Results[V], error) {
	return c.getMany(ctx, keys, nil)
}

// GetOrLoadMany is GetMany that calls load, once, with the keys that no tier has
// and no other call is loading. Concurrent batches that share keys share their
// loads key by key. What load returned is kept even where it also failed.
func (c *Cache[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, missing []string) (map[string]V, error)) (Results[V], error) {
	return c.getMany(ctx, keys, load)
}

// batch is the part of a GetMany that memory could not answer.
type batch[V any] struct {
	c     *Cache[V]
	load  BatchLoader[V]
	waits []*item[V] // those of which this call awaits the flight
	led   int        // how many of them it leads
	due   []*item[V] // were answered from memory, and are to be loaded anew
	stock *stock[V]
	apart bool // some of its items have gone to a goroutine of their own
}

// item is one key of a batch on its way.
type item[V any] struct {
	key   string
	p     *plan
	f     *flight
	leads bool       // the call leads f
	held  *object[V] // memory's own, past its soft deadline or due for a refresh
	seen  uint64     // latest version of the process when held was read
	fd    finding
	best  *object[V]
	skip  []*tier
	at    placed    // the tier that is being asked, where this is asked for
	near  [1]placed // for the finding

	walked moment     // before the load
	try    int        // which walk this is
	again  bool       // a write overtook it
	due    *object[V] // was served, and is to be loaded anew in the background
}

func (c *Cache[V]) getMany(ctx context.Context, keys []string, load BatchLoader[V]) (Results[V], error) {
	results, err := collect(ctx, c, keys, load, c.value)
	if err != nil {
		return results, err
	}
	return results, results.Err()
}

// collect is GetMany with give to hand the values out. The error says why nothing
// could be asked.
func collect[V, R any](ctx context.Context, c *Cache[V], keys []string, load BatchLoader[V], give func(*object[V], error) (R, error)) (Results[R], error) {
	results := make(Results[R], len(keys))
	if c.chain.closed.Load() {
		return results, store.ErrClosed
	}
	if ctx.Err() != nil {
		return results, ended(ctx)
	}
	b := &batch[V]{c: c, load: load}
	defer b.giveBack()
	began := time.Now()
	now := began.UnixNano()
	for i, key := range keys {
		r, waits, err := b.begin(key, now, len(keys)-i)
		if waits {
			continue
		}
		v, err := give(r, err)
		results[key] = Result[R]{Value: v, Err: err}
	}
	b.depart(ctx, b.leads())
	b.refresh(ctx, b.due)
	for _, it := range b.waits {
		v, err := give(c.await(ctx, it.f, it.p, load != nil, began))
		results[it.key] = Result[R]{Value: v, Err: err}
	}
	return results, nil
}

// begin answers key from memory, or joins or leads a flight for it, which is then
// to be awaited. At most more keys are to come, this one among them.
func (b *batch[V]) begin(key string, now int64, more int) (o *object[V], waits bool, err error) {
	c, ch := b.c, b.c.chain
	seen := ch.hlc.Last()
	o, otherType := c.look(key, true)
	if o != nil && now < o.hot && c.hot(key, o) { // no look at another clock for what has expired
		return o, false, nil
	}
	if err := ch.check(key); err != nil {
		return nil, false, err
	}
	p := ch.plan(key)
	o, due := c.weigh(p, key, o, otherType, now, b.load != nil)
	switch {
	case o != nil && due == refreshing:
		it := b.item()
		it.key, it.p, it.held, it.seen = key, p, o, seen
		b.due = append(b.due, it)
		fallthrough
	case o != nil && due == serving:
		return o, false, nil
	}
	if o := c.pending(p, key, now); o != nil {
		return o, false, nil
	}
	if ch.absent.has(key, now) {
		ch.counts.negative.add(1)
		return nil, false, store.ErrNotFound
	}
	it := b.item()
	own := b.flight()
	it.f, it.leads = ch.flights.claimAt(flightKey{key, c.typ, b.load != nil}, ch, own, now)
	it.key, it.p = key, p
	if b.waits == nil {
		b.waits = make([]*item[V], 0, more)
	}
	b.waits = append(b.waits, it)
	if it.leads {
		b.led++
	}
	return nil, true, nil
}

// leads returns those items of which this call leads the flight.
func (b *batch[V]) leads() []*item[V] {
	if b.led == len(b.waits) {
		return b.waits
	}
	return which(b.waits, func(it *item[V]) bool { return it.leads })
}

// depart does the work on the flights that this call leads: in the caller's own
// goroutine as far as that may be, as for a single key.
func (b *batch[V]) depart(ctx context.Context, items []*item[V]) {
	if len(items) == 0 {
		return
	}
	if b.load != nil && slices.ContainsFunc(items, func(it *item[V]) bool { return it.p.soft > 0 }) {
		b.away(ctx, items, func(ctx context.Context) { b.fly(ctx, items, 1, false) })
		return
	}
	if b.load != nil || ctx.Done() != nil {
		b.c.chain.work.enter()
		defer b.c.chain.work.leave()
	}
	if rest := b.flyHere(ctx, items); rest != nil {
		b.away(ctx, items, rest)
	}
}

// flyHere is fly in the goroutine of the caller. It returns what is left to be
// done, nil if all flights have landed.
func (b *batch[V]) flyHere(ctx context.Context, items []*item[V]) (rest func(context.Context)) {
	handed := false
	defer b.c.chain.rescueHere(&handed, flightsOf(items)...)
	rest = b.fly(ctx, items, 1, true)
	handed = rest != nil
	return rest
}

// away runs work on items in a goroutine, with a context that outlives the
// caller's: their flights have other waiters.
func (b *batch[V]) away(ctx context.Context, items []*item[V], work func(context.Context)) {
	b.apart = true
	for _, it := range items {
		it.f.shared()
	}
	ch := b.c.chain
	ch.work.enter()
	go func() {
		defer ch.work.leave()
		defer ch.rescue(flightsOf(items)...)
		work(ch.detach(ctx))
	}()
}

// refresh loads in the background what was served although a refresh was due.
func (b *batch[V]) refresh(ctx context.Context, due []*item[V]) {
	if len(due) == 0 {
		return
	}
	ch := b.c.chain
	led := due[:0]
	for _, it := range due {
		f, leader := ch.flights.claim(flightKey{it.key, b.c.typ, true}, ch)
		if leader {
			it.f = f
			led = append(led, it)
		}
	}
	if len(led) == 0 {
		return
	}
	b.away(ctx, led, func(ctx context.Context) {
		var renew, anew []*item[V]
		for _, it := range led {
			best, done := b.c.renewable(it.f, it.held, it.seen)
			if it.best = best; best != nil {
				renew = append(renew, it)
			} else if !done {
				anew = append(anew, it)
			}
		}
		b.foresee(ctx, renew)
		b.loadAll(ctx, renew)
		b.fly(ctx, anew, 1, false)
	})
}

func flightsOf[V any](items []*item[V]) []*flight {
	fs := make([]*flight, len(items))
	for i, it := range items {
		fs[i] = it.f
	}
	return fs
}
