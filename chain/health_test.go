package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// events is an observer that writes down what it is told.
type events struct {
	chain.NopObserver
	mu  sync.Mutex
	log []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, fmt.Sprintf(format, args...))
}

func (e *events) Hit(tier, key string)                        { e.add("hit %s %s", tier, key) }
func (e *events) Miss(key string)                             { e.add("miss %s", key) }
func (e *events) Load(key string, _ time.Duration, err error) { e.add("load %s %v", key, err) }
func (e *events) Stale(key string)                            { e.add("stale %s", key) }
func (e *events) Fill(tier, key string)                       { e.add("fill %s %s", tier, key) }
func (e *events) Error(err error)                             { e.add("error %v", err) }
func (e *events) Breaker(tier, state string)                  { e.add("breaker %s %s", tier, state) }
func (e *events) Flush(tier string, n int, err error)         { e.add("flush %s %d %v", tier, n, err) }

// take returns what was written down, and forgets it.
func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.log, "; ")
	e.log = nil
	return s
}

// A stuck tier holds no caller past his deadline, nor past the tier's own.
func TestStuckTierHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "stuck", Store: stuck, Timeout: 3 * time.Second}, {Name: "disk", Store: newMap()}}, "",
			&chain.Options{Breaker: chain.BreakerOptions{Disabled: true}})
		cache := chain.NewCache[int](c, nil)
		noErr(t, cache.Set(t.Context(), "k", 1))
		stuck.Inject(faultstore.Fault{Op: faultstore.OpAll &^ faultstore.OpClose, Hang: true})
		for name, call := range map[string]func(context.Context) error{
			"Get":       func(ctx context.Context) error { _, err := cache.Get(ctx, "k"); return err },
			"GetOrLoad": func(ctx context.Context) error { _, err := cache.GetOrLoad(ctx, "x", loads(1)); return err },
			"GetMany":   func(ctx context.Context) error { _, err := cache.GetMany(ctx, []string{"k"}); return err },
			"Set":       func(ctx context.Context) error { return cache.Set(ctx, "y", 1) },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			err := call(ctx)
			cancel()
			if waited := time.Since(start); waited > 100*time.Millisecond || name != "GetMany" && name != "Set" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %v; want the deadline", name, err, waited)
			}
			time.Sleep(10 * time.Second)
		}
		start := time.Now()
		v, err := cache.Get(context.Background(), "k") // without a deadline: the tier's, and then the next tier
		want(t, v, err, 1)
		if waited := time.Since(start); waited > 6*time.Second {
			t.Errorf("waited %v; want at most twice the tier's timeout, for its barriers are looked up", waited)
		}
		stuck.Reset()
		time.Sleep(10 * time.Second)
	})
}

// A dead tier reports itself, is no miss, is cut off, probed, and filled again.
func TestDeadTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		var hooks []error
		ev := &events{}
		dead := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "near", Store: dead}, {Name: "far", Store: newMap()}}, "", &chain.Options{
			Observer: ev, Logger: slog.New(slog.NewTextHandler(&logged, nil)), OnError: func(err error) { hooks = append(hooks, err) },
		})
		cache := chain.NewCache[int](c, nil)
		ctx := context.Background()
		noErr(t, cache.Set(ctx, "k", 1))
		stop := dead.Inject(faultstore.Fault{Op: faultstore.OpAll &^ faultstore.OpClose, Err: errBoom})
		for range 10 {
			v, err := cache.Get(ctx, "k")
			want(t, v, err, 1)
		}
		v, err := cache.Get(ctx, "none")
		var se *store.Error
		if errors.Is(err, store.ErrNotFound) || !errors.As(err, &se) || se.Tier != "near" || se.Key != "none" {
			t.Errorf("%d, %v; want the error of the tier that could not be asked", v, err)
		}
		s := c.Stats()
		if near := s.Tiers[0]; near.Errors != 5 || near.Misses != 0 || near.Breaker != "open" || near.Skipped == 0 || near.Fills != 0 || s.Misses > 1 {
			t.Errorf("%+v; want 5 errors, no miss, no fill, and the breaker open", near)
		}
		if len(hooks) != 5 || !errors.Is(hooks[0], errBoom) {
			t.Errorf("OnError was told of %v", hooks)
		}
		if got := ev.take(); strings.Count(got, "breaker near open") != 1 || strings.Count(got, "error ") != 5 {
			t.Errorf("events: %s", got)
		}
		time.Sleep(1100 * time.Millisecond)
		calls := dead.Calls(faultstore.OpGet)
		for range 10 { // half-open: one probe, which fails
			_, _ = cache.Get(ctx, "k")
		}
		if n := dead.Calls(faultstore.OpGet) - calls; n != 1 {
			t.Errorf("%d probes; want one", n)
		}
		if got := ev.take(); !strings.Contains(got, "breaker near half-open") || !strings.Contains(got, "breaker near open") {
			t.Errorf("events: %s", got)
		}
		stop()
		time.Sleep(1100 * time.Millisecond)
		noErr(t, dead.Delete(ctx, "k"))
		v, err = cache.Get(ctx, "k")
		want(t, v, err, 1)
		flush(t, c)
		if s := c.Stats().Tiers[0]; s.Breaker != "closed" || s.Fills != 1 {
			t.Errorf("%+v; want a closed breaker and the tier filled again", s)
		}
		if got := ev.take(); !strings.Contains(got, "breaker near closed") || !strings.Contains(got, "fill near k") {
			t.Errorf("events: %s", got)
		}
		for _, state := range []string{"state=open", "state=half-open", "state=closed", "tier=near", "boom"} {
			if !strings.Contains(logged.String(), state) {
				t.Errorf("the log lacks %q", state)
			}
		}
	})
}

