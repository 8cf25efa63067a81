package chain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/packstore"
)

// A memory tier that packs knows, too, what was loaded: it does not pack that.
func TestPackedMemoryForgetsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		memory, err := packstore.New(&packstore.Options{Unpack: chain.Unpack})
		must(t, err)
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: memory}, {Name: "redis", Store: newest{redis}, Shared: true},
		}, "", &chain.Options{Feed: w.port(1)})
		cache := chain.NewCache[[]byte](c, nil)
		synctest.Wait()
		_, err = cache.GetOrLoad(t.Context(), "k", func(context.Context, string) ([]byte, error) { return []byte("loaded"), nil })
		must(t, err)
		flush(t, c)
		e, _ := redis.Peek("k")
		elsewhere(t, w, redis, "", e.Version+1)
		if got, err := cache.Get(t.Context(), "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("read %q, %v; another process has deleted it", got, err)
		}
	})
}
