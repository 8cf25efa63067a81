package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// Chain composes tiers into one cache. Create it with New, read and write
// through a typed view made by NewCache, and end it with Close. It is safe for
// concurrent use.
type Chain struct {
	opts     Options
	tiers    []*tier
	memory   *tier // the first tier, where it holds objects; else nil
	bytes    []*tier
	policies *policy.Set
	plans    map[*policy.Rule]*plan
	unruled  *plan
	leases   bool // some rule loads under a lease
	shares   bool // some tier is shared

	hlc      clock.HLC
	now      *clock.Coarse
	epoch    atomic.Uint64 // raised by every invalidation: older objects must be looked at
	fences   fences
	barriers barriers
	locks    keyLocks
	flights  flights
	filler   *filler
	ledger   *ledger // nil without a journal
	keeps    bool    // set by tests only, which must notice
	absent   *absences
	notices  *notices    // nil without a feed
	known    []knownKeys // by stripe; nil without a feed

	doubt      atomic.Uint64 // what was held before this version is suspect
	doubtEpoch atomic.Uint64
	loading    chan struct{} // one token a running loader

	ctx     context.Context // of work that outlives its caller
	cancel  context.CancelCauseFunc
	closing chan struct{} // closed when Close begins
	stop    chan struct{} // closed when the queues are drained
	closed  atomic.Bool
	once    sync.Once
	work    gate // flights in the background
	loops   sync.WaitGroup

	counts counts
}

// Options configure a Chain. The zero value, and a nil pointer, mean the
// defaults.
type Options struct {
	// DefaultTTL is the time to live of keys that no rule matches; 0 means
	// 5 minutes, a negative value means that they never expire.
	DefaultTTL time.Duration
	// TierTimeout bounds each call of a tier that sets no Timeout; 0 means
	// 5 seconds, negative means none. It must be longer than what a busy machine
	// holds up a sound tier, or the circuit breaker takes that for a fault.
	TierTimeout time.Duration
	// LoadTimeout bounds loads of rules without hard_timeout; 0 means 30
	// seconds, negative means none.
	LoadTimeout time.Duration
	// MaxLoads bounds the loaders that run at once, those that ignore their
	// context and were given up included; 0 means 1,024.
	MaxLoads int
	// StaleBackoff is how long a value that was served because its load failed
	// is served before the load is tried again; 0 means 5 seconds.
	StaleBackoff time.Duration
	// NegativeEntries bounds the keys remembered as not found; 0 means 16,384.
	NegativeEntries int
	// FillQueue bounds the promotions that wait for a slower tier; more are
	// dropped and counted. 0 means 1,024.
	FillQueue int
	// Breaker tunes the circuit breaker of each tier.
	Breaker BreakerOptions
	// Pending bounds the queues of write-back and repair.
	Pending PendingOptions
	// Feed tells other processes of this one's writes and this one of theirs; nil
	// is none, and then what others write is noticed when it expires here.
	Feed store.Feed
	// FeedTimeout bounds each Publish, and how long New waits to be told what others
	// did while this process was down, before its own tiers are believed; 0 means 5
	// seconds.
	FeedTimeout time.Duration
	// Keyrings are the key rings that rules name in `encrypt`. Values are
	// encrypted in every tier that holds bytes, and in clear in memory.
	Keyrings map[string]*marshal.Keyring
	// Logger receives state changes and errors; nil is silent.
	Logger *slog.Logger
	// OnError is called for every error of a tier that a caller may not see,
	// from the goroutine in which it happened: it must be quick and must not
	// call the chain. Nil is no call.
	OnError func(error)
	// Observer is told of hits, misses, loads and more; nil costs nothing.
	Observer Observer
}

// New returns a chain of tiers, nearest first, under policies (nil: no rules).
// The chain owns the tiers' stores and closes them in Close; where New fails they
// stay the caller's, but for those that came by Opened.
func New(tiers []Tier, policies *policy.Set, opts *Options) (*Chain, error) {
	err := openErrors(tiers)
	if err == nil {
		var c *Chain
		if c, err = compose(tiers, policies, opts); err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, closeOpened(tiers))
}

