package chain

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/stratacache/strata/store"
)

// told announces an operation that the tiers have, unless the shared tier is yet
// to take it from its queue: others would fetch the old value again.
func (c *Chain) told(o *operation) {
	if c.notices == nil {
		return
	}
	for _, t := range o.plan.tiers {
		if t.Shared && t.queue.owes(o.key, o.version) {
			return // the flush tells them
		}
	}
	c.announce(store.ChangeWrite, o.key, o.version)
}

// foreignWrite forgets what this process holds of a key that another has written
// or deleted, unless it is newer. lost says that it was written before, and that the
// shared tier has lost that.
func (c *Chain) foreignWrite(key string, version uint64, lost bool) {
	s := c.fences.of(key)
	s.mu.Lock()
	last, ours := c.know(key, version, false)
	from := version // what is held may stay from this version on
	if !lost && ours && last == version {
		from++ // the clocks came to the same: of two such writes the shared tier has the later to come
	}
	c.forgetOlder(key, from, lost)
	if lost && last >= version { // two that tell each other of a loss would turn away each other's repair
		s.mu.Unlock()
		return
	}
	for _, t := range c.bytes { // before the lock is let go, or a flush could put an older value into memory
		t.queue.settle(key, version)
	}
	c.locks.heard(key, version) // writes that have not settled yet
	c.ledger.overtake(key, version)
	c.absent.remove(key)
	s.at = max(s.at, c.hlc.Next())
	end := s.at
	s.mu.Unlock()
	c.flights.forget(key, end)
	for _, t := range c.bytes {
		if !t.Shared {
			c.purge(t, key, from)
		}
	}
}

// forgetOlder forgets what memory holds of key, unless it was written, here or elsewhere,
// under that version or a later one. What was loaded may have been kept from the shared
// tier by another's write, also where its version is the later one, and of a plain key
// that tier has what came last: both are read there again. What is left of a lost write
// is not. The lock of the key's stripe is held.
func (c *Chain) forgetOlder(key string, version uint64, lost bool) {
	if c.memory == nil {
		return
	}
	obj, ok := c.memory.peek(key)
	h, is := obj.(held)
	if !ok || is && sharedVersion(h) >= version && (lost || !h.loaded() && !c.plan(key).plain) {
		return
	}
	if err := c.memory.Store.Delete(c.ctx, key); err != nil {
		c.report(tierError("delete", c.memory.Name, key, err))
	}
}

// purge removes key from a tier of this process's own if what it holds is older
// than version. A tier that fails is owed the removal.
func (c *Chain) purge(t *tier, key string, version uint64) {
	k := c.locks.ref(key)
	if k.lock(c.ctx) != nil {
		return
	}
	defer k.unlock()
	if t.queue.hold(c.ctx, key) != nil {
		return
	}
	defer t.queue.letGo(key)
	ctx := context.WithoutCancel(c.ctx) // what has begun is finished before Close, or that would report it as a write left over
	err := t.call(ctx, &t.writes, func(ctx context.Context) error {
		e, err := t.Store.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && e.Version >= version:
			return nil
		case err != nil && !errors.Is(err, store.ErrCorrupt):
			return err
		}
		return t.Store.Delete(ctx, key)
	})
	if err != nil {
		c.report(tierError("delete", t.Name, key, err))
		t.queue.force(&slot{key: key, version: version, entry: store.Entry{Version: version}, purge: true, at: time.Now().UnixNano()})
	}
}

// foreignTag takes over the barrier that another process raised.
func (c *Chain) foreignTag(tag string, version uint64) {
	c.raiseTags([]string{tag}, version)
}

// foreignClear takes over another process's Clear: the shared tier has been
// emptied; memory and the tiers of this process are emptied here.
func (c *Chain) foreignClear(version uint64) {
	c.raiseAll(version)
	for i := len(c.tiers) - 1; i >= 0; i-- {
		t := c.tiers[i]
		if err := c.foreignClearOf(t, version); err != nil {
			c.report(tierError("clear", t.Name, "", err))
		}
	}
	c.absent.clear()
}

func (c *Chain) foreignClearOf(t *tier, version uint64) error {
	if t.queue == nil {
		return store.Clear(c.ctx, t.Store)
	}
	if t.sink != nil {
		return nil
	}
	if err := t.queue.pause(c.ctx); err != nil {
		return err
	}
	defer t.queue.resume()
	if t.Shared { // which has been emptied
		t.queue.clear(version)
		return nil
	}
	return c.empty(c.ctx, t, version)
}

// suspect makes all that this process holds by itself, in memory and in tiers that
// are not shared, worthless until the shared tier has confirmed it: changes have
// been missed. Nothing is flushed; each key is looked up anew when it is next
// read.
func (c *Chain) suspect() {
	c.doubt.Store(c.hlc.Next())
	c.suspectMemory()
}

// suspectMemory is suspect for what memory holds alone. Between its two steps nothing is
// sound: a reader who saw the new epoch, but not the doubt, would give an old object
// that epoch, and vouch for it. It is called by one goroutine at a time.
func (c *Chain) suspectMemory() {
	c.doubtEpoch.Store(math.MaxUint64)
	c.doubtEpoch.Store(c.epoch.Add(1))
	c.flights.forgetAll()
	c.absent.clear()
}

// doubtful reports whether an entry from a tier may be one that another process
// has replaced unnoticed.
func (c *Chain) doubtful(t *tier, version uint64) bool {
	doubt := c.doubt.Load()
	return doubt != 0 && !t.Shared && version <= doubt
}
