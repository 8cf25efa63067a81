package chain_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// The linearizability test has readers, writers, deleters and loaders work on one
// key at the same time, and asks porcupine for an order of their operations that
// explains every answer.

// act is the input of one operation, seen its outcome.
type (
	act struct {
		op string // "get", "load", "set", "delete"
		n  int    // what was set, or what the loader would give
	}
	seen struct {
		n      int // what was read; 0: nothing
		loaded bool
		failed bool
	}
)

// value is the state of one key: 0 for none. Where tiers fail, a loaded value may be in
// memory alone, and is lost when a write fails.
type value struct {
	n      int
	loaded bool
}

// register is one key. A load that found nothing sets it; a failed write may
// or may not have.
var register = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{value{}} },
	Step: func(state, input, output any) []any {
		now, in, out := state.(value), input.(act), output.(seen)
		next := value{n: in.n}
		if in.op == "delete" {
			next = value{}
		}
		switch {
		case in.op == "set" || in.op == "delete":
			if out.failed && now.loaded {
				return []any{now, next, value{}}
			}
			if out.failed {
				return []any{now, next}
			}
			return []any{next}
		case out.failed:
			return []any{now}
		case out.loaded && now.n == 0: // put into the cache, or not where a write was at work
			return []any{value{out.n, true}, value{}}
		case out.loaded:
			return nil
		case out.n == now.n:
			return []any{now}
		}
		return nil
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}).ToModel()

// history records operations.
type history struct {
	start time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) note(client int, call time.Duration, in act, out seen) {
	end := time.Since(h.start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(end)})
}

// worker does random operations on key. Loads of several callers are shared, so
// only one client loads; its loader gives numbers that nobody sets.
func (h *history) worker(ctx context.Context, cache *chain.Cache[int], key string, client, ops int, next *atomic.Int64, loads bool) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(client)))
	for range ops {
		in := act{op: "get"}
		var out seen
		var err error
		n := int(next.Add(1))
		call := time.Since(h.start)
		switch k := rng.IntN(10); {
		case client == 0 && k < 5 && loads:
			in = act{"load", n}
			out.n, err = cache.GetOrLoad(ctx, key, func(context.Context, string) (int, error) { out.loaded = true; return n, nil })
			out.loaded = out.loaded && err == nil
		case client > 2 || k < 3:
			out.n, err = cache.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				out.n, err = 0, nil
			}
		case k < 8:
			in = act{"set", n}
			err = cache.Set(ctx, key, n)
		default:
			in = act{op: "delete"}
			err = cache.Delete(ctx, key)
		}
		out.failed = err != nil
		h.note(client, call, in, out)
	}
}

// log prints what was done, by when it began.
func (h *history) log(t *testing.T) {
	slices.SortFunc(h.ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, o := range h.ops {
		t.Logf("client %d, %9d to %9d ns: %+v -> %+v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
	}
}

// linear reports whether one history on a fresh key has an order.
func linear(t *testing.T, c *chain.Chain, key string, clients, ops int, loads bool) bool {
	h := &history{start: time.Now()}
	cache := chain.NewCache[int](c, nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() { h.worker(t.Context(), cache, key, client, ops, &next, loads) })
	}
	wg.Wait()
	switch porcupine.CheckOperationsTimeout(register, h.ops, 20*time.Second) {
	case porcupine.Illegal:
		h.log(t)
		return false
	case porcupine.Unknown:
		t.Logf("porcupine found no answer in time for a history of %d operations", len(h.ops))
	}
	return true
}

// forgetful is a tier that drops an entry of every other write or so, as an
// evicting one may.
type forgetful struct{ *objectStore }

func (s forgetful) GetObject(key string) (any, bool) {
	if rand.IntN(3) == 0 {
		_ = s.Delete(context.Background(), key)
	}
	return s.objectStore.GetObject(key)
}

func linearShapes() map[string]func() []chain.Tier {
	bytes := func(name string, back bool) chain.Tier {
		return chain.Tier{Name: name, Store: faultstore.New(newMap()), WriteBack: back}
	}
	return map[string]func() []chain.Tier{
		"through": func() []chain.Tier { return []chain.Tier{{Name: "memory", Store: newObjects(9)}, bytes("disk", false)} },
		"three": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(9)}, bytes("redis", false), bytes("disk", false)}
		},
		"forgetful": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: forgetful{newObjects(9)}}, bytes("redis", false), bytes("disk", false)}
		},
		"no memory": func() []chain.Tier { return []chain.Tier{bytes("redis", false), bytes("disk", false)} },
		"back": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(9)}, bytes("redis", true), bytes("disk", true)}
		},
		"mixed": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: forgetful{newObjects(9)}}, bytes("redis", false), bytes("disk", true)}
		},
		"back, no room": func() []chain.Tier { return []chain.Tier{{Name: "memory", Store: newObjects(0)}, bytes("disk", true)} },
	}
}

// remembers reports whether the shape's memory holds what it is given. Elsewhere a
// loaded value shows when a tier has it, which may be after the load returned, and
// the histories have no loads.
func remembers(shape string) bool { return shape == "through" || shape == "three" || shape == "back" }

// histories is how many histories each shape gets.
func histories() int {
	if os.Getenv("STRATA_TORTURE") != "" {
		return 2000
	}
	return 25
}

func TestLinearizable(t *testing.T) {
	for name, shape := range linearShapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, shape(), "", &chain.Options{Pending: chain.PendingOptions{Interval: time.Microsecond}})
			for i := range histories() {
				if !linear(t, c, fmt.Sprint("k", i), 5, 25, remembers(name)) {
					t.Fatalf("history %d: no order of its operations explains the answers", i)
				}
			}
		})
	}
}

// With faults, a failed operation leaves the old or the new state, and what is
// acknowledged holds.
func TestLinearizableUnderFaults(t *testing.T) {
	for name, shape := range linearShapes() {
		if name == "no memory" {
			continue // a write that failed everywhere may show in one tier and not in the next
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tiers := shape()
			c := newChain(t, tiers, "", &chain.Options{
				Breaker: chain.BreakerOptions{Disabled: true}, Pending: chain.PendingOptions{Interval: time.Microsecond},
			})
			faulty := tiers[1].Store.(*faultstore.Store)
			for i := range histories() / 2 {
				stop := faulty.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom, Skip: i % 7, Times: 5})
				if !linear(t, c, fmt.Sprint("k", i), 5, 20, remembers(name)) {
					t.Fatalf("history %d: no order of its operations explains the answers", i)
				}
				stop()
			}
		})
	}
}
