package store

import (
	"context"
	"errors"
	"time"
)

// ErrLeased is the error of a Leaser whose key is leased to somebody else.
var ErrLeased = errors.New("strata: leased to another process")

// Leaser is a shared store that lets one process at a time load a key.
type Leaser interface {
	// Lease takes the right to load key. It is renewed until it is released, and
	// runs out ttl after its holder has died. ErrLeased: another has it.
	Lease(ctx context.Context, key string, ttl time.Duration) (Lease, error)
	// AwaitLease returns nil once the lease of key that another holds has been
	// released, broken or has run out.
	AwaitLease(ctx context.Context, key string) error
	// BreakLease takes the lease of key away from whoever holds it, so that what
	// is being loaded is not stored. Every write does so, before and after: a load
	// that overlaps it may have read the old state.
	BreakLease(ctx context.Context, key string) error
}

// LeaseWriter is a Leaser that needs few round trips to break leases for writes.
type LeaseWriter interface {
	// SetLeased is BreakLease, Set and BreakLease again, in this order. After an error
	// any of them may be done or not.
	SetLeased(ctx context.Context, key string, e Entry) error
	// BreakLeases is BreakLease for many keys; see KeyError for what failed.
	BreakLeases(ctx context.Context, keys []string) error
}

// Lease is the right to load one key. It is safe for concurrent use.
type Lease interface {
	// Fill stores the loaded entry if the lease is still held, and does not
	// replace a newer version; stored is false where it was not stored.
	Fill(ctx context.Context, e Entry) (stored bool, err error)
	// Release ends the lease and wakes those who wait for it. It is called once,
	// in any case.
	Release(ctx context.Context) error
}
