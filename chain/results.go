package chain

import (
	"errors"
	"fmt"

	"github.com/stratacache/strata/store"
)

// Results are the outcomes of a batch, one a key: a value, not found, or an
// error.
type Results[V any] map[string]Result[V]

// Result is the outcome of one key of a batch.
type Result[V any] struct {
	Value V
	Err   error // errors.Is(Err, store.ErrNotFound) where no tier has the key
}

// Get returns the outcome of key. A key that was not asked for gives an error
// that says so.
func (r Results[V]) Get(key string) (V, error) {
	x, ok := r[key]
	if !ok {
		return x.Value, fmt.Errorf("strata: key %q was not in the batch", key)
	}
	return x.Value, x.Err
}

// Values returns the values that were found.
func (r Results[V]) Values() map[string]V {
	m := make(map[string]V, len(r))
	for key, x := range r {
		if x.Err == nil {
			m[key] = x.Value
		}
	}
	return m
}

// Err returns a *store.BatchError with the keys that failed for another reason
// than not being found, and nil if there are none.
func (r Results[V]) Err() error {
	var be *store.BatchError
	for key, x := range r {
		if x.Err != nil && !errors.Is(x.Err, store.ErrNotFound) {
			be = be.Add(key, x.Err)
		}
	}
	return be.ErrOrNil()
}
