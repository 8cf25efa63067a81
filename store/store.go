package store

import (
	"context"
	"time"
)

// Store is one tier of a cache: a map from keys to entries. Implementations
// are safe for concurrent use. See the package documentation for the contract.
type Store interface {
	// Get returns the entry of key, or ErrNotFound if there is none or it has
	// expired. Any other error means that the store could not answer.
	Get(ctx context.Context, key string) (Entry, error)
	// Set stores e under key, replacing what was there. An entry that has
	// already expired removes the key instead.
	Set(ctx context.Context, key string, e Entry) error
	// Delete removes key. An absent key is no error.
	Delete(ctx context.Context, key string) error
	// Close releases the store's resources. A second Close returns nil; any
	// other method then returns ErrClosed.
	Close() error
}

// Entry is one value with its deadlines and version. The zero time means
// "never" for both deadlines.
type Entry struct {
	// Value is the encoded value. It is read-only once handed over: it may be the
	// memory of a string, where writing can end the program.
	Value []byte
	// Expires is the hard deadline. A store never returns an entry past it.
	Expires time.Time
	// Fresh is the soft deadline, between which and Expires the value may be
	// served as stale by those who choose to. Zero means Expires.
	Fresh time.Time
	// Version orders the writes of one key: 48 bits of Unix milliseconds, 16 of
	// counter. 0 is a write of unknown age (a foreign program's); any stamped
	// write replaces it.
	Version uint64
	// Tags are the groups that the entry can be invalidated by.
	Tags []string
	// Codec names the encoding of Value ("json", "parquet", ...); empty where
	// nobody recorded it. It is a hint for tools and for type checks: the bytes
	// are what counts.
	Codec string
}

// Expired reports whether the entry's hard deadline has passed at now.
func (e *Entry) Expired(now time.Time) bool {
	return !e.Expires.IsZero() && !now.Before(e.Expires)
}

// Stale reports whether the entry's soft deadline has passed at now.
func (e *Entry) Stale(now time.Time) bool {
	f := e.FreshUntil()
	return !f.IsZero() && !now.Before(f)
}

// FreshUntil returns the soft deadline: Fresh, or Expires where Fresh is zero.
// The zero time means never.
func (e *Entry) FreshUntil() time.Time {
	if e.Fresh.IsZero() {
		return e.Expires
	}
	return e.Fresh
}

// TTL returns what is left until the hard deadline at now. ok is false for an
// entry that never expires. A deadline that has passed gives a duration <= 0.
func (e *Entry) TTL(now time.Time) (left time.Duration, ok bool) {
	if e.Expires.IsZero() {
		return 0, false
	}
	return e.Expires.Sub(now), true
}

// Newer reports whether an entry of version a must replace one of version b.
// An unknown version (0) replaces only another unknown one.
func Newer(a, b uint64) bool { return a > b || a == 0 && b == 0 }
