package gocache

import (
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// slack is what a deadline may be off by: Redis counts milliseconds.
const slack = 2 * time.Millisecond

// strataPromote puts a value with a deadline into Redis, reads it through a
// chain, and returns what memory then holds.
func strataPromote(t *testing.T, expires time.Time) chain.TierExplanation {
	remote, err := redisstore.New(redistest.Start(t).Client(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Set(t.Context(), "k", store.Entry{Value: []byte("v"), Expires: expires}); err != nil {
		t.Fatal(err)
	}
	// The rule's own TTL is longer than both: what is left must win.
	c := strataChain(t, policy.Rule{TTL: policy.Never}, nil,
		chain.Tier{Name: "memory", Store: memory(t)}, chain.Tier{Name: "redis", Store: remote})
	v, err := chain.NewCache[string](c, nil).Get(t.Context(), "k")
	if err != nil || v != "v" {
		t.Fatalf("Get = %q, %v", v, err)
	}
	return explained(t, c, "k", "memory")
}

func strataShortTTL(t *testing.T) verdict {
	want := time.Now().Add(400 * time.Millisecond)
	x := strataPromote(t, want)
	off := x.Expires.Sub(want)
	return holds(x.Present && off <= slack && off >= -slack, "in memory until %v", deadline(x, want))
}

func strataNoExpiry(t *testing.T) verdict {
	x := strataPromote(t, time.Time{})
	return holds(x.Present && x.Expires.IsZero(), "in memory without expiry")
}

func deadline(x chain.TierExplanation, want time.Time) string {
	switch {
	case !x.Present:
		return "nothing: not there"
	case x.Expires.IsZero():
		return "for ever"
	}
	return "the same deadline, off by " + x.Expires.Sub(want).Abs().Round(time.Millisecond).String()
}

// gocachePromote does the same with gocache: it returns the TTL that its memory
// store then has (0: none), and whether the key is there.
func gocachePromote(t *testing.T, ttl time.Duration) (left time.Duration, present bool) {
	client := redistest.Start(t).Client(t)
	if err := client.Set(t.Context(), "k", "v", ttl).Err(); err != nil {
		t.Fatal(err)
	}
	near, engine := ristrettoTier[string](t)
	far := redisTier(client)
	c := gocacheChain[string](near, far)
	if _, err := c.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	// A key with a TTL that gocache does promote, to see that it is done.
	if err := client.Set(t.Context(), "marker", "v", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "marker"); err != nil {
		t.Fatal(err)
	}
	for {
		engine.Wait()
		if _, ok := engine.Get("marker"); ok {
			break
		}
		if _, err := c.Get(t.Context(), "marker"); err != nil { // ristretto may drop a set
			t.Fatal(err)
		}
	}
	if _, present = engine.Get("k"); present {
		left, _ = engine.GetTTL("k")
	}
	return left, present
}

func gocacheShortTTL(t *testing.T) verdict {
	left, present := gocachePromote(t, 400*time.Millisecond)
	switch {
	case !present:
		return holds(false, "not promoted")
	case left == 0:
		return holds(false, "in memory for ever")
	}
	return holds(left <= 400*time.Millisecond+slack, "in memory for %v more", left)
}

func gocacheNoExpiry(t *testing.T) verdict {
	left, present := gocachePromote(t, 0)
	if !present {
		return holds(false, "never promoted")
	}
	return holds(left == 0, "in memory for %v more", left)
}
