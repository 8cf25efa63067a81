package gocache

import (
	"context"
	"fmt"
	"testing"

	"github.com/eko/gocache/lib/v4/cache"
	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
)

// strataOtherType: the stored value has another type than the reader's.
func strataOtherType(t *testing.T) verdict {
	c := strataChain(t, policy.Rule{}, nil,
		chain.Tier{Name: "memory", Store: memory(t)}, chain.Tier{Name: "far", Store: fault(t)})
	ctx := t.Context()
	if err := chain.NewCache[string](c, nil).Set(ctx, "k", "text"); err != nil {
		t.Fatal(err)
	}
	numbers := chain.NewCache[int](c, nil)
	v, err := numbers.Get(ctx, "k")
	loaded, loadErr := numbers.GetOrLoad(ctx, "k", func(context.Context, string) (int, error) { return 42, nil })
	return holds(err != nil && loadErr == nil && loaded == 42, "Get: %d and %v; GetOrLoad loads it anew", v, err)
}

func gocacheOtherType(t *testing.T) verdict {
	s := newMapStore()
	ctx := t.Context()
	if err := cache.New[string](s).Set(ctx, "k", "text"); err != nil {
		t.Fatal(err)
	}
	v, err := gocacheChain[int](s, newMapStore()).Get(ctx, "k")
	return holds(err != nil, "Get: %d and %v", v, err)
}

// tagged is the number of keys with one tag.
const tagged = 100

func strataTags(t *testing.T) verdict {
	c := strataChain(t, policy.Rule{}, nil,
		chain.Tier{Name: "memory", Store: memory(t)}, chain.Tier{Name: "far", Store: fault(t)})
	cache := chain.NewCache[string](c, nil)
	ctx := t.Context()
	for i := range tagged {
		if err := cache.Set(ctx, fmt.Sprint(i), "v", chain.WriteOptions{Tags: []string{"group"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.InvalidateTags(ctx, "group"); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range tagged {
		if _, err := cache.Get(ctx, fmt.Sprint(i)); err == nil {
			n++
		}
	}
	return holds(n == 0, "%d of %d survive", n, tagged)
}

func gocacheTags(t *testing.T) verdict {
	near, nearEngine := ristrettoTier[any](t)
	far, farEngine := ristrettoTier[any](t)
	c := gocacheChain[any](near, far)
	ctx := t.Context()
	for i := range tagged {
		err := c.Set(ctx, fmt.Sprint(i), "v", lib_store.WithTags([]string{"group"}), lib_store.WithCost(1))
		if err != nil {
			t.Fatal(err)
		}
	}
	// What survives must not be a set that was still on its way.
	nearEngine.Wait()
	farEngine.Wait()
	if err := c.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"group"})); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range tagged {
		if _, err := c.Get(ctx, fmt.Sprint(i)); err == nil {
			n++
		}
	}
	return holds(n == 0, "%d of %d survive", n, tagged)
}
