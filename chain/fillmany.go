package chain

import (
	"context"
	"errors"
	"slices"

	"github.com/stratacache/strata/store"
)

// fillTiersMany is fillTiers for many keys, with one or two calls a tier.
func (c *Chain) fillTiersMany(ctx context.Context, fills []promotion, replace map[string]outdated) {
	if len(fills) == 0 {
		return
	}
	keys := make([]string, len(fills))
	for i := range fills {
		keys[i] = fills[i].key
	}
	locks, err := c.locks.lockAll(ctx, keys, nil)
	if err != nil {
		return
	}
	defer unlockAll(locks)
	for i := len(c.bytes) - 1; i >= 0; i-- {
		c.fillTierMany(ctx, c.bytes[i], fills, replace)
	}
}

func (c *Chain) fillTierMany(ctx context.Context, t *tier, fills []promotion, replace map[string]outdated) {
	sets, conditional, exchanges := map[string]store.Entry{}, map[string]store.Entry{}, map[string]store.Entry{}
	for i := range fills {
		p := &fills[i]
		at := slices.IndexFunc(p.to, func(x placed) bool { return x.tier == t })
		if at < 0 {
			continue
		}
		if p.lost != 0 {
			c.undoLoss(ctx, p, p.to[at])
			continue
		}
		e, live := p.to[at].entryFor(p.entry)
		if !live || !t.admits(p.key) {
			continue
		}
		defer t.queue.letGo(p.key)
		if !c.fences.open(p.key, p.stamp) || !t.remembers(p.stamp) || !c.vouched(p, t) {
			c.counts.fenced.add(1)
			continue
		}
		e = c.aged(t, e, p)
		switch r, _ := replace[p.key].in(t); r.way(e) {
		case unconditional:
			sets[p.key] = e
		case exchange:
			exchanges[p.key] = e
		default:
			if first, twice := conditional[p.key]; !twice || !store.Newer(first.Version, e.Version) {
				conditional[p.key] = e
			}
		}
	}
	for _, group := range []struct {
		entries map[string]store.Entry
		write   func(context.Context, store.Store, map[string]store.Entry) error
	}{{sets, store.SetMany}, {conditional, store.FillMany}, {exchanges, exchangeMany(t, replace)}} {
		if len(group.entries) == 0 {
			continue
		}
		err := t.call(ctx, &t.writes, func(ctx context.Context) error { return group.write(ctx, t.Store, group.entries) })
		for key := range group.entries {
			if store.KeyError(err, key) != nil {
				t.dropped.add(1)
			} else {
				c.countFill(t, key)
			}
		}
		if err != nil && !errors.Is(err, ErrTierDown) {
			c.report(tierError("fill", t.Name, "", err))
		}
	}
}

// exchangeMany is store.Replace for many keys of t, one after the other: such
// entries are those of other programs.
func exchangeMany(t *tier, replace map[string]outdated) func(context.Context, store.Store, map[string]store.Entry) error {
	return func(ctx context.Context, s store.Store, entries map[string]store.Entry) error {
		var be *store.BatchError
		for key, e := range entries {
			r, _ := replace[key].in(t)
			if _, err := store.Replace(ctx, s, key, r.entry, e); err != nil {
				be = be.Add(key, err)
			}
		}
		return be.ErrOrNil()
	}
}
