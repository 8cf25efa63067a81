// Package gocachestore connects strata and github.com/eko/gocache (lib/v4), in
// both directions.
//
// # A strata store under gocache
//
// [Wrap] makes any store.Store, a chain among them, a gocache store, for programs
// that use gocache's caches and want what strata's stores keep: exact times to
// live, a Clear that removes this store's keys only, tags that are kept with the
// entry.
//
// Keys are strings, or have a String or GetCacheKey method; other types are an
// error, not a hash. Values are string and []byte, and come back as the type they
// were set with, where the store keeps codec names; other types are an error of
// Set, because gocache would read them back as zero values without an error. Use
// gocache's marshaler for those. An absent key is gocache's *store.NotFound, which
// wraps strata's store.ErrNotFound.
//
// # A gocache store under strata
//
// [Tier] makes any gocache store a tier of a chain. Entries are framed, so
// deadlines to the microsecond, versions, tags and codec names survive in stores
// that know none of it. Values that other programs put there are served if they
// are string or []byte, with the time to live that the gocache store tells.
//
// What a gocache store cannot do, no wrapper can add: fills are not atomic
// between processes, keys cannot be listed, and a store that drops writes under
// load (gocache's on ristretto) may forget an entry. A write that its caller has left,
// because his context ended and the gocache store does not heed it, may still land:
// later writes of the key wait until it has ended. Clear is refused unless
// allowed, for gocache's Redis store flushes the whole server then.
package gocachestore
