package chain

import (
	"context"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// A key that is taken out of a shared tier is remembered there, where the store
// can do that: another process may be about to fill in what it read or loaded
// before. In a tier of this process's own the fences see to that.

// tombstoner returns the tier's store if deletes are to be remembered there.
func (t *tier) tombstoner() (store.Tombstoner, bool) {
	if !t.Shared {
		return nil, false
	}
	ts, ok := t.Store.(store.Tombstoner)
	return ts, ok
}

// erase removes key from the tier by an operation of the given version.
func (t *tier) erase(ctx context.Context, key string, version uint64) error {
	if ts, ok := t.tombstoner(); ok {
		return store.KeyError(ts.DeleteVersions(ctx, map[string]uint64{key: version}), key)
	}
	return t.Store.Delete(ctx, key)
}

// eraseMany is erase for many keys.
func (t *tier) eraseMany(ctx context.Context, versions map[string]uint64) error {
	if ts, ok := t.tombstoner(); ok {
		return ts.DeleteVersions(ctx, versions)
	}
	keys := make([]string, 0, len(versions))
	for key := range versions {
		keys = append(keys, key)
	}
	return store.DeleteMany(ctx, t.Store, keys)
}

// erased is the version by which o takes its key out of a tier. What is deleted is
// older than o; where the tier is only not to hold what o wrote elsewhere, a later
// reader may fill in just that.
func (o *operation) erased() uint64 { return erasedBy(o.version, o.deleted) }

// erased is operation.erased for a slot.
func (s *slot) erased() uint64 { return erasedBy(s.version, s.deleted) }

func erasedBy(version uint64, deleted bool) uint64 {
	if deleted || version == 0 {
		return version
	}
	return version - 1
}

// aged returns e, which p brings, with the version that it has in t. Within one
// millisecond the versions of two processes do not tell which came first, so what
// was loaded gives way, where several processes write, to every write and delete of the
// millisecond in which the load began: in a shared tier, in those that hear of its
// writes, and in memory, see object.loaded.
func (c *Chain) aged(t *tier, e store.Entry, p *promotion) store.Entry {
	if e.Version == p.stamp && c.ages(t) {
		e.Version = loadedAs(e.Version)
	}
	return e
}

// ages reports whether t has what was loaded under another version than memory has.
func (c *Chain) ages(t *tier) bool { return t.Shared || c.known != nil }

// loadedAs is the version, in a tier, of what was loaded under the given one.
func loadedAs(version uint64) uint64 { return version - version%clock.Millisecond }

// sharedVersion is the version that what memory holds has in a shared tier.
func sharedVersion(h held) uint64 {
	if h.loaded() {
		return loadedAs(h.ver())
	}
	return h.ver()
}

// remembers reports whether the tier still remembers every delete since stamp. A
// fill of what was read or loaded earlier could undo one of another process.
func (t *tier) remembers(stamp uint64) bool {
	ts, ok := t.tombstoner()
	if !ok {
		return true
	}
	ttl := ts.TombstoneTTL()
	return ttl == 0 || time.Since(clock.Time(stamp)) < ttl
}

// memoryOfDeletes is for how long the tier surely remembers deletes, with the time
// that a call may take; 0: not at all, or for nobody else.
func (t *tier) memoryOfDeletes() time.Duration {
	if ts, ok := t.tombstoner(); ok {
		return ts.TombstoneTTL() / 2
	}
	return 0
}
