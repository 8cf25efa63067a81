package memstore

import (
	"context"

	"github.com/stratacache/strata/internal/serial"
	"github.com/stratacache/strata/store"
)

// GetMany implements store.BatchGetter.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	return serial.GetMany(ctx, s, keys)
}

// SetMany implements store.BatchSetter.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	return serial.SetMany(ctx, s, entries)
}

// DeleteMany implements store.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	return serial.DeleteMany(ctx, s, keys)
}