// A caller's own cancellation is not held against the tier.
func TestCancellationDoesNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "slow", Store: slow}}, "", nil)
		slow.Inject(faultstore.Fault{Op: faultstore.OpSet, Delay: 100 * time.Millisecond})
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(time.Millisecond); cancel() }()
			if err := chain.NewCache[int](c, nil).Set(ctx, "k", 1); !errors.Is(err, context.Canceled) {
				t.Errorf("Set: %v", err)
			}
		}
		if s := c.Stats().Tiers[0]; s.Breaker != "closed" {
			t.Errorf("%+v", s)
		}
	})
}

// A store that panics is a tier that failed.
func TestPanickingStore(t *testing.T) {
	c := newChain(t, []chain.Tier{{Name: "mad", Store: madStore{newMap()}}, {Name: "disk", Store: newMap()}}, "", nil)
	cache := chain.NewCache[int](c, nil)
	noErr(t, cache.Set(t.Context(), "k", 1))
	v, err := cache.Get(t.Context(), "k")
	want(t, v, err, 1)
	if s := c.Stats().Tiers[0]; s.Errors == 0 {
		t.Errorf("%+v", s)
	}
}

type madStore struct{ *mapStore }

func (madStore) Get(context.Context, string) (store.Entry, error) { panic("mad") }

// Stats and the observer agree with what happened.
func TestAccounts(t *testing.T) {
	ev := &events{}
	disk := newMap()
	c := newChain(t, two(newObjects(9), disk), "", &chain.Options{Observer: ev})
	cache := chain.NewCache[int](c, nil)
	ctx := context.Background()
	for _, s := range []struct {
		do   func()
		want string
	}{
		{func() { _, _ = cache.Get(ctx, "k") }, "miss k"},
		{func() { _, _ = cache.GetOrLoad(ctx, "k", loads(1)) }, "miss k; load k <nil>; fill memory k; fill disk k"},
		{func() { _, _ = cache.Get(ctx, "k") }, "hit memory k"},
		{func() { _, _ = cache.GetMany(ctx, []string{"k"}) }, "hit memory k"},
		{func() { _, _ = cache.GetOrLoad(ctx, "e", fails[int](errBoom)) }, "miss e; load e boom"},
		{func() { noErr(t, cache.Set(ctx, "k", 2)) }, ""},
		{func() { e, _ := disk.Peek("k"); disk.Plant("k2", e); _, _ = cache.Get(ctx, "k2") }, "hit disk k2; fill memory k2"},
		{func() { noErr(t, cache.Delete(ctx, "k")) }, ""},
		{func() { _, _ = cache.Get(ctx, "k") }, "miss k"},
	} {
		s.do()
		flush(t, c)
		if got := ev.take(); got != s.want {
			t.Errorf("events %q; want %q", got, s.want)
		}
	}
	s := c.Stats()
	if m, d := s.Tiers[0], s.Tiers[1]; m.Hits != 2 || m.Misses != 5 || m.Fills != 2 || d.Hits != 1 || d.Misses != 4 || d.Fills != 1 || d.Reads.Count < 5 {
		t.Errorf("memory %+v\ndisk %+v", m, d)
	}
	if s.Misses != 4 || s.Loads != 2 || s.LoadErrors != 1 || s.LoadTime.Count != 2 || s.LoadTime.Quantile(0.5) <= 0 || s.LoadTime.Mean() <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "disk", Store: disk, WriteBack: true}},
			`rules: [{keys: "price:{symbol}", ttl: 5m, stale_if_error: 1h, tags: ["of:{symbol}"]}]`, nil)
		cache := chain.NewCache[float64](c, nil)
		ctx := t.Context()
		noErr(t, cache.Set(ctx, "price:AAPL", 1.5))
		x, err := c.Explain(ctx, "price:AAPL")
		noErr(t, err)
		if x.Rule != "price" || !strings.Contains(x.Why, "price:{symbol}") || x.Tiers[1].Pending != "write" || x.Tiers[1].Mode != "back" {
			t.Errorf("%+v", x)
		}
		flush(t, c)
		reads := c.Stats().Tiers[1].Reads.Count
		x, err = c.Explain(ctx, "price:AAPL")
		noErr(t, err)
		m, d := x.Tiers[0], x.Tiers[1]
		if !m.Present || !d.Present || d.Pending != "" || m.Version != d.Version || d.Version == 0 || d.Size != 3 || d.Codec != "text" ||
			!d.Fresh.Equal(time.Now().Add(5*time.Minute)) || !d.Expires.Equal(d.Fresh.Add(time.Hour)) || len(d.Tags) != 1 || d.Tags[0] != "of:AAPL" {
			t.Errorf("memory %+v\ndisk %+v", m, d)
		}
		if now := c.Stats().Tiers[1]; now.Reads.Count > reads+1 || now.Hits != 0 { // its barriers are looked up
			t.Errorf("Explain counts as a read: %+v", now)
		}
		for _, part := range []string{"price:AAPL", "memory", "disk", "fresh", "text"} {
			if !strings.Contains(x.String(), part) {
				t.Errorf("%q is not in\n%s", part, x)
			}
		}
		noErr(t, c.InvalidateTags(ctx, "of:AAPL"))
		disk.Inject(faultstore.Fault{Op: faultstore.OpGet, Err: errBoom, Skip: 1})
		x, _ = c.Explain(ctx, "price:AAPL")
		if !x.Tiers[0].Covered || !x.Tiers[1].Covered {
			t.Errorf("%+v; want both covered", x)
		}
		x, _ = c.Explain(ctx, "other")
		if x.Rule != "default" || !errors.Is(x.Tiers[1].Err, errBoom) || x.Tiers[0].Present {
			t.Errorf("%+v", x)
		}
		disk.Reset()
		if _, err := c.Explain(ctx, ""); !errors.Is(err, store.ErrInvalidKey) {
			t.Error(err)
		}
	})
}

