package chain

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// Barriers are kept in the tiers that hold bytes, one entry a tag and one for
// Clear, under keys that users cannot have. So they hold after a restart, and in
// other processes that share a tier. An entry is small and never expires: the
// chain does not know the longest TTL that a tagged entry was given.
const (
	tagKeys  = reserved + "tag:"
	clearKey = reserved + "clear"
)

// learnEvery is how long what the tiers said of a barrier is taken to be so.
const learnEvery = 10 * time.Second

// saveBarrier puts the barrier into every tier. One that fails is owed it. The
// error is that of the tiers where none took it.
func (c *Chain) saveBarrier(ctx context.Context, version uint64, keys ...string) error {
	e := store.Entry{Value: binary.BigEndian.AppendUint64(nil, version), Version: version}
	entries := make(map[string]store.Entry, len(keys))
	for _, key := range keys {
		entries[key] = e
	}
	var errs []error
	told := 0
	for i := len(c.bytes) - 1; i >= 0; i-- {
		t := c.bytes[i]
		if t.sink != nil {
			continue
		}
		told++
		err := c.saveBarrierIn(ctx, t, version, entries)
		if err == nil {
			continue
		}
		err = tierError("set", t.Name, keys[0], err)
		c.report(err)
		errs = append(errs, err)
		for _, key := range keys {
			if kerr := store.KeyError(err, key); kerr != nil && !refuses(kerr) {
				t.queue.force(&slot{key: key, version: version, entry: e, at: time.Now().UnixNano()})
			}
		}
	}
	if len(errs) < told || told == 0 {
		return nil
	}
	return errors.Join(errs...)
}

// saveBarrierIn puts the barriers into one tier, and drops older ones that wait for
// it: a flush of those must not come after this.
func (c *Chain) saveBarrierIn(ctx context.Context, t *tier, version uint64, entries map[string]store.Entry) error {
	for key := range entries {
		if err := t.queue.hold(ctx, key); err != nil {
			return err
		}
		defer t.queue.letGo(key)
	}
	err := t.call(ctx, &t.writes, func(ctx context.Context) error { return store.SetMany(ctx, t.Store, entries) })
	for key := range entries {
		if store.KeyError(err, key) == nil {
			t.queue.settle(key, version)
		}
	}
	return err
}

// covered reports whether a barrier covers an entry that a tier had. Barriers that
// this process does not know, or has not asked for of late, are looked up first:
// one call a tier for each tag now and then.
func (c *Chain) covered(ctx context.Context, version uint64, tags []string) bool {
	c.learn(ctx, tags)
	return !c.valid(0, version, tags)
}

// learn takes over the barriers of tags, and that of Clear, from the tiers.
func (c *Chain) learn(ctx context.Context, tags []string) {
	if len(tags) == 0 {
		return
	}
	b := &c.barriers
	keys := b.unknown(tags, time.Now())
	if len(keys) == 0 {
		return
	}
	heard := true
	found := make(map[string]uint64, len(keys))
	for _, t := range c.bytes {
		if t.sink != nil {
			continue
		}
		// As a caller who must not be held: who leaves says nothing about the tier.
		answers, err := t.getEach(ctx, keys, true, nil)
		heard = heard && (err == nil || refuses(err))
		if err != nil && isFault(err) && !over(ctx) {
			c.report(tierError("get", t.Name, keys[0], err))
		}
		for i, a := range answers {
			if a.Found && len(a.Entry.Value) == 8 {
				found[keys[i]] = max(found[keys[i]], binary.BigEndian.Uint64(a.Entry.Value))
			}
		}
	}
	for _, version := range found {
		c.hlc.Observe(version)
	}
	if b.merge(keys, found, heard) {
		c.epoch.Add(1)
	}
}

// unknown returns the keys of those barriers that are to be looked up.
func (b *barriers) unknown(tags []string, now time.Time) (keys []string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	fresh := now.Sub(b.learned) < learnEvery
	if !fresh {
		keys = append(keys, clearKey)
	}
	for _, tag := range tags {
		if !fresh || !b.known[tag] {
			keys = append(keys, tagKeys+tag)
		}
	}
	return keys
}

// merge raises barriers to what the tiers said, and notes that they were asked
// where they all answered. It reports whether any has been raised.
func (b *barriers) merge(keys []string, found map[string]uint64, heard bool) (raised bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if heard && (now.Sub(b.learned) >= learnEvery || len(b.known) > maxTags) {
		b.learned, b.known = now, make(map[string]bool)
	}
	for _, key := range keys {
		tag, isTag := strings.CutPrefix(key, tagKeys)
		version := found[key]
		switch {
		case !isTag && version > b.all:
			b.all, raised = version, true
		case isTag && version > b.of(tag):
			b.raise(tag, version)
			raised = true
		}
		if isTag && heard {
			b.known[tag] = true
		}
	}
	b.bound()
	return raised
}
