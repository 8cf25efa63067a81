// Package serial has the batch calls of stores in this process, for which one key
// after the other is the quickest: the fall-backs of package store begin
// goroutines, to hide the latency of a network that is not there.
package serial

import (
	"context"
	"errors"

	"github.com/stratacache/strata/store"
)

// GetMany is s.Get for each key.
func GetMany(ctx context.Context, s store.Store, keys []string) (map[string]store.Entry, error) {
	found := make(map[string]store.Entry, len(keys))
	var be *store.BatchError
	for _, key := range keys {
		if _, again := found[key]; again {
			continue
		}
		e, err := s.Get(ctx, key)
		switch {
		case err == nil:
			found[key] = e
		case !errors.Is(err, store.ErrNotFound):
			be = be.Add(key, err)
		}
	}
	return found, be.ErrOrNil()
}

// SetMany is s.Set for each entry.
func SetMany(ctx context.Context, s store.Store, entries map[string]store.Entry) error {
	var be *store.BatchError
	for key, e := range entries {
		if err := s.Set(ctx, key, e); err != nil {
			be = be.Add(key, err)
		}
	}
	return be.ErrOrNil()
}

// DeleteMany is s.Delete for each key.
func DeleteMany(ctx context.Context, s store.Store, keys []string) error {
	var be *store.BatchError
	for _, key := range keys {
		if err := s.Delete(ctx, key); err != nil {
			be = be.Add(key, err)
		}
	}
	return be.ErrOrNil()
}
