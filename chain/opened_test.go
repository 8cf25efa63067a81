package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

func TestOpened(t *testing.T) {
	open := func(s *mapStore, err error) (*mapStore, error) { return s, err }
	closed := func(s *mapStore) bool {
		_, err := s.Get(t.Context(), "k")
		return errors.Is(err, store.ErrClosed)
	}
	t.Run("all", func(t *testing.T) {
		a, b := newMap(), newMap()
		c, err := chain.New([]chain.Tier{chain.Opened(open(a, nil)).As("a"), chain.Opened(open(b, nil)).As("b")}, nil, nil)
		noErr(t, err)
		noErr(t, chain.NewCache[int](c, nil).Set(t.Context(), "k", 1))
		if _, ok := a.Peek("k"); !ok {
			t.Error("not written")
		}
		noErr(t, c.Close(t.Context()))
	})
	t.Run("two do not open", func(t *testing.T) {
		mine, theirs := newMap(), newMap()
		errOne, errTwo := errors.New("no disk"), errors.New("no network")
		_, err := chain.New([]chain.Tier{
			chain.Opened(open(theirs, nil)).As("near"), {Name: "mine", Store: mine},
			chain.Opened(open(nil, errOne)).As("disk"), chain.Opened(open(nil, errTwo)).As("redis"),
		}, nil, nil)
		if !errors.Is(err, errOne) || !errors.Is(err, errTwo) || !strings.Contains(err.Error(), `opening tier "disk": no disk`) {
			t.Errorf("New: %v", err)
		}
		if !closed(theirs) || closed(mine) {
			t.Errorf("opened: closed %v, want true; the caller's: %v, want false", closed(theirs), closed(mine))
		}
	})
	t.Run("the chain is wrong", func(t *testing.T) {
		theirs := newMap()
		if _, err := chain.New([]chain.Tier{chain.Opened(open(theirs, nil))}, nil, nil); err == nil || !strings.Contains(err.Error(), "has no Name") {
			t.Errorf("New: %v", err)
		}
		if !closed(theirs) {
			t.Error("the store that nobody holds is open")
		}
	})
	t.Run("neither store nor error", func(t *testing.T) {
		if _, err := chain.New([]chain.Tier{chain.Opened(open(nil, nil)).As("a")}, nil, nil); err == nil || !strings.Contains(err.Error(), `"a" has no Store`) {
			t.Errorf("New: %v", err)
		}
		if _, err := chain.New([]chain.Tier{chain.Opened[store.Store](nil, nil).As("a")}, nil, nil); err == nil {
			t.Error("a nil interface is no store")
		}
	})
}
