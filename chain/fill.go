package chain

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// fillMemory puts obj into the memory tier unless a write of the key began after
// stamp, or memory holds a later version already. It runs in the reader's
// goroutine: whoever found a value has it in memory before it returns.
func (c *Chain) fillMemory(p *plan, key string, obj held, stamp uint64) bool {
	if !p.memory {
		return false
	}
	s := c.fences.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if (s.at > stamp || s.work > 0) && !c.fences.broken {
		c.counts.fenced.add(1)
		return false
	}
	keep := func(old any) bool {
		h, ok := old.(held)
		return ok && c.outranks(h, obj)
	}
	if f := c.memory.filler; f != nil {
		s.fill = c.hlc.Last()
		stored, err := f.FillObject(key, obj, obj.size(), clock.FromNanos(obj.deadlines().expires), keep)
		if err != nil {
			c.memory.refused(c, key, err)
		}
		if !stored {
			return false
		}
	} else {
		if old, ok := c.memory.peek(key); ok && keep(old) {
			return false
		}
		s.fill = c.hlc.Last()
		if !c.memory.put(c, key, obj) {
			return false
		}
	}
	c.countFill(c.memory, key)
	return true
}

// outranks reports whether memory's old object is to stay although obj was found.
// A later version stays unless it has expired, or is suspect. A value that nobody stamped, as
// other programs write them, gives way to a later version that is still fresh
// only: no write of ours has come since it was found.
func (c *Chain) outranks(old, obj held) bool {
	if old.isRetired() || old.ver() <= obj.ver() || old.since() < c.doubtEpoch.Load() || !c.valid(0, old.ver(), old.labels()) {
		return false
	}
	l := old.deadlines()
	end := l.expires
	if obj.ver() == 0 {
		end = l.fresh
	}
	return time.Now().UnixNano() < end
}

// put hands obj to the memory tier. Where memory will not hold it, an older one
// must not stay either.
func (t *tier) put(c *Chain, key string, obj held) bool {
	l := obj.deadlines()
	err := t.objects.SetObject(key, obj, obj.size(), clock.FromNanos(l.expires))
	if err != nil {
		t.refused(c, key, err)
	}
	return err == nil
}

// refused sees to it that memory, which did not take an object of key, holds no older one
// either.
func (t *tier) refused(c *Chain, key string, err error) {
	t.dropped.add(1)
	if derr := t.Store.Delete(context.Background(), key); derr != nil || !refuses(err) {
		c.report(tierError("fill", t.Name, key, err))
	}
}

// promotion is an entry on its way from the tier that had it to the nearer ones
// that had not.
type promotion struct {
	key   string
	entry store.Entry
	stamp uint64
	to    []placed
	right *right // where the entry was loaded under a lease
	// lost is the version of a write that the tiers have lost: they are given nothing, and
	// hold something older, which is to go. 0: they have lost none.
	lost uint64
	// private: a tier of this process's own had the entry, or the queue of one.
	private bool
}

// filler promotes entries into slower tiers behind the readers' backs: in order
// per key, in a bounded queue. A promotion that finds the queue full is dropped:
// the next reader brings it up again.
type filler struct {
	c      *Chain
	jobs   chan promotion
	gate   gate // jobs queued or running
	mu     sync.RWMutex
	closed bool
	once   sync.Once
	done   sync.WaitGroup
}

func newFiller(c *Chain) *filler {
	return &filler{c: c, jobs: make(chan promotion, c.opts.FillQueue)}
}

// promote queues p.
func (f *filler) promote(p promotion) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return
	}
	f.once.Do(func() { f.done.Go(f.run) })
	f.gate.enter()
	select {
	case f.jobs <- p:
	default:
		f.gate.leave()
		for _, t := range p.to {
			t.dropped.add(1)
		}
	}
}

// maxPromotions is how many promotions share a call of a tier. While it runs, their
// keys are locked.
const maxPromotions = 64

func (f *filler) run() {
	batch := make([]promotion, 0, maxPromotions)
	for p := range f.jobs {
		batch = f.gather(append(batch[:0], p))
		if len(batch) == 1 {
			f.c.fillTiers(f.c.ctx, &batch[0], nil)
		} else {
			f.c.fillTiersMany(f.c.ctx, batch, nil)
		}
		for range batch {
			f.gate.leave()
		}
		clear(batch)
	}
}

