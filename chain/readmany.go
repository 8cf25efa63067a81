package chain

import (
	"context"
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
	c       *Cache[V]
	load    BatchLoader[V]
	waiting map[string]*flight // all flights that this call waits for
	led     []*item[V]         // those that it leads
}

// item is one key of a batch on its way.
type item[V any] struct {
	key  string
	p    *plan
	f    *flight
	held *object[V] // memory's own, past its soft deadline or due for a refresh
	seen uint64     // latest version of the process when held was read
	fd   finding
	best *object[V]
	skip []*tier

	walked moment     // before the load
	try    int        // which walk this is
	again  bool       // a write overtook it
	due    *object[V] // was served, and is to be loaded anew in the background
}

func (c *Cache[V]) getMany(ctx context.Context, keys []string, load BatchLoader[V]) (Results[V], error) {
	objs, err := c.objectsOf(ctx, keys, load)
	results := make(Results[V], len(keys))
	for key, r := range objs {
		v, err := c.value(r.Value, r.Err)
		results[key] = Result[V]{Value: v, Err: err}
	}
	if err != nil {
		return results, err
	}
	return results, results.Err()
}

// objectsOf is GetMany before the values are handed out. The error says why
// nothing could be asked.
func (c *Cache[V]) objectsOf(ctx context.Context, keys []string, load BatchLoader[V]) (Results[*object[V]], error) {
	results := make(Results[*object[V]], len(keys))
	if c.chain.closed.Load() {
		return results, store.ErrClosed
	}
	if ctx.Err() != nil {
		return results, ended(ctx)
	}
	b := &batch[V]{c: c, load: load, waiting: make(map[string]*flight)}
	var due []*item[V]
	began := time.Now()
	now := began.UnixNano()
	for _, key := range keys {
		if _, done := results[key]; done || b.waiting[key] != nil {
			continue
		}
		if o := c.peek(key); o != nil {
			results[key] = Result[*object[V]]{Value: o}
			continue
		}
		if r, it := b.begin(key, now); it == nil {
			results[key] = r
		} else if it.f == nil {
			results[key] = r
			due = append(due, it)
		}
	}
	b.depart(ctx, b.led)
	b.refresh(ctx, due)
	for key, f := range b.waiting {
		o, err := c.await(ctx, f, c.chain.plan(key), load != nil, began)
		results[key] = Result[*object[V]]{Value: o, Err: err}
	}
	return results, nil
}

// begin answers key from memory, or joins or leads a flight for it. An item
// without a flight was answered and is due for a refresh.
func (b *batch[V]) begin(key string, now int64) (Result[*object[V]], *item[V]) {
	c, ch := b.c, b.c.chain
	if err := ch.check(key); err != nil {
		return Result[*object[V]]{Err: err}, nil
	}
	p, seen := ch.plan(key), ch.hlc.Last()
	o, due := c.inMemory(p, key, now, b.load != nil)
	switch {
	case o != nil && due == serving:
		return Result[*object[V]]{Value: o}, nil
	case o != nil && due == refreshing:
		return Result[*object[V]]{Value: o}, &item[V]{key: key, p: p, held: o, seen: seen}
	}
	if o := c.pending(p, key, now); o != nil {
		return Result[*object[V]]{Value: o}, nil
	}
	if ch.absent.has(key, now) {
		ch.counts.negative.add(1)
		return Result[*object[V]]{Err: store.ErrNotFound}, nil
	}
	f, leader := ch.flights.claim(flightKey{key, c.typ, b.load != nil}, ch)
	b.waiting[key] = f
	it := &item[V]{key: key, p: p, f: f}
	if leader {
		b.led = append(b.led, it)
	}
	return Result[*object[V]]{}, it
}

// depart walks and loads for the items that this call leads, apart from it: its
// flights have other waiters.
func (b *batch[V]) depart(ctx context.Context, items []*item[V]) {
	if len(items) == 0 {
		return
	}
	ch := b.c.chain
	if b.load == nil && ctx.Done() == nil {
		defer ch.rescue(flightsOf(items)...)
		b.fly(ctx, items)
		return
	}
	ch.work.enter()
	go func() {
		defer ch.work.leave()
		defer ch.rescue(flightsOf(items)...)
		fctx, cancel := ch.detach(ctx)
		defer cancel()
		b.fly(fctx, items)
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
	ch.work.enter()
	go func() {
		defer ch.work.leave()
		defer ch.rescue(flightsOf(led)...)
		fctx, cancel := ch.detach(ctx)
		defer cancel()
		var renew, anew []*item[V]
		for _, it := range led {
			best, done := b.c.renewable(it.f, it.held, it.seen)
			if it.best = best; best != nil {
				renew = append(renew, it)
			} else if !done {
				anew = append(anew, it)
			}
		}
		b.foresee(fctx, renew)
		b.loadAll(fctx, renew)
		b.fly(fctx, anew)
	}()
}

func flightsOf[V any](items []*item[V]) []*flight {
	fs := make([]*flight, len(items))
	for i, it := range items {
		fs[i] = it.f
	}
	return fs
}
