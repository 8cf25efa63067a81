package chain

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// barriers are the versions before which entries no longer count: one for all
// that the chain holds, and one a tag. An invalidation costs O(1) however many
// entries it covers, for they are compared when they are read.
type barriers struct {
	mu   sync.RWMutex
	all  uint64
	tags map[string]uint64
	// floor is the barrier of all tags that are not in the map.
	floor uint64
	// known are the tags whose barriers the tiers were asked for since learned.
	known   map[string]bool
	learned time.Time
}

// raise makes version the barrier of tag. b is locked.
func (b *barriers) raise(tag string, version uint64) {
	if b.tags == nil {
		b.tags = make(map[string]uint64)
	}
	b.tags[tag] = max(b.tags[tag], version)
}

// maxTags bounds the barriers that are kept one by one.
const maxTags = 65536

// bound drops the older half of the barriers when there are too many: the newest
// of those becomes the barrier of every tag that has none of its own. That may
// cost entries of other tags, which are loaded again; it never brings one back.
func (b *barriers) bound() {
	if len(b.tags) <= maxTags {
		return
	}
	versions := make([]uint64, 0, len(b.tags))
	for _, v := range b.tags {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	b.floor = max(b.floor, versions[len(versions)/2])
	for tag, v := range b.tags {
		if v <= b.floor {
			delete(b.tags, tag)
		}
	}
}

// of returns the barrier of tag; 0 is none.
func (b *barriers) of(tag string) uint64 { return max(b.tags[tag], b.floor) }

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
		if at := b.of(tag); at != 0 && version <= at {
			return false
		}
	}
	return true
}

// InvalidateTags makes every entry that carries one of tags, and was written
// before, a miss in every tier. Entries written since are not touched, whatever
// races with the call. It costs the same however many entries there are: the tiers
// are told of the tags' new barriers, with which entries are compared when they
// are read, after a restart too, and in other processes that share a tier: at once
// where there is a feed, within 10 seconds or when their memory drops the entry
// otherwise. The error says that no tier could be told; the barrier holds in this
// process all the same.
func (c *Chain) InvalidateTags(ctx context.Context, tags ...string) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	if len(tags) == 0 {
		return nil
	}
	c.learn(ctx, tags) // so that the new barrier is above those that others raised
	version := c.hlc.Seal()
	c.raiseTags(tags, version)
	keys := make([]string, len(tags))
	for i, tag := range tags {
		keys[i] = tagKeys + tag
	}
	err := c.saveBarrier(ctx, version, keys...)
	for _, tag := range tags {
		c.announce(store.ChangeTag, tag, version)
	}
	return err
}

// raiseTags makes version the barrier of tags.
func (c *Chain) raiseTags(tags []string, version uint64) {
	b := &c.barriers
	b.mu.Lock()
	for _, tag := range tags {
		b.raise(tag, version)
	}
	b.bound()
	b.mu.Unlock()
	c.epoch.Add(1) // after the barrier, so that whoever sees the epoch sees it too
	c.flights.forgetAll()
}

// Clear removes all that the chain holds, pending writes included, from every
// tier: from Redis what lies under the store's prefix. Loads, fills and flushes
// that began before do not bring anything back. A Sink keeps what it has, and gets
// the writes that wait for it.
func (c *Chain) Clear(ctx context.Context) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	c.raiseAll(c.hlc.Next())
	errs := []error{}
	for i := len(c.bytes) - 1; i >= 0; i-- {
		t := c.bytes[i]
		if t.sink != nil {
			continue
		}
		if err := t.queue.pause(ctx); err != nil {
			errs = append(errs, tierError("clear", t.Name, "", err))
			continue
		}
		defer t.queue.resume()
		if err := c.empty(ctx, t, c.hlc.Last()); err != nil {
			errs = append(errs, tierError("clear", t.Name, "", err))
		}
	}
	// Writes that ran into the Clear lie behind its barrier, now also in the queues.
	version := c.hlc.Seal()
	c.raiseAll(version)
	for _, t := range c.bytes {
		if t.sink == nil {
			t.queue.clear(version)
		}
	}
	if err := c.saveBarrier(ctx, version, clearKey); err != nil && len(errs) == 0 {
		errs = append(errs, err)
	}
	if c.memory != nil {
		if err := store.Clear(ctx, c.memory.Store); err != nil {
			errs = append(errs, tierError("clear", c.memory.Name, "", err))
		}
	}
	c.absent.clear()
	if c.ledger != nil {
		errs = append(errs, c.ledger.sync(ctx)) // or a crash would bring the writes back
	}
	c.announce(store.ChangeClear, "", version)
	return errors.Join(errs...)
}

// empty clears a tier, and drops the writes up to version that wait for it. The
// queue is paused.
func (c *Chain) empty(ctx context.Context, t *tier, version uint64) error {
	t.queue.clear(version)
	return t.call(ctx, &t.writes, func(ctx context.Context) error { return store.Clear(ctx, t.Store) })
}

func (c *Chain) raiseAll(version uint64) {
	c.barriers.mu.Lock()
	c.barriers.all = max(c.barriers.all, version)
	c.barriers.mu.Unlock()
	c.epoch.Add(1)
	c.fences.raiseAll(c.hlc.Next())
	c.flights.forgetAll()
}
