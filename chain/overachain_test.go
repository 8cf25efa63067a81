package chain_test

import (
	"fmt"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// A chain below another has a clock of its own, which may be ahead or behind within
// a millisecond: what is tagged, invalidated and written again in the chain above
// follows its order all the same.
func TestTagsOverAChain(t *testing.T) {
	for round := range 50 {
		below := newChain(t, []chain.Tier{{Name: "disk", Store: newMap()}}, "", nil)
		near := faultstore.New(newMap()) // keeps the tags' barriers, and forgets the rest
		near.Inject(faultstore.Fault{Op: faultstore.OpReads, Key: func(key string) bool { return key[0] == 'k' }, Err: store.ErrNotFound})
		above := newChain(t, two(near, below.Store()), "", nil)
		cache := chain.NewCache[int](above, nil)
		tagged := chain.WriteOptions{Tags: []string{"t"}}
		for i := range 20 {
			noErr(t, cache.Set(t.Context(), fmt.Sprint("k", i), round, tagged))
		}
		noErr(t, above.InvalidateTags(t.Context(), "t"))
		noErr(t, cache.Set(t.Context(), "k0", -1, tagged))
		v, err := cache.Get(t.Context(), "k0")
		want(t, v, err, -1)
		for i := range 19 {
			v, err := cache.Get(t.Context(), fmt.Sprint("k", i+1))
			missing(t, v, err)
		}
	}
}