// gather adds what else is queued, without waiting for more.
func (f *filler) gather(batch []promotion) []promotion {
	for len(batch) < maxPromotions {
		select {
		case p, ok := <-f.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// drain waits for the promotions that were queued when it was called.
func (f *filler) drain(ctx context.Context) error { return f.gate.wait(ctx) }

func (f *filler) close() {
	f.mu.Lock()
	f.closed = true
	close(f.jobs)
	f.mu.Unlock()
	f.done.Wait()
}

// fillTiers writes an entry that was read or loaded into p.to, far to near. The
// key's lock keeps writers away, and the fence says whether one came since the
// entry was read. replace is what tiers are known to hold that must go.
func (c *Chain) fillTiers(ctx context.Context, p *promotion, replace outdated) {
	k := c.locks.ref(p.key)
	if err := k.lock(ctx); err != nil {
		return
	}
	defer k.unlock()
	if p.right != nil && c.fences.open(p.key, p.stamp) && !c.fillLeased(ctx, p) {
		return
	}
	for i := len(p.to) - 1; i >= 0; i-- {
		if p.right != nil && p.right.t == p.to[i].tier {
			continue
		}
		old, _ := replace.in(p.to[i].tier)
		c.fillTier(ctx, p, p.to[i], old)
	}
}

// way is how an entry is written into a tier by who is not its newest writer.
type way int

const (
	conditional   way = iota // unless something newer is there
	exchange                 // the same, but the remnant goes although its age is unknown
	unconditional            // whatever is there is damaged
)

func (r *remnant) way(e store.Entry) way {
	switch {
	case r.t == nil || r.known && r.entry.Version != 0 && store.Newer(e.Version, r.entry.Version):
		return conditional
	case r.known:
		return exchange
	default:
		return unconditional
	}
}

func (c *Chain) fillTier(ctx context.Context, p *promotion, t placed, old remnant) {
	if p.lost != 0 {
		c.undoLoss(ctx, p, t)
		return
	}
	e, ok := t.entryFor(p.entry)
	if !ok || !t.admits(p.key) {
		return
	}
	defer t.queue.letGo(p.key)
	if !c.fences.open(p.key, p.stamp) || !t.remembers(p.stamp) || !c.vouched(p, t.tier) { // asked while no flush can pass
		c.counts.fenced.add(1)
		return
	}
	stored, e := true, c.aged(t.tier, e, p)
	err := t.call(ctx, &t.writes, func(ctx context.Context) (err error) {
		switch old.way(e) {
		case unconditional:
			err = t.Store.Set(ctx, p.key, e)
		case exchange:
			stored, err = store.Replace(ctx, t.Store, p.key, old.entry, e)
		default:
			stored, err = store.Fill(ctx, t.Store, p.key, e)
		}
		if refuses(err) { // what the tier has of the key is older, and would be found again and again
			if derr := t.erase(ctx, p.key, e.Version); derr != nil {
				return derr
			}
		}
		return err
	})
	if err != nil {
		t.dropped.add(1)
		if !errors.Is(err, ErrTierDown) {
			c.report(tierError("fill", t.Name, p.key, err))
		}
		return
	}
	if stored {
		c.countFill(t.tier, p.key)
	}
}

func (c *Chain) countFill(t *tier, key string) {
	t.fills.add(1)
	if c.opts.Observer != nil {
		c.opts.Observer.Fill(t.Name, key)
	}
}

// admits reports whether a fill of key may go into the tier: it is owed nothing
// newer, and is not a sink. Flushes of the key are held until letGo.
func (t *tier) admits(key string) bool { return t.sink == nil && t.queue.holdFree(key) }

// entryFor returns e with the deadlines that t may give it; ok is false for one
// that has expired, which goes into no tier.
func (t placed) entryFor(e store.Entry) (_ store.Entry, ok bool) {
	ok = t.bound(&e, time.Now().UnixNano())
	return e, ok
}

// bound gives e the deadlines that t may give it at now; it reports false for one
// that has expired.
func (t placed) bound(e *store.Entry, now int64) bool {
	if !e.Expires.IsZero() && clock.Nanos(e.Expires) <= now {
		return false
	}
	if t.ttl > 0 {
		lifeOf(e).bounded(now, t.ttl).apply(e)
	}
	return true
}