func TestNewChecksItsArguments(t *testing.T) {
	good := chain.Tier{Name: "disk", Store: newMap()}
	for want, f := range map[string]struct {
		tiers []chain.Tier
		rules string
		opts  chain.Options
	}{
		"at least one tier":    {},
		"no Name":              {tiers: []chain.Tier{{Store: newMap()}}},
		"no Store":             {tiers: []chain.Tier{{Name: "x"}}},
		"named \"disk\"":       {tiers: []chain.Tier{good, good}},
		"negative TTL":         {tiers: []chain.Tier{{Name: "x", Store: newMap(), TTL: -1}}},
		"MaxLoads":             {tiers: []chain.Tier{good}, opts: chain.Options{MaxLoads: -1}},
		"StaleBackoff":         {tiers: []chain.Tier{good}, opts: chain.Options{StaleBackoff: -1}},
		"NegativeEntries":      {tiers: []chain.Tier{good}, opts: chain.Options{NegativeEntries: -1}},
		"FillQueue":            {tiers: []chain.Tier{good}, opts: chain.Options{FillQueue: -1}},
		"Breaker.Delay":        {tiers: []chain.Tier{good}, opts: chain.Options{Breaker: chain.BreakerOptions{Delay: -1}}},
		"Pending.MaxBytes":     {tiers: []chain.Tier{good}, opts: chain.Options{Pending: chain.PendingOptions{MaxBytes: -1}}},
		"Pending.WhenFull":     {tiers: []chain.Tier{good}, opts: chain.Options{Pending: chain.PendingOptions{WhenFull: 9}}},
		"is Shared":            {tiers: []chain.Tier{good}, opts: chain.Options{Feed: (&wire{}).port(1)}},
		"names tier \"redis\"": {tiers: []chain.Tier{good}, rules: `rules: [{keys: k, ttl: 1s, tiers: [redis]}]`},
		"TTL for tier":         {tiers: []chain.Tier{good}, rules: `rules: [{keys: k, ttl: 1s, tier_ttl: {redis: 1s}}]`},
	} {
		c, err := chain.New(f.tiers, parse(t, f.rules), &f.opts)
		if err == nil {
			_ = c.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
}

// A write whose tier fails, and whose queue has no room to owe it that, fails by both
// causes, so that the caller can tell that it is not the value.
func TestWriteThroughThatCannotBeOwedIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap()
		near := faultstore.New(m)
		c := newChain(t, []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: newMap()}}, "",
			&chain.Options{Pending: chain.PendingOptions{MaxEntries: 1}, Breaker: chain.BreakerOptions{Disabled: true}})
		cache := chain.NewCache[string](c, nil)
		stop := near.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "owed", "1"))
		for _, err := range []error{cache.Set(t.Context(), "k", "1"), cache.Delete(t.Context(), "k")} {
			if !errors.Is(err, chain.ErrBusy) || !errors.Is(err, errBoom) {
				t.Errorf("%v; want ErrBusy and the tier's error", err)
			}
		}
		if n := c.Stats().QueueFull; n != 2 {
			t.Errorf("QueueFull is %d; want 2", n)
		}
		stop()
		noErr(t, c.Flush(t.Context()))
		noErr(t, cache.Set(t.Context(), "k", "2"))
		if in(m, "owed") != "1" || in(m, "k") != "2" {
			t.Errorf("the tier has %q and %q", in(m, "owed"), in(m, "k"))
		}
	})
}
