package gocachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// Values says which type a wrapped store's Get returns.
type Values int

const (
	// AsSet returns what was set: []byte for []byte, and string for string and
	// for values of unknown type, as gocache's Redis store does.
	AsSet Values = iota
	// Strings returns string for every value.
	Strings
	// Bytes returns []byte for every value.
	Bytes
)

// The codec names that record what was set. They are those of strata's own
// codecs for these types, so that a strata program can share the keys.
const (
	codecText  = "text"
	codecBytes = "bytes"
)

// StrataType is what GetType of a wrapped store returns.
const StrataType = "strata"

// WrapOptions configures WrapWith. The zero value, like nil, is the default.
type WrapOptions struct {
	// Values says which type Get returns. Set it to the type of the gocache
	// Cache[T] on top: that turns a value of the other type, silently, into "".
	Values Values
	// Expiration is the time to live of entries that are set without one. 0:
	// they do not expire.
	Expiration time.Duration
}

// wrapper is a strata store as a gocache store.
type wrapper struct {
	s     store.Store
	opts  WrapOptions
	clock clock.HLC // versions, so that a slow fill cannot undo a Set
}

var _ lib_store.StoreInterface = (*wrapper)(nil)

// Wrap returns s as a gocache store. s stays the caller's to close; the gocache
// store has nothing to close. It is safe for concurrent use.
func Wrap(s store.Store) lib_store.StoreInterface { return WrapWith(s, nil) }

// WrapWith is Wrap with options, which may be nil.
func WrapWith(s store.Store, opts *WrapOptions) lib_store.StoreInterface {
	w := &wrapper{s: s}
	if opts != nil {
		w.opts = *opts
	}
	return w
}

// notFound is gocache's "not found", for which errors.Is(err, store.ErrNotFound)
// holds too.
var notFound = lib_store.NotFoundWithCause(store.ErrNotFound)

// Get implements gocache's StoreInterface.
func (w *wrapper) Get(ctx context.Context, key any) (any, error) {
	value, _, err := w.GetWithTTL(ctx, key)
	return value, err
}

// GetWithTTL returns the value and what is left of its life, exactly; 0 means
// that it does not expire.
func (w *wrapper) GetWithTTL(ctx context.Context, key any) (any, time.Duration, error) {
	k, err := keyOf(key)
	if err != nil {
		return nil, 0, err
	}
	e, err := w.s.Get(ctx, k)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, notFound
	}
	if err != nil {
		return nil, 0, err
	}
	left, expires := e.TTL(time.Now())
	if expires && left <= 0 {
		return nil, 0, notFound
	}
	return w.value(&e), left, nil
}

// value copies: those who use gocache do not know that a store's bytes are
// read-only.
func (w *wrapper) value(e *store.Entry) any {
	if w.opts.Values == Bytes || w.opts.Values == AsSet && e.Codec == codecBytes {
		if e.Value == nil {
			return []byte{}
		}
		return bytes.Clone(e.Value)
	}
	return string(e.Value)
}

// persistentTTL is what gocache's Redis store reports as the time to live of a
// key without one; its chain hands it on to the next store's Set.
const persistentTTL = time.Duration(-1)

// Set stores value, a string or []byte. Of the options it honours expiration, to
// the nanosecond or as exactly as the store can, and tags; an expiration of -1,
// which gocache's chain passes for persistent keys, is none. A negative one
// removes the key, for it has expired. Writes are always synchronous, the cost is
// the store's own affair, and tags live as long as their entries.
func (w *wrapper) Set(ctx context.Context, key, value any, options ...lib_store.Option) error {
	k, err := keyOf(key)
	if err != nil {
		return err
	}
	opts := lib_store.ApplyOptionsWithDefault(&lib_store.Options{Expiration: w.opts.Expiration}, options...)
	e := store.Entry{Version: w.clock.Next(), Tags: opts.Tags}
	switch v := value.(type) {
	case string:
		e.Value, e.Codec = []byte(v), codecText
	case []byte:
		e.Value, e.Codec = bytes.Clone(v), codecBytes
	default:
		return &store.Error{Op: "set", Tier: StrataType, Key: k, Err: fmt.Errorf(
			"%w %T: string and []byte can be stored, others through gocache's marshaler", ErrValueType, value)}
	}
	if opts.Expiration != 0 && opts.Expiration != persistentTTL {
		e.Expires = time.Now().Add(opts.Expiration)
	}
	return w.s.Set(ctx, k, e)
}

// Delete implements gocache's StoreInterface.
func (w *wrapper) Delete(ctx context.Context, key any) error {
	k, err := keyOf(key)
	if err != nil {
		return err
	}
	return w.s.Delete(ctx, k)
}

// Clear removes what the store holds: of a Redis, the keys under its prefix.
func (w *wrapper) Clear(ctx context.Context) error { return store.Clear(ctx, w.s) }

// GetType implements gocache's StoreInterface.
func (w *wrapper) GetType() string { return StrataType }
