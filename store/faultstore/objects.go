package faultstore

import (
	"context"
	"time"

	"github.com/stratacache/strata/store"
)

// ObjectStore is a Store over a store that holds objects.
type ObjectStore struct {
	*Store
	objects store.Objects
}

var _ store.Objects = (*ObjectStore)(nil)

// NewObjects wraps a store that is also a store.Objects.
func NewObjects(s interface {
	store.Store
	store.Objects
}) *ObjectStore {
	return &ObjectStore{Store: New(s), objects: s}
}

// GetObject implements store.Objects under the faults of OpGet. Any Err makes it
// a miss. It has no context: a hang ends by Release or Reset only.
func (s *ObjectStore) GetObject(key string) (obj any, ok bool) {
	err := s.do(context.Background(), OpGet, key, func() error {
		obj, ok = s.objects.GetObject(key)
		return nil
	})
	if err != nil {
		return nil, false
	}
	return obj, ok
}

// SetObject implements store.Objects under the faults of OpSet.
func (s *ObjectStore) SetObject(key string, obj any, cost int64, expires time.Time) error {
	return s.do(context.Background(), OpSet, key, func() error {
		return s.objects.SetObject(key, obj, cost, expires)
	})
}
