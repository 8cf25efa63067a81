package chain

import (
	"context"

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
	ops, be = c.writeFreeMany(ctx, unique(ops), be)
	if len(ops) == 0 {
		return be.ErrOrNil()
	}
	keys := make([]string, len(ops))
	for i, o := range ops {
		keys[i] = o.key
	}
	locks, err := c.locks.lockAll(ctx, keys, func() {
		for _, o := range ops {
			c.begin(o)
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
		return be.ErrOrNil()
	}
	defer unlockAll(locks)
	for _, key := range keys {
		c.fences.raise(key, c.hlc.Next())
	}
	last := make(map[string]*keyLock, len(locks))
	for _, k := range locks {
		last[k.key] = k
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
		c.settle(o)
		c.told(o)
	}
	return be.ErrOrNil()
}

// writeFreeMany carries out those operations that ask no tier, and returns the
// others.
func (c *Chain) writeFreeMany(ctx context.Context, ops []*operation, be *store.BatchError) ([]*operation, *store.BatchError) {
	rest := ops[:0]
	for _, o := range ops {
		if !c.free(o.plan) {
			rest = append(rest, o)
		} else if err := c.writeFree(ctx, o); err != nil {
			be = be.Add(o.key, err)
		}
	}
	return rest, be
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

// writeTierMany writes those operations to t that are not written back there.
func (c *Chain) writeTierMany(ctx context.Context, t *tier, outcomes map[*operation]*outcome) {
	sets := make(map[string]store.Entry)
	var setOps, deleteOps []*operation
	at := make(map[*operation]placed, len(outcomes))
	for o := range outcomes {
		for i, p := range o.plan.tiers {
			if p.tier != t || p.mode == policy.WriteBack {
				continue
			}
			at[o] = p
			if e, live := p.entryFor(o.entry); live && !o.removes(i) {
				sets[o.key] = e
				setOps = append(setOps, o)
			} else {
				deleteOps = append(deleteOps, o)
			}
		}
	}
	file := func(ops []*operation, err error) (refused []*operation) {
		for _, o := range ops {
			kerr := store.KeyError(err, o.key)
			switch {
			case kerr == nil:
				t.queue.settle(o.key, o.version)
			case refuses(kerr) && !o.deleted:
				c.report(tierError("set", t.Name, o.key, kerr))
				t.dropped.add(1)
				refused = append(refused, o)
			default:
				kerr = tierError("set", t.Name, o.key, kerr)
				c.report(kerr)
				outcomes[o].errs = append(outcomes[o].errs, kerr)
				outcomes[o].failed = append(outcomes[o].failed, at[o])
			}
		}
		return refused
	}
	if len(sets) > 0 {
		err := t.call(ctx, &t.writes, func(ctx context.Context) error { return store.SetMany(ctx, t.Store, sets) })
		deleteOps = append(deleteOps, file(setOps, err)...) // what t holds of a refused key is older
	}
	if len(deleteOps) > 0 {
		keys := make([]string, len(deleteOps))
		for i, o := range deleteOps {
			keys[i] = o.key
		}
		err := t.call(ctx, &t.writes, func(ctx context.Context) error { return store.DeleteMany(ctx, t.Store, keys) })
		file(deleteOps, err)
	}
}
