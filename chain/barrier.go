package chain

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/stratacache/strata/store"
)

// barriers are the versions before which entries no longer count: one for all
// that the chain holds, and one a tag. An invalidation costs O(1) however many
// entries it covers, for they are compared when they are read.
type barriers struct {
	mu   sync.RWMutex
	all  uint64
	tags map[string]uint64
}

// valid reports whether an entry is covered by no barrier. epoch is the chain's
// at which it was last found so; 0 is none. An entry of unknown version is not
// covered by Clear, which has removed it from the tiers themselves.
func (c *Chain) valid(epoch, version uint64, tags []string) bool {
	if epoch == c.epoch.Load() {
		return true
	}
	b := &c.barriers
	b.mu.RLock()
	defer b.mu.RUnlock()
	if version != 0 && version <= b.all {
		return false
	}
	for _, tag := range tags {
		if version <= b.tags[tag] && b.tags[tag] != 0 {
			return false
		}
	}
	return true
}

// InvalidateTags makes every entry that carries one of tags, and was written
// before, a miss in every tier. Entries written since are not touched, whatever
// races with the call.
func (c *Chain) InvalidateTags(_ context.Context, tags ...string) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	version := c.hlc.Next()
	c.raiseTags(tags, version)
	for _, tag := range tags {
		c.announce(store.ChangeTag, tag, version)
	}
	return nil
}

// raiseTags makes version the barrier of tags.
func (c *Chain) raiseTags(tags []string, version uint64) {
	b := &c.barriers
	b.mu.Lock()
	next := maps.Clone(b.tags)
	if next == nil {
		next = make(map[string]uint64)
	}
	for _, tag := range tags {
		next[tag] = max(next[tag], version)
	}
	b.tags = next
	b.mu.Unlock()
	c.epoch.Add(1) // after the barrier, so that whoever sees the epoch sees it too
	c.flights.forgetAll()
}

// Clear removes all that the chain holds, pending writes included, from every
// tier: from Redis what lies under the store's prefix. Loads and fills that began
// before do not bring anything back.
func (c *Chain) Clear(ctx context.Context) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	c.raiseAll(c.hlc.Next())
	errs := []error{}
	for i := len(c.bytes) - 1; i >= 0; i-- {
		t := c.bytes[i]
		t.queue.clear()
		err := t.call(ctx, &t.writes, func(ctx context.Context) error { return store.Clear(ctx, t.Store) })
		if err != nil {
			errs = append(errs, tierError("clear", t.Name, "", err))
		}
	}
	version := c.hlc.Next()
	c.raiseAll(version)
	if c.memory != nil {
		if err := store.Clear(ctx, c.memory.Store); err != nil {
			errs = append(errs, tierError("clear", c.memory.Name, "", err))
		}
	}
	c.absent.clear()
	c.announce(store.ChangeClear, "", version)
	return errors.Join(errs...)
}

func (c *Chain) raiseAll(version uint64) {
	c.barriers.mu.Lock()
	c.barriers.all = max(c.barriers.all, version)
	c.barriers.mu.Unlock()
	c.epoch.Add(1)
	c.fences.raiseAll(c.hlc.Next())
	c.flights.forgetAll()
}
