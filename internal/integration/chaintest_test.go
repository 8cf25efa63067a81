package integration

import (
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/chain/chaintest"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// Each of our stores, and a chain as a store, keeps what a chain promises.
func TestStoresUnderAChain(t *testing.T) {
	must := func(t testing.TB, s store.Store, err error) store.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, f := range map[string]struct {
		open func(t testing.TB) store.Store
		opts chaintest.Options
	}{
		"memory": {func(t testing.TB) store.Store {
			s, err := memstore.New(nil)
			return must(t, s, err)
		}, chaintest.Options{}},
		"disk": {func(t testing.TB) store.Store {
			s, err := diskstore.Open(t.TempDir(), nil)
			return must(t, s, err)
		}, chaintest.Options{Rounds: 60}},
		"redis": {func(t testing.TB) store.Store {
			s, err := redisstore.Open("redis://"+redistest.Shared(t).Addr, &redisstore.Options{Prefix: redistest.Prefix(), CloseClient: true})
			return must(t, s, err)
		}, chaintest.Options{Rounds: 60}},
		"chain": {func(t testing.TB) store.Store {
			inner, err := memstore.New(nil)
			must(t, inner, err)
			c, err := chain.New([]chain.Tier{{Name: "memory", Store: inner}}, nil, &chain.Options{DefaultTTL: -1})
			if err != nil {
				t.Fatal(err)
			}
			return c.Store()
		}, chaintest.Options{Rounds: 100}},
	} {
		t.Run(name, func(t *testing.T) { chaintest.Run(t, f.open, &f.opts) })
	}
}
