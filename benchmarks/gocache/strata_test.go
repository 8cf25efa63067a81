package gocache

import (
	"context"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/faultstore"
	"github.com/stratacache/strata/store/memstore"
)

// rules is a policy of one rule for every key.
func rules(t *testing.T, r policy.Rule) *policy.Set {
	t.Helper()
	r.Keys = policy.MustPattern("*")
	if r.TTL == 0 {
		r.TTL = time.Hour
	}
	s, err := policy.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func memory(t *testing.T) *memstore.Store {
	t.Helper()
	m, err := memstore.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fault returns a tier of bytes that can be made to fail.
func fault(t *testing.T) *faultstore.Store { return faultstore.New(memory(t)) }

// strataChain is a chain over the tiers, nearest first.
func strataChain(t *testing.T, r policy.Rule, opts *chain.Options, tiers ...chain.Tier) *chain.Chain {
	t.Helper()
	c, err := chain.New(tiers, rules(t, r), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.Close(ctx) // some tests leave a tier that hangs
	})
	return c
}

// explained returns what the named tier holds of a key.
func explained(t *testing.T, c *chain.Chain, key, tier string) chain.TierExplanation {
	t.Helper()
	x, err := c.Explain(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range x.Tiers {
		if e.Tier == tier {
			return e
		}
	}
	t.Fatalf("no tier %q", tier)
	return chain.TierExplanation{}
}
