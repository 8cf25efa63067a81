package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/stratacache/strata/internal/deadline"
	"github.com/stratacache/strata/store"
)

// Tier is one layer of a chain. Name and Store are required.
type Tier struct {
	// Name is what rules, statistics, errors and metrics call the tier:
	// "memory", "redis", "disk".
	Name string
	// Store is the tier itself. The chain owns it from New on, and closes it.
	// A store that implements store.Objects, as the first tier, holds decoded
	// values; every other one holds bytes.
	Store store.Store
	// WriteBack makes writes to this tier asynchronous, unless a rule's `write`
	// says otherwise.
	WriteBack bool
	// Shared says that other processes use the same tier, as they do Redis. A
	// store.Tombstoner remembers deletes then, so that no process fills in what it
	// loaded before one of another. With Options.Feed, what a shared tier holds is
	// up to date, and what the others hold may have to be forgotten when another
	// process writes.
	Shared bool
	// TTL bounds how long any entry stays in this tier; 0 is no bound.
	TTL time.Duration
	// Timeout bounds each call of the tier; 0 takes Options.TierTimeout, a
	// negative one means none. A call may have up to a sixteenth less.
	Timeout time.Duration

	err    error // of the store's constructor; see Opened
	opened bool  // nobody else holds Store
}

// ErrTierDown is the error of a tier whose circuit breaker is open: it was not
// asked. Test for it with errors.Is.
var ErrTierDown = errors.New("strata: tier is down (circuit breaker open)")

// tier is a Tier with what the chain knows of its health.
type tier struct {
	Tier
	objects store.Objects                // not nil: the memory tier
	filler  store.ObjectFiller           // of objects; nil where there is no such thing
	peek    func(key string) (any, bool) // of objects: GetObject that is no read, where there is such a thing
	sink    Sink                         // not nil: made by FromSink
	index   int                          // place in the chain
	breaker circuitbreaker.CircuitBreaker[any]
	timeout time.Duration
	limit   *deadline.Limit // of timeout; nil: none
	prompt  bool            // a call returns when its context ends
	queue   *queue          // pending writes; nil for the memory tier

	hits, misses, errs, skipped counter
	fills, dropped              counter
	reads, writes               histogram
}

func (c *Chain) newTier(t Tier, i int) (*tier, error) {
	switch {
	case t.Name == "":
		return nil, fmt.Errorf("strata: tier %d has no Name", i)
	case t.Store == nil:
		return nil, fmt.Errorf("strata: tier %q has no Store", t.Name)
	case t.TTL < 0:
		return nil, fmt.Errorf("strata: tier %q has the negative TTL %v", t.Name, t.TTL)
	}
	nt := &tier{Tier: t, index: i, timeout: t.Timeout}
	if nt.timeout == 0 {
		nt.timeout = c.opts.TierTimeout
	}
	if nt.timeout > 0 {
		nt.limit = deadline.NewLimit(nt.timeout)
	}
	if o, ok := t.Store.(store.Objects); ok && i == 0 {
		nt.objects, nt.peek = o, o.GetObject
		if p, ok := t.Store.(store.ObjectPeeker); ok {
			nt.peek = p.PeekObject
		}
		nt.filler, _ = t.Store.(store.ObjectFiller)
		return nt, nil
	}
	if s, ok := t.Store.(*sinkStore); ok {
		nt.sink, nt.Shared = s.Sink, true // the system of record is nobody's own
	}
	if !c.opts.Breaker.Disabled {
		nt.breaker = c.newBreaker(t.Name)
	}
	nt.queue = newQueue(c, nt)
	_, nt.prompt = t.Store.(store.Interruptible)
	return nt, nil
}

// BreakerOptions tune the circuit breaker of each tier.
type BreakerOptions struct {
	// Failures in a row that open the breaker; 0 means 5.
	Failures uint
	// Delay until a tier that was cut off is probed again; 0 means 1 s.
	Delay time.Duration
	// Disabled asks a dead tier on every call.
	Disabled bool
}

// newBreaker returns a breaker that opens after consecutive failures and lets
// one probe at a time through afterwards.
func (c *Chain) newBreaker(name string) circuitbreaker.CircuitBreaker[any] {
	event := func(state string) func(circuitbreaker.StateChangedEvent) {
		return func(circuitbreaker.StateChangedEvent) { c.tierState(name, state) }
	}
	return circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(c.opts.Breaker.Failures).
		WithDelay(c.opts.Breaker.Delay).
		WithSuccessThreshold(1).
		OnOpen(event("open")).OnHalfOpen(event("half-open")).OnClose(event("closed")).
		Build()
}

// state names the breaker's state.
func (t *tier) state() string {
	if t.breaker == nil {
		return "closed"
	}
	return t.breaker.State().String()
}

// closedFor returns how long the breaker will stay open.
func (t *tier) closedFor() time.Duration {
	if t.breaker == nil {
		return 0
	}
	return t.breaker.RemainingDelay()
}

// call runs f against the tier within its timeout, unless its breaker is open,
// and records the outcome, and its time in h unless that is nil. f's error is returned as it is; errors that say
// nothing about the tier's health do not count against it.
func (t *tier) call(ctx context.Context, h *histogram, f func(context.Context) error) error {
	return t.callAs(ctx, h, f, false)
}

