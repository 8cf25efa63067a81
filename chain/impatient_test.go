package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// Readers whose deadlines are shorter than a tier takes say nothing about the tier:
// neither what they ask it for, nor the barriers of tags that are looked up on the way,
// count as its failures. Were it otherwise, they would cut it off for everybody.
func TestImpatientReadersOpenNoBreaker(t *testing.T) {
	for _, op := range []faultstore.Op{faultstore.OpGet, faultstore.OpGetMany} {
		t.Run(op.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := faultstore.New(newMap())
				c := newChain(t, two(newObjects(99), slow), `rules: [{keys: "k:{id}", ttl: 1h, tags: ["t-{id}"]}]`, nil)
				cache := chain.NewCache[int](c, nil)
				const keys = 20
				for i := range keys {
					noErr(t, cache.Set(t.Context(), fmt.Sprint("k:", i), i))
				}
				c = newChain(t, []chain.Tier{{Name: "slow", Store: slow}}, `rules: [{keys: "k:{id}", ttl: 1h, tags: ["t-{id}"]}]`, nil)
				cache = chain.NewCache[int](c, nil)
				slow.Inject(faultstore.Fault{Op: op, Delay: 30 * time.Millisecond})
				for i := range keys {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
					if _, err := cache.Get(ctx, fmt.Sprint("k:", i)); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v; want the caller's deadline", err)
					}
					cancel()
					if s := c.Stats().Tiers[0]; s.Breaker != "closed" || s.Errors > 0 {
						t.Fatalf("after %d readers the breaker is %s, with %d errors", i+1, s.Breaker, s.Errors)
					}
				}
				v, err := cache.Get(t.Context(), "k:7")
				want(t, v, err, 7)
			})
		})
	}
}

// deaf is a store that takes no notice of the end of a context when it is asked for
// many keys.
type deaf struct {
	*mapStore
	release chan struct{}
}

func (s deaf) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	<-s.release
	return s.mapStore.GetMany(ctx, keys)
}

// A store that ignores contexts holds nobody when it is asked for the barriers of tags.
func TestDeafStoreHoldsNobodyByItsBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := deaf{newMap(), make(chan struct{})}
		s.Plant("k:1", store.Entry{Value: []byte("1"), Version: 1, Tags: []string{"t"}, Codec: "text"})
		c := newChain(t, []chain.Tier{{Name: "deaf", Store: s}}, "", &chain.Options{TierTimeout: time.Hour})
		cache := chain.NewCache[int](c, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := cache.Get(ctx, "k:1"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v; want the caller's deadline", err, time.Since(start))
		}
		close(s.release)
	})
}
