package memstore

import (
	"errors"
	"time"
	"unsafe"

	"github.com/stratacache/strata/internal/index"
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
	// What find does, without a frame of its own: the look into the engine is as deep as a
	// goroutine's first stack, and who comes to ask for one key would have to grow his.
	st, k := s.stripe(), s.index.Key(key)
	if obj = s.index.Find(k); obj == nil {
		if obj = s.search(st, key, k); obj == nil {
			s.miss(st)
			return nil, false
		}
	}
	s.hit(st)
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
	if obj = s.findRecent(s.shardOf(k), key, k, notLooked); obj == nil {
		return nil, false
	}
	return public(obj), true
}

// foreign is an object that has no header, or one that is in use elsewhere, as the
// store holds it.
type foreign struct {
	index.Header
	obj any
}

// public returns an object of the store as callers see it.
func public(obj any) any {
	switch o := obj.(type) {
	case *entry:
		return &o.Entry
	case *foreign:
		return o.obj
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
	_, err := s.put(op, key, obj, s.objectCost(key, obj, cost), nil)
	return err
}

// FillObject implements store.ObjectFiller.
func (s *Store) FillObject(key string, obj any, cost int64, _ time.Time, keep func(old any) bool) (stored bool, err error) {
	const op = "fillobject"
	if err := checkObject(op, key, obj); err != nil {
		return false, err
	}
	return s.put(op, key, obj, s.objectCost(key, obj, cost), func(sh *shard, k index.Key) bool {
		old := s.index.Peek(k)
		if old == nil {
			old = s.peek(sh, key, k)
		}
		return old == nil || !keep(public(old))
	})
}

// objectCost is what obj takes in all, where its owner says that it takes cost.
func (s *Store) objectCost(key string, obj any, cost int64) int64 {
	cost = min(max(cost, 0), s.size.maxEntry) + overhead(key)
	if _, ok := obj.(index.Object); !ok {
		cost += int64(unsafe.Sizeof(foreign{}))
	}
	return cost
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
