package chain

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// attempt is a load of one key. The loader runs in the goroutine of the flight, and
// whoever is first goes on with that: the loader, when it returns, or the end of its
// context. A loader that ignores its context is left behind: what it returns is
// dropped, and it keeps its place among the MaxLoads until then.
type attempt[V any] struct {
	c     *Cache[V]
	ctx   context.Context // of the flight
	f     *flight
	p     *plan
	best  *object[V] // the stale value at hand, or nil
	seen  moment     // of best
	fd    *finding   // what the tiers said
	start time.Time
}

// turn says who works on a flight that loads.
type turn struct{ atomic.Int32 }

const (
	returned int32 = iota + 1 // the loader has, in time
	overdue                   // it was left behind; who noticed that goes on
)

func (t *turn) take(by int32) bool { return t.CompareAndSwap(0, by) }

// left reports whether f is somebody else's, because its loader was left behind.
// Only the goroutine of the loader asks.
func (f *flight) left() bool { return f.turn.Load() == overdue }

// load calls the loader for f and lands what comes of it, unless f has been left
// when it returns. best is the stale value at hand, fd what the tiers said.
func (c *Cache[V]) load(ctx context.Context, f *flight, p *plan, load loader[V], best *object[V], fd *finding) {
	a := &attempt[V]{c: c, ctx: ctx, f: f, p: p, best: best, seen: f.begin(c.chain), fd: fd}
	r := Request[V]{Key: f.key}
	if best != nil {
		f.offer(best)
		r.Stale, r.HasStale, r.Written = c.give(best), true, clock.Time(best.version)
	}
	a.start = time.Now()
	ctx, cancel := within(ctx, p.hard)
	if err := c.chain.place(ctx, f.key); err != nil {
		cancel()
		a.end(Loaded[V]{}, err)
		return
	}
	stop := context.AfterFunc(ctx, func() { a.expire(ctx) })
	a.call(ctx, load, r, func() {
		<-c.chain.loading
		stop()
		cancel()
	})
}

// call calls the loader. What follows is deferred, because the loader may panic or
// end the goroutine.
func (a *attempt[V]) call(ctx context.Context, load loader[V], r Request[V], done func()) {
	var res Loaded[V]
	var err error
	back := false
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Key: a.f.key, Value: v, Stack: debug.Stack()}
		} else if !back {
			err = &PanicError{Key: a.f.key, Value: "runtime.Goexit called"}
		}
		done()
		if a.f.turn.take(returned) {
			a.end(res, err)
		}
	}()
	res, err = load(ctx, r)
	back = true
}

// expire ends the attempt in the loader's place, whose context ctx has ended.
func (a *attempt[V]) expire(ctx context.Context) {
	if !a.f.turn.take(overdue) {
		return
	}
	ch := a.c.chain
	defer ch.work.leave()
	defer func() { ch.rescued(recover(), []*flight{a.f}) }()
	defer ch.giveBack(a.ctx, a.f)
	a.end(Loaded[V]{}, fmt.Errorf("strata: load of %q: %w", a.f.key, ended(ctx)))
}

// end lands the flight with what came of the load.
func (a *attempt[V]) end(res Loaded[V], err error) {
	c, ch, f, p := a.c, a.c.chain, a.f, a.p
	took := time.Since(a.start)
	ch.counts.loads.add(1)
	ch.counts.loadTime.observe(took)
	p.countLoad(took, err)
	if ob := ch.opts.Observer; ob != nil {
		ob.Load(f.key, took, err)
	}
	switch {
	case err == nil:
		c.loaded(a.ctx, f, p, res, a.best, a.seen, a.fd, took)
	case errors.Is(err, store.ErrNotFound):
		ch.vanished(a.ctx, f, p, a.best != nil || len(a.fd.replace) > 0, err)
	default:
		ch.counts.loadErrors.add(1)
		c.failed(f, p, a.best, a.seen, err)
	}
}

// within returns ctx with an end after d; d <= 0 is none.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// place waits for a place among the MaxLoads, which is given back by a receive. what
// names the load in errors.
func (c *Chain) place(ctx context.Context, what string) error {
	select {
	case c.loading <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.loading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("strata: load of %q waited for one of %d places: %w", what, cap(c.loading), ended(ctx))
	}
}

// guarded calls a loader of many keys within hard (0: no bound of its own), apart
// from its caller, who leaves it behind as an attempt does.
func guarded[R any](ctx context.Context, ch *Chain, what string, hard time.Duration, load func(context.Context) (R, error)) (R, error) {
	var zero R
	ctx, cancel := within(ctx, hard)
	defer cancel()
	if err := ch.place(ctx, what); err != nil {
		return zero, err
	}
	type result struct {
		r   R
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-ch.loading }()
		var res result
		res.err = &PanicError{Key: what, Value: "runtime.Goexit called"}
		defer func() { done <- res }()
		defer func() {
			if v := recover(); v != nil {
				res.err = &PanicError{Key: what, Value: v, Stack: debug.Stack()}
			}
		}()
		res.r, res.err = load(ctx)
	}()
	select {
	case res := <-done:
		return res.r, res.err
	case <-ctx.Done():
		return zero, fmt.Errorf("strata: load of %q: %w", what, ended(ctx))
	}
}
