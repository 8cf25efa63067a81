package memstore

import (
	"context"
	"errors"

	"github.com/stratacache/strata/store"
)

// GetMany implements store.BatchGetter.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
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

// SetMany implements store.BatchSetter.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	var be *store.BatchError
	for key, e := range entries {
		if err := s.Set(ctx, key, e); err != nil {
			be = be.Add(key, err)
		}
	}
	return be.ErrOrNil()
}

// DeleteMany implements store.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	var be *store.BatchError
	for _, key := range keys {
		if err := s.Delete(ctx, key); err != nil {
			be = be.Add(key, err)
		}
	}
	return be.ErrOrNil()
}
