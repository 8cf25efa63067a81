package gocache

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
)

// herd is how many goroutines want a key that no tier has.
const herd = 1_000

// loadTime is how long a loader takes.
const loadTime = 20 * time.Millisecond

// crowd calls get from n goroutines at once and gathers what they got. A panic
// in a caller is caught there.
func crowd(n int, get func(i int) (string, error)) *outcome {
	o := &outcome{}
	var all []func()
	for i := range n {
		all = append(all, func() {
			defer func() {
				if recover() != nil {
					o.panicked()
				}
			}()
			v, err := get(i)
			o.record(v == "v" && err == nil)
		})
	}
	together(all...)
	return o
}

// strataLoads asks a chain with an empty memory for one key.
func strataLoads(t *testing.T) func(ctx context.Context, load func(ctx context.Context) (string, error)) (string, error) {
	c := strataChain(t, policy.Rule{}, nil, chain.Tier{Name: "memory", Store: memory(t)})
	strings := chain.NewCache[string](c, nil)
	return func(ctx context.Context, load func(context.Context) (string, error)) (string, error) {
		return strings.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (string, error) { return load(ctx) })
	}
}

// gocacheLoads does the same with gocache's loadable cache.
func gocacheLoads(t *testing.T, load func(ctx context.Context) (string, error)) func(ctx context.Context) (string, error) {
	c := cache.NewLoadable(func(ctx context.Context, _ any) (string, []lib_store.Option, error) {
		v, err := load(ctx)
		return v, nil, err
	}, cache.New[string](newMapStore()))
	t.Cleanup(func() { _ = c.Close() })
	return func(ctx context.Context) (string, error) { return c.Get(ctx, "k") }
}

// slowLoad returns a loader that counts its calls and honours its context.
func slowLoad(calls *atomic.Int64) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		calls.Add(1)
		select {
		case <-time.After(loadTime):
			return "v", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func strataHerd(t *testing.T) verdict {
	var calls atomic.Int64
	get := strataLoads(t)
	o := crowd(herd, func(int) (string, error) { return get(t.Context(), slowLoad(&calls)) })
	return holds(calls.Load() == 1 && o.answered == herd, "loads %d, answered %d", calls.Load(), o.answered)
}

func gocacheHerd(t *testing.T) verdict {
	var calls atomic.Int64
	get := gocacheLoads(t, slowLoad(&calls))
	o := crowd(herd, func(int) (string, error) { return get(t.Context()) })
	return holds(calls.Load() == 1 && o.answered == herd, "loads %d, answered %d", calls.Load(), o.answered)
}

// leaving runs followers of a load whose first caller leaves while it runs.
func leaving(t *testing.T, get func(ctx context.Context, load func(ctx context.Context) (string, error)) (string, error)) *outcome {
	const followers = 50
	running := make(chan struct{})
	var first atomic.Bool
	load := func(ctx context.Context) (string, error) {
		if first.CompareAndSwap(false, true) {
			close(running)
		}
		select {
		case <-time.After(loadTime):
			return "v", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = get(ctx, load)
	}()
	<-running
	time.AfterFunc(loadTime/4, leave)
	o := crowd(followers, func(int) (string, error) { return get(t.Context(), load) })
	<-left
	return o
}

func strataCancelled(t *testing.T) verdict {
	o := leaving(t, strataLoads(t))
	return holds(o.errs == 0 && o.panics == 0, "%d of %d failed", o.errs, o.errs+o.answered)
}

func gocacheCancelled(t *testing.T) verdict {
	var load func(ctx context.Context) (string, error)
	get := gocacheLoads(t, func(ctx context.Context) (string, error) { return load(ctx) })
	o := leaving(t, func(ctx context.Context, l func(context.Context) (string, error)) (string, error) {
		if load == nil {
			load = l
		}
		return get(ctx)
	})
	return holds(o.errs == 0, "%d of %d failed", o.errs, o.errs+o.answered)
}

// bang is a loader that panics.
func bang(context.Context) (string, error) {
	time.Sleep(loadTime)
	panic("bang")
}

func strataPanic(t *testing.T) verdict {
	get := strataLoads(t)
	o := crowd(10, func(int) (string, error) { return get(t.Context(), bang) })
	return holds(o.errs == 10, "%d errors, %d callers panicked", o.errs, o.panics)
}

func gocachePanic(t *testing.T) verdict {
	get := gocacheLoads(t, bang)
	o := crowd(10, func(int) (string, error) { return get(t.Context()) })
	return holds(o.errs == 10, "%d errors, %d callers panicked", o.errs, o.panics)
}
