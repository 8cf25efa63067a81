package memstore

import (
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// Keyed is implemented by objects that know their key. Scan lists them; others
// it cannot, for the engine keeps no keys.
type Keyed interface {
	CacheKey() string
}

var errNilObject = errors.New("the object is nil")

// GetObject implements store.Objects. A hit allocates nothing and takes no lock
// of this package. An entry that was stored with Set is returned as a
// *store.Entry, which may have expired and must not be modified.
func (s *Store) GetObject(key string) (obj any, ok bool) {
	st := s.stripe()
	if obj = s.find(st, key); obj == nil {
		st.misses.Add(1)
		return nil, false
	}
	st.hits.Add(1)
	return public(obj), true
}

// PeekObject implements store.ObjectPeeker.
func (s *Store) PeekObject(key string) (obj any, ok bool) {
	k := s.index.Key(key)
	if obj = s.index.Peek(k); obj != nil {
		return public(obj), true
	}
	st := s.stripe()
	if !s.enter(st) {
		return nil, false
	}
	defer st.leave()
	if obj, ok = s.findRecent(s.shardOf(k), key, notLooked); !ok {
		return nil, false
	}
	return public(obj), true
}

// public returns obj as callers see it.
func public(obj any) any {
	if e, is := obj.(*entry); is {
		return &e.Entry
	}
	return obj
}

// SetObject implements store.Objects. An object whose deadline has passed, or
// that is beyond Options.MaxEntry (store.ErrTooLarge), is not stored, and the key
// is then absent. A nil object is refused.
func (s *Store) SetObject(key string, obj any, cost int64, expires time.Time) error {
	const op = "setobject"
	if err := checkObject(op, key, obj); err != nil {
		return err
	}
	if !expires.IsZero() && !time.Now().Before(expires) {
		return s.del(op, key)
	}
	_, err := s.put(op, key, obj, min(max(cost, 0), s.size.maxEntry)+overhead(key), nil)
	return err
}

func checkObject(op, key string, obj any) error {
	if key == "" {
		return fail(op, key, store.ErrInvalidKey)
	}
	if obj == nil {
		return fail(op, key, errNilObject)
	}
	return nil
}
