package gocache

import (
	"runtime"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
)

// chains is how many are opened and closed.
const chains = 100

// grown returns how many goroutines more there are after f, giving those that
// are about to end the time to do so.
func grown(f func()) int {
	before := runtime.NumGoroutine()
	f()
	after := runtime.NumGoroutine()
	for i := 0; i < 100 && after > before; i++ {
		time.Sleep(10 * time.Millisecond)
		after = runtime.NumGoroutine()
	}
	return max(after-before, 0)
}

func strataLeak(t *testing.T) verdict {
	n := grown(func() {
		for range chains {
			c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory(t)}}, rules(t, policy.Rule{}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := chain.NewCache[string](c, nil).Get(t.Context(), "k"); err == nil {
				t.Fatal("a hit in an empty chain")
			}
			if err := c.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
	return holds(n == 0, "%d goroutines left", n)
}

// gocacheLeak: the chain has no Close, and dropping it is all that can be done.
func gocacheLeak(*testing.T) verdict {
	n := grown(func() {
		for range chains {
			gocacheChain[string](newMapStore(), newMapStore())
		}
		runtime.GC()
	})
	return holds(n == 0, "%d goroutines left; it has no Close", n)
}
