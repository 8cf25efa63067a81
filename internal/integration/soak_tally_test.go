package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

var (
	errInjected = errors.New("injected")
	errAPI      = errors.New("the API is down")
)

// The causes that an operation of the soak may fail for.
const (
	causeAPI      = "the loader"
	causeInjected = "injected"
	causeDown     = "ErrTierDown"
	causeBusy     = "ErrBusy"
	causeDeadline = "timeout of the tier"
	causeOwn      = "the caller's deadline"
)

// phase is a time in which one thing, or nothing, is injected.
type phase struct {
	name string
	// tier are the causes for which Redis may be unable to answer.
	tier []string
	ops  sync.WaitGroup // those that began in it
	// real says that Redis, which is a real one, failed or stood still by itself:
	// then the phase is not judged.
	real atomic.Bool
}

// phases hands the operations the phase that they begin in.
type phases struct {
	mu  sync.Mutex
	cur *phase
	all []*phase
}

// begin counts an operation in the phase, which it returns; ops.Done must follow.
func (p *phases) begin() *phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cur.ops.Add(1)
	return p.cur
}

// now returns the phase.
func (p *phases) now() *phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cur
}

// next begins another phase, and returns the one before.
func (p *phases) next(name string, tier ...string) (before *phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.cur
	p.cur = &phase{name: name, tier: tier}
	p.all = append(p.all, p.cur)
	return before
}

// next begins a phase once nothing is left that could carry a fault of the last one
// into it: the operations that began in it are over, for their reads may be shared
// by those that begin later, and so is the time for which the breaker, open since,
// keeps Redis away.
func (s *soak) next(ctx context.Context, name string, tier ...string) {
	before := s.phases.next("after "+s.phases.now().name, causeInjected, causeDown, causeDeadline)
	before.ops.Wait()
	for s.breaker() != "closed" && ctx.Err() == nil {
		pause(ctx, time.Millisecond)
	}
	before = s.phases.next("healed", causeInjected, causeDown, causeDeadline)
	before.ops.Wait()
	s.phases.next(name, tier...)
}

func (s *soak) breaker() string {
	for _, t := range s.chain.Stats().Tiers {
		if t.Name == "redis" {
			return t.Breaker
		}
	}
	return ""
}

// witness is a hook of the Redis client that notes what nobody has injected: a
// machine may stand still for longer than any timeout.
type witness struct{ s *soak }

func (w witness) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (w witness) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return w.watch(ctx, func() error { return next(ctx, cmd) })
	}
}

func (w witness) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return w.watch(ctx, func() error { return next(ctx, cmds) })
	}
}

func (w witness) watch(ctx context.Context, call func() error) error {
	began := w.s.phases.now()
	start := time.Now()
	err := call()
	// An older server does not know all that a client says when it connects.
	answered := err == nil || errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "NOSCRIPT") || redis.HasErrorPrefix(err, "unknown subcommand")
	if d, ok := ctx.Deadline(); ok && !answered {
		answered = !start.Add(soakTimeout / 2).Before(d) // it was given little time, by a caller or by what hung before
	}
	if !answered || time.Since(start) > soakTimeout/2 {
		began.real.Store(true)
		w.s.phases.now().real.Store(true)
	}
	return err
}

// tally counts the outcomes of operations.
type tally struct {
	mu     sync.Mutex
	counts map[outcome]uint64
	bad    []misplacement // the first ones
	bads   int
}

// misplacement is a failure that nothing explains that was injected. It is judged in
// the end, for a caller may hear of a Redis that stands still before the witness does.
type misplacement struct {
	began, ended *phase
	why          string
}

// outcome is what operations of one kind, that began in one kind of phase, came to.
type outcome struct{ op, phase, causes string }

