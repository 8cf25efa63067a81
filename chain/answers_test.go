package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// inOrder answers in the order of the keys, as Redis does, in the room that it is given.
type inOrder struct {
	*mapStore
	fail  error
	panic bool
}

func (s *inOrder) Interruptible() {}

func (s *inOrder) GetEach(ctx context.Context, keys []string, answers []store.Answer) error {
	var be *store.BatchError
	for i, key := range keys {
		switch e, err := s.Get(ctx, key); {
		case err == nil:
			answers[i] = store.Answer{Entry: e, Found: true}
		case !errors.Is(err, store.ErrNotFound):
			be = be.Add(key, err)
		}
		if s.panic {
			panic("planted")
		}
	}
	if s.fail != nil {
		return s.fail
	}
	return be.ErrOrNil()
}

// The room of a batch's answers is used again: what an earlier batch was told is no
// answer to a later one, whose tier failed, or was not asked.
func TestAnswersOfAnEarlierBatch(t *testing.T) {
	s := &inOrder{mapStore: newMap()}
	c := newChain(t, []chain.Tier{{Name: "redis", Store: s}}, "", &chain.Options{Breaker: chain.BreakerOptions{Failures: 2}})
	cache := chain.NewCache[int](c, nil)
	var keys, absent []string
	for i := range 40 {
		keys, absent = append(keys, fmt.Sprint("k", i)), append(absent, fmt.Sprint("absent", i))
		noErr(t, cache.Set(t.Context(), keys[i], i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := func(keys []string, want int, wrong error) {
		t.Helper()
		got, _ := cache.GetMany(ctx, keys)
		found := 0
		for i, key := range keys {
			switch r := got[key]; {
			case r.Err == nil && r.Value == i:
				found++
			case !errors.Is(r.Err, wrong):
				t.Errorf("%s: %v, %v; want %v", key, r.Value, r.Err, wrong)
			}
		}
		if found != want || len(got) != len(keys) {
			t.Errorf("%d of %d keys were found, want %d", found, len(keys), want)
		}
	}
	failure := errors.New("planted")
	for range 3 {
		read(keys, 40, store.ErrNotFound)
		read(absent, 0, store.ErrNotFound)
		read(append(absent[:5:5], keys[5:12]...), 7, store.ErrNotFound)
	}
	s.fail = &store.BatchError{Errs: map[string]error{keys[3]: failure}}
	noErr(t, s.Delete(ctx, keys[3]))
	read(keys, 39, failure)
	s.fail = nil
	read(keys, 39, store.ErrNotFound)
	s.panic = true // after its first answer
	if r, _ := cache.GetMany(ctx, keys); r[keys[0]].Err != nil || r[keys[1]].Err == nil || errors.Is(r[keys[1]].Err, store.ErrNotFound) {
		t.Errorf("a store that panics amid its answers: %+v, %+v", r[keys[0]], r[keys[1]])
	}
	s.panic, s.fail = false, failure
	for range 3 { // the breaker opens
		read(keys, 39, failure)
		if c.Stats().Tiers[0].Breaker == "open" {
			break
		}
	}
	read(keys, 0, chain.ErrTierDown)
}
