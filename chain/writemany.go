package chain

import (
	"cmp"
	"context"
	"slices"

	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// SetMany stores values, with one call for each tier. Keys that fail are in the
// *store.BatchError; the others are stored. It is not atomic.
func (c *Cache[V]) SetMany(ctx context.Context, values map[string]V, opts ...WriteOptions) error {
	var be *store.BatchError
	ops := make([]*operation, 0, len(values))
	for key, v := range values {
		err := c.chain.check(key)
		if err != nil {
			be = be.Add(key, err)
			continue
		}
		o, err := c.operation(key, v, opts)
		if err != nil {
			be = be.Add(key, err)
			continue
		}
		ops = append(ops, o)
	}
	return c.chain.writeMany(ctx, ops, be)
}

// writeMany carries out operations on different keys, far to near, with one call
// a tier. be holds the failures so far.
func (c *Chain) writeMany(ctx context.Context, ops []*operation, be *store.BatchError) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	var durable, locked []*operation
	for _, o := range unique(ops) {
		switch {
		case !o.plan.backOnly():
			locked = append(locked, o)
		case o.plan.durable:
			durable = append(durable, o)
		default:
			if err := c.writeFree(ctx, o); err != nil {
				be = be.Add(o.key, err)
			}
		}
	}
	for o, err := range c.writeDurableMany(ctx, durable) {
		be = be.Add(o.key, err)
	}
	return c.writeLockedMany(ctx, locked, be).ErrOrNil()
}

// writeLockedMany is writeLocked for many operations.
func (c *Chain) writeLockedMany(ctx context.Context, ops []*operation, be *store.BatchError) *store.BatchError {
	if len(ops) == 0 {
		return be
	}
	keys := make([]string, len(ops))
	for i, o := range ops {
		keys[i] = o.key
	}
	locks, err := c.locks.lockAll(ctx, keys, func() {
		for _, o := range ops {
			_ = c.begin(o) // batches are not conditional
		}
	})
	defer func() {
		for _, key := range keys {
			c.fences.end(key)
		}
	}()
	if err != nil {
		for _, key := range keys {
			be = be.Add(key, err)
		}
		return be
	}
	defer unlockAll(locks)
	last := lockOf(locks)
	for _, o := range ops {
		c.enter(o, last[o.key])
		defer c.leave(o)
	}
	outcomes := make(map[*operation]*outcome, len(ops))
	for _, o := range ops {
		if last[o.key].last < o.version {
			outcomes[o] = &outcome{}
		}
	}
	for i := len(c.bytes) - 1; i >= 0; i-- {
		c.writeTierMany(ctx, c.bytes[i], outcomes)
	}
	for o, out := range outcomes {
		if err := c.conclude(ctx, o, out); err != nil {
			be = be.Add(o.key, err)
			o.obj = nil
		} else {
			last[o.key].last = o.version
		}
		c.settle(o, last[o.key])
		c.told(o)
	}
	return be
}

// unique drops all but the first operation of each key: a batch of deletes may
// name one twice.
func unique(ops []*operation) []*operation {
	seen := make(map[string]bool, len(ops))
	kept := ops[:0]
	for _, o := range ops {
		if !seen[o.key] {
			seen[o.key] = true
			kept = append(kept, o)
		}
	}
	return kept
}

// tierBatch is the part of a batch that goes to one tier directly.
type tierBatch struct {
	c          *Chain
	t          *tier
	outcomes   map[*operation]*outcome
	at         map[*operation]placed
	sets, dels []*operation
	entries    map[string]store.Entry
}

// writeTierMany writes those operations to t that are not written back there.
func (c *Chain) writeTierMany(ctx context.Context, t *tier, outcomes map[*operation]*outcome) {
	b := &tierBatch{c: c, t: t, outcomes: outcomes, at: make(map[*operation]placed), entries: make(map[string]store.Entry)}
	for o := range outcomes {
		for i, p := range o.plan.tiers {
			if p.tier == t && p.mode != policy.WriteBack {
				b.add(ctx, o, i)
			}
		}
	}
	b.send(ctx)
	for o := range b.at {
		t.queue.letGo(o.key)
	}
}

// add takes o into the batch, and holds flushes of its key.
func (b *tierBatch) add(ctx context.Context, o *operation, i int) {
	p := o.plan.tiers[i]
	if err := b.t.queue.hold(ctx, o.key); err != nil {
		b.failed(o, p, err)
		return
	}
	b.at[o] = p
	if e, live := p.entryFor(o.entry); live && !o.removes(i) {
		b.entries[o.key] = e
		b.sets = append(b.sets, o)
	} else {
		b.dels = append(b.dels, o)
	}
}

func (b *tierBatch) send(ctx context.Context) {
	t := b.t
	if t.sink != nil {
		b.sendSink(ctx)
		return
	}
	if len(b.sets) > 0 {
		err := b.c.callFenced(ctx, t, keysOf(b.entries), func(ctx context.Context) error { return store.SetMany(ctx, t.Store, b.entries) })
		b.dels = append(b.dels, b.file(b.sets, err)...) // what t holds of a refused key is older
	}
	if len(b.dels) > 0 {
		keys, versions := make([]string, len(b.dels)), make(map[string]uint64, len(b.dels))
		for i, o := range b.dels {
			keys[i], versions[o.key] = o.key, o.erased()
		}
		err := b.c.callFenced(ctx, t, keys, func(ctx context.Context) error { return t.eraseMany(ctx, versions) })
		b.file(b.dels, err)
	}
}

func (b *tierBatch) sendSink(ctx context.Context) {
	ops := slices.Concat(b.sets, b.dels)
	if len(ops) == 0 {
		return
	}
	slices.SortFunc(ops, func(x, y *operation) int { return cmp.Compare(x.version, y.version) })
	writes := make([]Write, len(ops))
	for i, o := range ops {
		writes[i] = Write{Key: o.key, Entry: o.entry, Delete: o.deleted}
	}
	err := b.t.call(ctx, &b.t.writes, func(ctx context.Context) error { return b.t.sink.WriteMany(ctx, writes) })
	for _, o := range ops {
		if kerr := store.KeyError(err, o.key); kerr != nil {
			b.failed(o, b.at[o], kerr)
		} else {
			b.t.queue.settle(o.key, o.version)
		}
	}
}

// file notes what a call came to, and returns the sets that the tier refused for
// good.
func (b *tierBatch) file(ops []*operation, err error) (refused []*operation) {
	for _, o := range ops {
		kerr := store.KeyError(err, o.key)
		switch {
		case kerr == nil:
			b.t.queue.settle(o.key, o.version)
		case refuses(kerr) && !o.deleted && b.entries[o.key].Value != nil:
			delete(b.entries, o.key)
			b.c.report(tierError("set", b.t.Name, o.key, kerr))
			b.t.dropped.add(1)
			refused = append(refused, o)
		default:
			b.failed(o, b.at[o], kerr)
		}
	}
	return refused
}

func (b *tierBatch) failed(o *operation, p placed, err error) {
	err = tierError("set", b.t.Name, o.key, err)
	b.c.report(err)
	out := b.outcomes[o]
	out.errs, out.failed = append(out.errs, err), append(out.failed, p)
}