// add counts a failure and says whether it was one of its kind's. Set, Delete, Get and
// GetMany may fail for what Redis fails for; a load asks the loader then, and tags are
// invalidated in the disk.
func (t *tally) add(op string, began, ended *phase, err error, own bool) {
	causes := causesOf(err, own)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[outcome]uint64)
	}
	t.counts[outcome{op, began.name, strings.Join(causes, " and ")}]++
	if why := misplaced(op, append(slices.Clone(began.tier), ended.tier...), causes); why != "" {
		if t.bads++; len(t.bad) < 100_000 {
			why = fmt.Sprintf("%s, which began %q and ended %q, failed, %s: %v", op, began.name, ended.name, why, err)
			t.bad = append(t.bad, misplacement{began, ended, why})
		}
	}
}

// misplaced says why an operation may not fail for these causes, in a time in which
// Redis may be unable to answer for those of tier.
func misplaced(op string, tier, causes []string) string {
	allowed := tier
	switch op {
	case "GetOrLoad":
		allowed = []string{causeAPI, causeOwn}
	case "InvalidateTags":
		allowed = nil
	case "Set", "Delete":
		// Redis is owed what it cannot take, unless its queue is full.
		if !slices.Contains(causes, causeBusy) {
			return "though Redis could be owed it"
		}
		if len(tier) > 0 {
			allowed = append(slices.Clone(tier), causeBusy)
		}
	}
	for _, c := range causes {
		if !slices.Contains(allowed, c) {
			return fmt.Sprintf("for %q, which is not to be", c)
		}
	}
	return ""
}

// causesOf names what err is made of. own says that the caller's own context has ended.
func causesOf(err error, own bool) []string {
	found := make(map[string]bool)
	var visit func(error)
	visit = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				visit(e)
			}
			return
		}
		switch {
		case errors.Is(err, store.ErrNotFound): // of another key of a batch
		case errors.Is(err, errAPI):
			found[causeAPI] = true
		case errors.Is(err, errInjected):
			found[causeInjected] = true
		case errors.Is(err, chain.ErrTierDown):
			found[causeDown] = true
		case errors.Is(err, chain.ErrBusy):
			found[causeBusy] = true
		case errors.Is(err, context.DeadlineExceeded) && own:
			found[causeOwn] = true
		case errors.Is(err, context.DeadlineExceeded):
			found[causeDeadline] = true
		default:
			found[fmt.Sprintf("%T %v", err, err)] = true
		}
	}
	visit(err)
	return slices.Sorted(maps.Keys(found))
}

// print writes the counts to the test's log, and fails it for what must not have
// happened.
func (t *tally) print(tb testing.TB, all []*phase) {
	tb.Helper()
	times, unjudged := make(map[string]int), make(map[string]int)
	for _, p := range all {
		times[p.name]++
		if p.real.Load() {
			unjudged[p.name]++
		}
	}
	tb.Logf("phases: %v; in these Redis failed or stood still by itself: %v", times, unjudged)
	for _, o := range slices.SortedFunc(maps.Keys(t.counts), func(a, b outcome) int {
		return strings.Compare(a.op+a.phase+a.causes, b.op+b.phase+b.causes)
	}) {
		tb.Logf("%9d %-14s %-14s %s", t.counts[o], o.op, o.phase, o.causes)
	}
	judged := 0
	for _, b := range t.bad {
		if b.began.real.Load() || b.ended.real.Load() {
			continue
		}
		if judged++; judged <= 10 {
			tb.Error(b.why)
		}
	}
	if judged > 10 {
		tb.Errorf("%d failures in all that nothing explains", judged)
	}
	if t.bads > len(t.bad) {
		tb.Errorf("%d more failures were not noted", t.bads-len(t.bad))
	}
}

// unanswered reports whether Get of key fails although the disk, which is asked when
// Redis is not to be had, holds the key's value all the while. The first of two Gets
// may share a read that began before the disk had it.
func (s *soak) unanswered(ctx context.Context, key string) bool {
	before, err := s.disk.Get(ctx, key)
	if err != nil {
		return false
	}
	for range 2 {
		if _, err := s.cache.Get(ctx, key); err == nil || errors.Is(err, store.ErrNotFound) {
			return false
		}
	}
	after, err := s.disk.Get(ctx, key)
	return err == nil && after.Version == before.Version && !after.Stale(time.Now())
}
