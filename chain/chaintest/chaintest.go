package chaintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// Options says where a store differs. The zero value is the full contract.
type Options struct {
	// Evicts: the store may drop entries at any time, so that a miss is right
	// wherever a hit is.
	Evicts bool
	// Rounds is how often a race is tried; 0 means 500, or 100 with go test -short.
	Rounds int
	// Skip names cases to leave out, each with the reason.
	Skip map[string]string
}

// Run runs every case, each with a store made by newStore, which must be empty. The
// suite closes it. opts may be nil.
func Run(t *testing.T, newStore func(t testing.TB) store.Store, opts *Options) {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			if why, skip := opts.Skip[c.name]; skip {
				t.Skip(why)
			}
			c.do(t, newStore, *opts)
		})
	}
}

// testCase is one promise and its check.
type testCase struct {
	name string
	why  string // printed when the case fails
	run  func(h *harness)
}

func (c *testCase) do(t testing.TB, newStore func(t testing.TB) store.Store, opts Options) {
	if opts.Rounds <= 0 {
		opts.Rounds = 500
		if testing.Short() {
			opts.Rounds = 100
		}
	}
	h := &harness{TB: t, opts: opts, store: newStore(t)}
	h.far = faultstore.New(h.store)
	t.Cleanup(func() {
		h.far.Reset()
		if h.chain != nil {
			if err := h.chain.Close(context.Background()); err != nil {
				t.Errorf("closing the chain at the end of the case: %v", err)
			}
		}
		if t.Failed() {
			t.Logf("%s: %s", c.name, c.why)
		}
	})
	c.run(h)
}

// harness is a chain with the store as its far tier.
type harness struct {
	testing.TB
	opts  Options
	store store.Store       // what is tested
	far   *faultstore.Store // the same with faults
	near  *plain
	chain *chain.Chain
	cache *chain.Cache[string]
}

// tierTimeout bounds the calls of the store in cases that make it hang.
const tierTimeout = 2 * time.Second

// open makes the chain: a near tier, unless it is to be left out, and the store.
func (h *harness) open(near, back bool, more *chain.Options) {
	h.Helper()
	o := chain.Options{TierTimeout: tierTimeout, Breaker: chain.BreakerOptions{Disabled: true}}
	if more != nil {
		o.Pending, o.OnError = more.Pending, more.OnError
	}
	o.Pending.Interval, o.Pending.RetryMin, o.Pending.RetryMax = time.Millisecond, time.Millisecond, 5*time.Millisecond
	rules, err := policy.Parse([]byte(`rules: [{keys: "k:{id}", ttl: 1h}]`))
	if err != nil {
		h.Fatal(err)
	}
	tiers := []chain.Tier{{Name: "far", Store: h.far, WriteBack: back}}
	if near {
		h.near = newPlain()
		tiers = append([]chain.Tier{{Name: "near", Store: h.near, WriteBack: back}}, tiers...)
	}
	if h.chain, err = chain.New(tiers, rules, &o); err != nil {
		h.Fatal(err)
	}
	h.cache = chain.NewCache[string](h.chain, nil)
}

func (h *harness) set(key, value string) {
	h.Helper()
	if err := h.cache.Set(context.Background(), key, value); err != nil {
		h.Fatalf("Set(%q): %v", key, err)
	}
}

func (h *harness) del(key string) {
	h.Helper()
	if err := h.cache.Delete(context.Background(), key); err != nil {
		h.Fatalf("Delete(%q): %v", key, err)
	}
}

// has requires value, or a miss where the store may have dropped it.
func (h *harness) has(key, value, when string) {
	h.Helper()
	v, err := h.cache.Get(context.Background(), key)
	if h.opts.Evicts && errors.Is(err, store.ErrNotFound) {
		return
	}
	if err != nil || v != value {
		h.Fatalf("Get(%q) %s: %q, %v; want %q", key, when, v, err, value)
	}
}

func (h *harness) absent(key, when string) {
	h.Helper()
	if v, err := h.cache.Get(context.Background(), key); !errors.Is(err, store.ErrNotFound) {
		h.Fatalf("Get(%q) %s: %q, %v; want store.ErrNotFound", key, when, v, err)
	}
}

func (h *harness) flush() {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.chain.Flush(ctx); err != nil {
		h.Fatalf("Flush: %v", err)
	}
}

// flaky makes one of n writes of the store fail, some hundred times, before it is
// done or after.
func (h *harness) flaky(n int, afterOp bool) {
	faults := make([]faultstore.Fault, 100)
	for i := range faults {
		faults[i] = faultstore.Fault{Op: faultstore.OpWrites &^ faultstore.OpClear, Skip: i * n, Times: 1, Err: errors.New("injected"), AfterOp: afterOp}
	}
	h.far.Inject(faults...)
}
