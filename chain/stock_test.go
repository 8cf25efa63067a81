package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// slowStart holds the first batch that asks for "shared" until it is let go.
type slowStart struct {
	*mapStore
	begun, letGo chan struct{}
	once         *sync.Once
}

func (s slowStart) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	if keys[0] == "shared" {
		s.once.Do(func() {
			close(s.begun)
			<-s.letGo
		})
	}
	return s.mapStore.GetMany(ctx, keys)
}

// What a batch was made of is used again for later ones of the same caller, but not what
// others wait for: they get their value however soon it goes on.
func TestBatchesLeaveOthersTheirFlights(t *testing.T) {
	m := newMap()
	keys := []string{"shared"}
	for i := range 100 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	for _, key := range keys {
		m.Plant(key, store.Entry{Value: []byte(key), Codec: "text"})
	}
	for range 50 {
		tier := slowStart{m, make(chan struct{}), make(chan struct{}), new(sync.Once)}
		cache := chain.NewCache[string](newChain(t, []chain.Tier{{Name: "redis", Store: tier}}, "", nil), nil)
		var waiters, ready sync.WaitGroup
		waiters.Go(func() {
			for i := range 5 { // on its own stock, again and again
				got, err := cache.GetMany(t.Context(), keys[:100-i])
				if err != nil || len(got) != 100-i {
					t.Errorf("%d values, %v", len(got), err)
				}
			}
		})
		<-tier.begun
		for i := range 8 {
			ready.Add(1)
			waiters.Go(func() {
				ready.Done()
				some := []string{"shared", keys[1+i], keys[99-i]}
				got, err := cache.GetMany(t.Context(), some)
				for _, key := range some {
					if got[key].Value != key {
						t.Errorf("%s: %q, %v (%v)", key, got[key].Value, got[key].Err, err)
					}
				}
			})
		}
		ready.Wait()
		close(tier.letGo)
		waiters.Wait()
		if t.Failed() {
			return
		}
	}
}