func compose(tiers []Tier, policies *policy.Set, opts *Options) (*Chain, error) {
	c := &Chain{policies: policies, closing: make(chan struct{}), stop: make(chan struct{})}
	c.hlc.Origin = 1 + uint16(rand.UintN(1<<15-1)) // 0 is for what is loaded, see aged; the other half is room to count
	if opts != nil {
		c.opts = *opts
	}
	if err := c.opts.complete(); err != nil {
		return nil, err
	}
	if len(tiers) == 0 {
		return nil, errors.New("strata: a chain needs at least one tier")
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	for i, t := range tiers {
		for _, other := range tiers[:i] {
			if other.Name == t.Name {
				c.cancel(store.ErrClosed)
				return nil, fmt.Errorf("strata: two tiers are named %q", t.Name)
			}
		}
		nt, err := c.newTier(t, i)
		if err != nil {
			c.cancel(store.ErrClosed)
			return nil, err
		}
		c.tiers = append(c.tiers, nt)
		if nt.sink != nil && i != len(tiers)-1 {
			c.cancel(store.ErrClosed)
			return nil, fmt.Errorf("strata: tier %q is a sink, which must be the last tier", nt.Name)
		}
		if nt.objects != nil {
			c.memory = nt
		} else {
			c.bytes = append(c.bytes, nt)
		}
	}
	if c.opts.Feed != nil && !slices.ContainsFunc(c.tiers, func(t *tier) bool { return t.Shared }) {
		c.cancel(store.ErrClosed)
		return nil, fmt.Errorf("strata: chain.Options.Feed is set, but none of the tiers %s is Shared: "+
			"other processes could not read what this one announces", c.tierNames())
	}
	if err := c.makePlans(); err != nil {
		c.cancel(store.ErrClosed)
		return nil, err
	}
	if err := c.openLedger(); err != nil {
		c.cancel(store.ErrClosed)
		return nil, err
	}
	c.start()
	return c, nil
}

func (c *Chain) start() {
	c.fences.seed, c.locks.seed, c.flights.seed = maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()
	c.now = clock.NewCoarse()
	c.epoch.Store(1)
	c.absent = newAbsences(c.opts.NegativeEntries)
	c.loading = make(chan struct{}, c.opts.MaxLoads)
	c.filler = newFiller(c)
	c.observeEvictions()
	c.remembersWrites()
	c.startFeed()
	for _, t := range c.bytes {
		c.loops.Go(func() { t.queue.run(c.stop) })
		c.loops.Go(func() { t.queue.assist(c.stop) })
	}
}

// complete checks the options and puts in the defaults.
func (o *Options) complete() error {
	for _, f := range []struct {
		name string
		n    int64
	}{
		{"MaxLoads", int64(o.MaxLoads)}, {"StaleBackoff", int64(o.StaleBackoff)},
		{"NegativeEntries", int64(o.NegativeEntries)}, {"FillQueue", int64(o.FillQueue)}, {"FeedTimeout", int64(o.FeedTimeout)},
		{"Breaker.Delay", int64(o.Breaker.Delay)},
	} {
		if f.n < 0 {
			return fmt.Errorf("strata: chain.Options.%s is negative; leave it zero for the default", f.name)
		}
	}
	if err := o.Pending.complete(); err != nil {
		return err
	}
	defaults(&o.DefaultTTL, 5*time.Minute)
	defaults(&o.TierTimeout, 5*time.Second)
	defaults(&o.LoadTimeout, 30*time.Second)
	defaults(&o.FeedTimeout, 5*time.Second)
	defaults(&o.MaxLoads, 1024)
	defaults(&o.StaleBackoff, 5*time.Second)
	defaults(&o.NegativeEntries, 16384)
	defaults(&o.FillQueue, 1024)
	defaults(&o.Breaker.Failures, 5)
	defaults(&o.Breaker.Delay, time.Second)
	if o.DefaultTTL < 0 {
		o.DefaultTTL = 0 // in a rule, no TTL means never
	}
	return nil
}

func defaults[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check returns why key cannot be worked on, if so.
func (c *Chain) check(key string) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	if key == "" || strings.HasPrefix(key, reserved) {
		return store.ErrInvalidKey
	}
	return nil
}

// report hands an error that no caller sees to the hooks.
func (c *Chain) report(err error) {
	if err == nil {
		return
	}
	if c.opts.OnError != nil {
		c.opts.OnError(err)
	}
	if c.opts.Logger != nil {
		c.opts.Logger.Warn("strata: tier error", "error", err)
	}
	if c.opts.Observer != nil {
		c.opts.Observer.Error(err)
	}
}

// tierState reports a change of a tier's breaker.
func (c *Chain) tierState(name, state string) {
	if c.opts.Logger != nil {
		c.opts.Logger.Warn("strata: tier state changed", "tier", name, "state", state)
	}
	if c.opts.Observer != nil {
		c.opts.Observer.Breaker(name, state)
	}
}

func (c *Chain) tierNames() string {
	names := make([]string, len(c.tiers))
	for i, t := range c.tiers {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}

// Flush waits until every acknowledged write and every fill has reached its
// tiers, and then asks those tiers that buffer (a Flush method) to do the same.
// What is still pending when ctx ends is reported as a *PendingError for each tier
// and stays pending. If ctx has no deadline, a tier that takes nothing for
// PendingOptions.DrainStall is waited for no longer.
func (c *Chain) Flush(ctx context.Context) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	return errors.Join(c.flush(ctx, false)...)
}

// flush returns what went wrong, which may be nil.
func (c *Chain) flush(ctx context.Context, seal bool) (errs []error) {
	errs = append(errs, c.work.wait(ctx), c.filler.drain(ctx))
	for _, t := range c.bytes {
		if err := t.queue.drain(ctx, seal); err != nil {
			errs = append(errs, err)
			continue
		}
		if f, ok := t.Store.(interface{ Flush(context.Context) error }); ok {
			if err := t.guard(ctx, f.Flush); err != nil {
				errs = append(errs, tierError("flush", t.Name, "", err))
			}
		}
	}
	if c.notices != nil {
		errs = append(errs, c.notices.drain(ctx))
	}
	return errs
}

// Close drains what is pending as Flush does, then closes the tiers. What could
// not be written is reported as a *PendingError for each tier; of that, what is in
// the journal will be written when the chain is opened again, and the rest is
// lost. Other errors are joined to those. A second Close returns nil.
func (c *Chain) Close(ctx context.Context) error {
	var err error
	c.once.Do(func() { err = c.close(ctx) })
	return err
}

func (c *Chain) close(ctx context.Context) error {
	c.closed.Store(true)
	close(c.closing)
	var errs []error
	why := make(map[string]error) // by tier
	for _, err := range c.flush(ctx, true) {
		pe := (*PendingError)(nil)
		if errors.As(err, &pe) && c.byteTier(pe.Tier) != nil {
			why[pe.Tier] = pe.Err // counted anew below
			continue
		}
		errs = append(errs, err)
	}
	c.cancel(store.ErrClosed)
	close(c.stop)
	c.filler.close()
	c.loops.Wait()
	for _, t := range c.bytes {
		errs = append(errs, t.queue.shut(cmp.Or(why[t.Name], store.ErrClosed))) // or writes that ran into the Close
	}
	if c.ledger != nil {
		errs = append(errs, c.ledger.close())
	}
	for _, t := range c.tiers {
		if err := t.Store.Close(); err != nil {
			errs = append(errs, &store.Error{Op: "close", Tier: t.Name, Err: err})
		}
	}
	c.now.Stop()
	return errors.Join(errs...)
}