// callAs is call. Where impatient is set, the end of ctx is a caller's, who will be
// followed by somebody with more patience: it says nothing about the tier.
func (t *tier) callAs(ctx context.Context, h *histogram, f func(context.Context) error, impatient bool) error {
	if err := ctx.Err(); err != nil {
		return ended(ctx)
	}
	if t.breaker != nil && !t.breaker.TryAcquirePermit() {
		t.skipped.add(1)
		return &store.Error{Op: "call", Tier: t.Name, Err: ErrTierDown}
	}
	start := time.Now()
	tctx := ctx
	if t.limit != nil {
		bounded := t.limit.Context(ctx, start)
		defer bounded.Cancel()
		tctx = bounded
	}
	err := t.guard(tctx, f)
	if h != nil {
		h.observe(time.Since(start))
	}
	t.record(ctx, err, impatient)
	return err
}

// get reads key from t. here says that it is for a caller who must not be held beyond
// the end of ctx.
func (t *tier) get(ctx context.Context, key string, here bool) (e store.Entry, err error) {
	if !t.direct(ctx, here) {
		return readApart(ctx, t, func(ctx context.Context) (store.Entry, error) { return t.Store.Get(ctx, key) })
	}
	err = t.callAs(ctx, &t.reads, func(ctx context.Context) (err error) { // on the stack, unlike one for another goroutine
		e, err = t.Store.Get(ctx, key)
		return err
	}, here)
	return e, err
}

// getEach is get for many keys. The answers lie in room, all of which is zero, if that is
// large enough and nobody can be left behind who still writes into it.
func (t *tier) getEach(ctx context.Context, keys []string, here bool, room []store.Answer) (answers []store.Answer, err error) {
	if !t.direct(ctx, here) {
		return readApart(ctx, t, func(ctx context.Context) ([]store.Answer, error) {
			answers := make([]store.Answer, len(keys))
			return answers, store.GetEach(ctx, t.Store, keys, answers)
		})
	}
	answers = slices.Grow(room[:0], len(keys))[:len(keys)]
	err = t.callAs(ctx, &t.reads, func(ctx context.Context) error { return store.GetEach(ctx, t.Store, keys, answers) }, here)
	return answers, err
}

// direct reports whether a read may be made in the goroutine of who asks for it. A
// caller must not be held beyond the end of ctx: stores that do not promise that are
// called in a goroutine of their own.
func (t *tier) direct(ctx context.Context, here bool) bool {
	return !here || t.prompt || ctx.Done() == nil
}

// readApart calls f, which reads from t for a caller, in a goroutine. It is left behind
// where ctx ends, or the tier's timeout is over.
func readApart[R any](ctx context.Context, t *tier, f func(context.Context) (R, error)) (r R, err error) {
	err = t.callAs(ctx, &t.reads, func(ctx context.Context) (err error) {
		r, err = inGoroutine(ctx, t, f)
		return err
	}, true)
	return r, err
}

func inGoroutine[R any](ctx context.Context, t *tier, f func(context.Context) (R, error)) (R, error) {
	type answer struct {
		r   R
		err error
	}
	done := make(chan answer, 1)
	go func() {
		a := answer{err: errGoexit}
		defer func() { done <- a }()
		var r R
		err := t.guard(ctx, func(ctx context.Context) (err error) {
			r, err = f(ctx)
			return err
		})
		a = answer{r, err}
	}()
	left, late := deadline.Ends(ctx)
	select {
	case a := <-done:
		return a.r, a.err
	case <-left:
	case <-late:
	}
	<-ctx.Done()
	var none R
	return none, ctx.Err()
}

var errGoexit = errors.New("the store ended its goroutine")

// sync asks the tier to make durable what it has taken, within its timeout. The
// breaker is not asked: a tier that has just taken writes is worth the call.
func (t *tier) sync(ctx context.Context) error {
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	return t.guard(ctx, func(ctx context.Context) error { return store.Sync(ctx, t.Store) })
}

// guard turns a panic of a store into an error: a broken tier must not take the
// program down.
func (t *tier) guard(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &store.Error{Op: "call", Tier: t.Name, Err: fmt.Errorf("store panicked: %v", r)}
		}
	}()
	return f(ctx)
}

// record tells the breaker what came out. A caller's own cancellation says
// nothing about the tier, but in the half-open state the permit it took must be
// given back, as a failure.
func (t *tier) record(ctx context.Context, err error, impatient bool) {
	faulty := isFault(err)
	left := faulty && impatient && over(ctx)
	if faulty && !left {
		t.errs.add(1)
	}
	if t.breaker == nil {
		return
	}
	switch {
	case left, faulty && errors.Is(err, context.Canceled) && ctx.Err() != nil:
		if t.breaker.IsHalfOpen() {
			t.breaker.RecordFailure()
		}
	case faulty:
		t.breaker.RecordFailure()
	default:
		t.breaker.RecordSuccess()
	}
}

// isFault reports whether err says that the tier could not do its work, as
// opposed to an answer about a key. A batch that failed for some keys is judged
// by those.
func isFault(err error) bool {
	if err == nil {
		return false
	}
	var be *store.BatchError
	if errors.As(err, &be) {
		for _, e := range be.Errs {
			if isFault(e) {
				return true
			}
		}
		return false
	}
	for _, answer := range []error{
		store.ErrNotFound, store.ErrCorrupt, store.ErrInvalidKey, store.ErrTooLarge,
		store.ErrClosed, store.ErrLeased, errors.ErrUnsupported, ErrTierDown,
	} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// refuses reports whether err means that the tier can never hold the entry, so
// that trying again is of no use.
func refuses(err error) bool {
	return errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrInvalidKey) ||
		errors.Is(err, errors.ErrUnsupported)
}
