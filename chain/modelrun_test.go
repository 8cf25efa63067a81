package chain_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

func drawSteps() *rapid.Generator[[]step] {
	keys := []string{"a:1", "a:2", "b:1", "b:2", "c:1", "d:1", "d:2", "e:1", "f:1", "f:2", "none"}
	ops := []string{"get", "get", "get", "load", "load", "set", "set", "set", "delete", "getmany", "loadmany", "setmany", "tag", "clear",
		"wait", "wait", "flush", "fail", "hang", "fail once", "fail key", "heal", "heal"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			op: rapid.SampledFrom(ops).Draw(t, "op"), key: rapid.SampledFrom(keys).Draw(t, "key"),
			keys: rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 2, 5, rapid.ID).Draw(t, "keys"),
			tier: rapid.IntRange(0, 2).Draw(t, "tier"), red: rapid.IntRange(0, 9).Draw(t, "red") == 0,
			tag:  rapid.SampledFrom([]string{"x", "y", "of:1"}).Draw(t, "tag"),
			wait: rapid.SampledFrom([]time.Duration{time.Millisecond, 300 * time.Millisecond, 4 * time.Second, 30 * time.Second, 70 * time.Second}).Draw(t, "wait"),
		}
	}), 1, 60)
}

func drawShape() *rapid.Generator[[]modelTier] {
	return rapid.Custom(func(t *rapid.T) []modelTier {
		var tiers []modelTier
		if rapid.Bool().Draw(t, "memory") {
			tiers = append(tiers, modelTier{objects: rapid.SampledFrom([]int{0, 1, 3, 100}).Draw(t, "capacity")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "tiers") {
			tiers = append(tiers, modelTier{objects: -1, back: rapid.Bool().Draw(t, "back"), noFiller: rapid.Bool().Draw(t, "noFiller")})
		}
		if len(tiers) == 0 {
			tiers = append(tiers, modelTier{objects: -1})
		}
		return tiers
	})
}

// unspoiled is for tests that plant no bug.
func unspoiled(s store.Store) store.Store { return s }

// bare hides the optional methods of a store.
type bare struct{ store.Store }

// runModel runs steps on a chain of that shape. It returns what went wrong.
func runModel(t *testing.T, shape []modelTier, steps []step, spoil func(store.Store) store.Store) (why string) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{keys: map[string]*belief{}, lossy: true, healed: time.Now().Add(-time.Hour)}
		var tiers []chain.Tier
		for i, s := range shape {
			if s.objects >= 0 {
				tiers = append(tiers, chain.Tier{Name: "memory", Store: spoil(newObjects(s.objects)), TTL: 20 * time.Second})
				continue
			}
			m.lossy, m.back = false, m.back || s.back
			inner := spoil(newMap())
			if s.noFiller {
				inner = bare{inner}
			}
			f := faultstore.New(inner)
			m.faults = append(m.faults, f)
			tiers = append(tiers, chain.Tier{Name: fmt.Sprint("tier", i), Store: f, WriteBack: s.back})
		}
		c, err := chain.New(tiers, parse(t, modelRules), &chain.Options{DefaultTTL: time.Minute})
		noErr(t, err)
		m.c, m.blue, m.red = c, chain.NewCache[blue](c, nil), chain.NewCache[red](c, nil)
		ctx := context.Background()
		for i, s := range steps {
			if why = m.do(ctx, s); why != "" {
				why = fmt.Sprintf("step %d, %v: %s", i, s, why)
				break
			}
			synctest.Wait() // a fill is not to meet with the next step's fault
		}
		if why == "" {
			why = m.quiesce(ctx)
		}
		for _, f := range m.faults {
			f.Reset()
		}
		time.Sleep(10 * time.Second)
		if err := c.Close(ctx); err != nil && why == "" {
			why = fmt.Sprintf("Close: %v", err)
		}
	})
	return why
}

// quiesce heals everything, waits for what is under way, and reads all keys from a
// chain that is well.
func (m *model) quiesce(ctx context.Context) string {
	m.fault(step{op: "heal"})
	time.Sleep(11 * time.Second)
	if err := m.c.Flush(ctx); err != nil {
		return fmt.Sprintf("flush at the end: %v", err)
	}
	for _, key := range []string{"a:1", "a:2", "b:1", "b:2", "c:1", "d:1", "d:2", "e:1", "f:1", "f:2", "none"} {
		m.began = time.Now()
		v, err := m.blue.Get(ctx, key)
		if why := m.saw(key, false, v.N, 0, err); why != "" {
			return "at rest: " + why
		}
	}
	return ""
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shape, steps := drawShape().Draw(rt, "shape"), drawSteps().Draw(rt, "steps")
		if why := runModel(t, shape, steps, unspoiled); why != "" { // the steps, not the draws, are what people read
			rt.Logf("shape %+v", shape)
			for i, s := range steps {
				rt.Logf("%2d %v", i, s)
			}
			rt.Fatal(why)
		}
	})
}
