package chain

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/stratacache/strata/store"
)

// Opened returns a tier of what the constructor of a store returned, its error
// included, so that several stores can be opened in one expression:
//
//	c, err := chain.New([]chain.Tier{
//		chain.Opened(memstore.New(nil)).As("memory"),
//		chain.Opened(diskstore.Open(dir, nil)).As("disk"),
//	}, rules, nil)
//
// New returns the errors of all tiers that could not be opened. Nobody else holds
// the other ones then, so where New fails, for this reason or any other, it
// closes the stores of tiers that Opened made.
func Opened[S store.Store](s S, err error) Tier {
	t := Tier{err: err, opened: true}
	// A nil *S must not become an interface that is not nil.
	if err == nil && !reflect.ValueOf(&s).Elem().IsZero() {
		t.Store = s
	}
	return t
}

// As returns the tier under a name.
func (t Tier) As(name string) Tier {
	t.Name = name
	return t
}

// openErrors returns why tiers could not be opened.
func openErrors(tiers []Tier) error {
	var errs []error
	for _, t := range tiers {
		if t.err != nil {
			errs = append(errs, fmt.Errorf("strata: opening tier %q: %w", t.Name, t.err))
		}
	}
	return errors.Join(errs...)
}

// closeOpened closes the stores that only a chain that was not made has.
func closeOpened(tiers []Tier) error {
	var errs []error
	for _, t := range tiers {
		if t.opened && t.Store != nil {
			errs = append(errs, t.Store.Close())
		}
	}
	return errors.Join(errs...)
}
