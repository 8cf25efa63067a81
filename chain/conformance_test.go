package chain_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t testing.TB, yaml string) *policy.Set {
	t.Helper()
	if yaml == "" {
		return nil
	}
	set, err := policy.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The chain, as a store, keeps the contract of stores in every shape and mode.
func TestConformance(t *testing.T) {
	shapes := map[string]func() []chain.Tier{
		"memory only": func() []chain.Tier { return []chain.Tier{{Name: "memory", Store: newObjects(1 << 20)}} },
		"disk only":   func() []chain.Tier { return []chain.Tier{{Name: "disk", Store: newMap()}} },
		"memory and disk": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(1 << 20)}, {Name: "disk", Store: newMap()}}
		},
		"a memory that refuses everything": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(0)}, {Name: "disk", Store: newMap()}}
		},
		"three tiers, small memory": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(3)}, {Name: "redis", Store: newMap()}, {Name: "disk", Store: newMap()}}
		},
		"write-back": func() []chain.Tier {
			return []chain.Tier{{Name: "memory", Store: newObjects(3)}, {Name: "redis", Store: newMap(), WriteBack: true}, {Name: "disk", Store: newMap(), WriteBack: true}}
		},
		"near through, far back": func() []chain.Tier {
			return []chain.Tier{{Name: "redis", Store: newMap()}, {Name: "disk", Store: newMap(), WriteBack: true}}
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := &storetest.Options{NoVersion: true}
			if name == "memory only" {
				why := "a memory tier does not list its keys"
				opts.Skip = map[string]string{"Scan": why, "ScanPrefix": why, "ScanLive": why, "ScanBreak": why}
			}
			storetest.Run(t, func(t testing.TB) store.Store {
				c, err := chain.New(shape(), nil, &chain.Options{DefaultTTL: -1})
				if err != nil {
					t.Fatal(err)
				}
				return c.Store()
			}, opts)
		})
	}
}
