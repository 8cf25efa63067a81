package chain

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// A feed that watches the shared tier tells of keys that were touched there: written,
// deleted, expired or evicted, by programs that know nothing of strata and by strata
// itself. Nobody says which. So what was read of such a key until now may not be filled
// in any more, and what memory holds stays only where the shared tier says that it holds
// the same version. A write of this process thus costs it nothing but the question; a
// value without a version costs the next reader a look into the shared tier.

// touchBatch is the most keys of one question.
const touchBatch = 512

// watched returns the tier that touches are about: the nearest shared one.
func (c *Chain) watched() *tier {
	for _, t := range c.bytes {
		if t.Shared && t.sink == nil {
			return t
		}
	}
	return nil
}

// isPrivate reports whether the tier is this process's own and outlives it.
func (t placed) isPrivate() bool { return !t.Shared && t.sink == nil }

// touched takes in that keys were touched in the shared tier. When it returns, nothing
// from before is served from memory, or will be.
func (c *Chain) touched(keys []string) {
	t := c.watched()
	if t == nil || len(keys) == 0 {
		return
	}
	held := make([]string, 0, len(keys))
	for _, key := range keys {
		p := c.plan(key)
		if slices.ContainsFunc(p.tiers, func(at placed) bool { return at.tier == t }) && c.bar(p, key) {
			held = append(held, key)
		}
	}
	for chunk := range slices.Chunk(held, touchBatch) {
		c.compare(t, chunk)
	}
}

// anyTouched takes in that any key may have been touched unnoticed: memory is to be
// compared with the shared tier, key by key, when it is next asked, and what was read or
// loaded until now is filled in nowhere.
func (c *Chain) anyTouched() {
	c.fences.raiseAll(c.hlc.Next())
	c.suspectMemory()
}

// bar turns away all fills of what was read of key until now. It reports whether the
// process holds something of the key by itself, or may be about to: what a write that
// begins later puts into memory is in the shared tier later, which tells of it again.
func (c *Chain) bar(p *plan, key string) (held bool) {
	s := c.fences.of(key)
	s.mu.Lock()
	c.absent.remove(key)
	s.at = max(s.at, c.hlc.Next())
	end := s.at
	held = s.busy > 0 || slices.ContainsFunc(p.tiers, placed.isPrivate)
	if c.memory != nil && !held {
		_, held = c.memory.peek(key)
	}
	s.mu.Unlock()
	c.flights.forget(key, end)
	return held
}

// compare asks the shared tier for the versions of keys and forgets what differs. Where
// it does not answer, that is everything.
func (c *Chain) compare(t *tier, keys []string) {
	stamp := c.hlc.Next()
	var versions map[string]uint64
	err := t.call(c.ctx, &t.reads, func(ctx context.Context) (err error) {
		versions, err = store.Versions(ctx, t.Store, keys)
		return err
	})
	if err != nil && !errors.Is(err, ErrTierDown) {
		c.report(tierError("versions", t.Name, "", err))
	}
	for _, key := range keys {
		version, found := versions[key]
		c.confirm(key, stamp, version)
		if !found || version != 0 {
			continue // of a version's writer the feed tells
		}
		for _, own := range c.plan(key).tiers {
			if own.isPrivate() {
				c.purgeUnlike(own.tier, t, key)
			}
		}
	}
}

// confirm forgets what memory holds of key unless it is of the version that the shared
// tier was found to hold, when it was asked since the stamp; 0 stands for a value without
// one, and for none. A write that is about to reach memory is told as well.
func (c *Chain) confirm(key string, stamp, version uint64) {
	s := c.fences.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.locks.saw(key, stamp, version)
	if c.memory == nil {
		return
	}
	obj, ok := c.memory.peek(key)
	h, is := obj.(held)
	switch set, i := c.lostVersion(key, version); {
	case !ok:
		return
	case is && version != 0 && sharedVersion(h) == version:
		return
	case is && set != nil && h.ver() >= set.last[i].version: // the shared tier has lost it
		return
	}
	if err := c.memory.Store.Delete(c.ctx, key); err != nil {
		c.report(tierError("delete", c.memory.Name, key, err))
	}
}

// purgeUnlike removes key from a tier of this process's own where the shared tier holds a
// value that nobody stamped and that is another: it would come to light again when that
// has gone. Where the shared tier holds nothing, the key is left alone: it may have
// expired there, or have been evicted, which is what a tier behind it is for.
func (c *Chain) purgeUnlike(t, shared *tier, key string) {
	k := c.locks.ref(key)
	if k.lock(c.ctx) != nil {
		return
	}
	defer k.unlock()
	if t.queue.hold(c.ctx, key) != nil {
		return
	}
	defer t.queue.letGo(key)
	var version uint64                  // 0 until the entry is there and has to go
	ctx := context.WithoutCancel(c.ctx) // what has begun is finished before Close: nobody tells of it again
	err := t.call(ctx, &t.writes, func(ctx context.Context) error {
		mine, err := t.Store.Get(ctx, key)
		if err != nil || c.alike(ctx, shared, key, mine) {
			return err
		}
		version = max(mine.Version, 1)
		return t.Store.Delete(ctx, key)
	})
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) {
		return
	}
	c.report(tierError("delete", t.Name, key, err))
	if version != 0 {
		t.queue.force(&slot{key: key, version: version, entry: store.Entry{Version: version}, purge: true, at: time.Now().UnixNano()})
	}
}

// alike reports whether mine may stay beside what the shared tier holds now. It may not
// where that cannot be read.
func (c *Chain) alike(ctx context.Context, shared *tier, key string, mine store.Entry) bool {
	var theirs store.Entry
	err := shared.call(ctx, &shared.reads, func(ctx context.Context) (err error) {
		theirs, err = shared.Store.Get(ctx, key)
		return err
	})
	if err != nil {
		return errors.Is(err, store.ErrNotFound)
	}
	return theirs.Version != 0 || bytes.Equal(theirs.Value, mine.Value)
}
