package chain

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// A shared tier may lose what it has acknowledged: Redis that fails over to a replica
// which had not got everything yet, or that starts from an old snapshot. What it holds
// then is what was there before, and its feed tells of a gap, for it has lost entries
// too. So a chain with a feed remembers the versions of the keys that were written last,
// here or, as far as it has heard, elsewhere. After a gap, an entry of a shared tier that
// is older than the write that is known of its key is no answer, and the others are told
// of the write again. What this process holds of it by itself is the answer, and is put
// back; where it holds nothing, the key is a miss, and the older entry is removed: at once
// if the write was its own, and after a while if it was another's, who may put it back.

// knownPerStripe is how many keys of a stripe are remembered: 16,384 in all, in 288 KiB.
const knownPerStripe = 4

// knownKeys are the writes of a stripe's keys that are known. The stripe's lock guards
// them.
type knownKeys struct {
	last [knownPerStripe]struct{ hash, version uint64 }
	own  [knownPerStripe]bool // this process wrote it
	told [knownPerStripe]bool // this process has told the others of its loss
}

// lossPatience is how long others have to put back a write that was lost.
const lossPatience = time.Minute

// remembersWrites makes c remember which versions were written.
func (c *Chain) remembersWrites() {
	c.shares = slices.ContainsFunc(c.bytes, func(t *tier) bool { return t.Shared && t.sink == nil })
	if c.shares && c.opts.Feed != nil {
		c.known = make([]knownKeys, stripes)
	}
}

// know remembers that key was written or deleted, by this process or by another. It returns
// the version that was known before, 0 if none was, and whether that was this process's
// own. The lock of the key's stripe is held.
func (c *Chain) know(key string, version uint64, own bool) (last uint64, ours bool) {
	if c.known == nil {
		return 0, false
	}
	hash := maphash.String(c.fences.seed, key)
	set := &c.known[hash%stripes]
	at := 0
	for i, k := range &set.last {
		if k.hash == hash && k.version != 0 {
			if last, ours = k.version, set.own[i]; last >= version {
				return last, ours
			}
			at = i
			break
		}
		if k.version < set.last[at].version {
			at = i
		}
	}
	set.last[at].hash, set.last[at].version, set.own[at], set.told[at] = hash, version, own, false
	return last, ours
}

// loss is a write that a walk has found a shared tier to have lost.
type loss struct {
	version uint64
	remove  bool // where nobody puts it back, what was before it is to go
	t       placed
}

// lost returns the write of key that the shared tier t has lost, since it holds the given
// version, or nil. The first time it tells the others: whoever has read the older entry is
// to forget it.
func (c *Chain) lost(t placed, key string, version uint64) *loss {
	if c.known == nil || !t.Shared || version > c.doubt.Load() {
		return nil
	}
	s := c.fences.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	set, i := c.lostVersion(key, version)
	if set == nil {
		return nil
	}
	l := &loss{version: set.last[i].version, t: t}
	l.remove = set.own[i] || time.Since(clock.Time(c.doubt.Load())) > lossPatience
	if !set.told[i] {
		set.told[i] = true
		c.announce(store.ChangeLost, key, l.version)
	}
	return l
}

// lostVersion returns where the write of key is that the shared tier has lost, since it
// holds the given version; nil: there is none. A value without a version is somebody else's,
// and within a millisecond a version does not tell (see aged). The lock of the key's stripe
// is held.
func (c *Chain) lostVersion(key string, version uint64) (set *knownKeys, i int) {
	if c.known == nil || version == 0 {
		return nil, 0
	}
	hash, doubt := maphash.String(c.fences.seed, key), c.doubt.Load()
	set = &c.known[hash%stripes]
	for i, k := range &set.last {
		if k.hash == hash && k.version <= doubt && version < loadedAs(k.version) {
			return set, i
		}
	}
	return nil, 0
}

// noteLoss files that the shared tier t, which holds e of key, has lost a later write.
func (c *Chain) noteLoss(f *finding, t placed, e store.Entry, l *loss) {
	t.misses.add(1)
	c.notices.losses.add(1)
	f.loss = l
	f.sound = append(f.sound, t)
	f.outdate(t.tier, e, true)
}

// holds reports whether an entry is of the lost write, or a later one, which makes up for a
// gap: it is not suspect.
func (l *loss) holds(version uint64) bool { return l != nil && version >= l.version }

// recall answers f, where a shared tier has lost a write, with what memory holds of that,
// and puts it back there. What memory holds stays suspect, so that the next reader tries
// again if that fails. Without anything to put back, what was before the write is taken out
// of the tier. found is what the walk came to.
func (c *Cache[V]) recall(f *flight, p *plan, fd *finding, found *object[V], now int64) bool {
	l := fd.loss
	if l == nil || found != nil && l.holds(found.version) {
		return false
	}
	ch := c.chain
	o, _ := c.look(f.key, false)
	if o == nil || !l.holds(o.version) || o.isRetired() || now >= o.fresh || !ch.valid(0, o.version, o.tags()) {
		if l.remove && len(fd.errs) == 0 {
			ch.filler.promote(promotion{key: f.key, to: []placed{l.t}, lost: l.version})
		}
		return false
	}
	ch.flights.remove(f)
	if held, _ := c.look(f.key, false); held != o || o.isRetired() {
		return false // a write, just now
	}
	c.hitInMemory(f.key)
	ch.flights.land(f, o, nil)
	e, err := c.encode(p, f.key, o.value)
	if err != nil {
		ch.report(err)
		return true
	}
	e.Version, e.Tags = o.version, o.tags()
	o.deadlines().apply(&e)
	ch.filler.promote(promotion{key: f.key, entry: e, stamp: f.since, to: []placed{l.t}, private: true})
	return true
}

// undoLoss removes from a shared tier what it holds in place of a write that it has lost,
// unless that write, or a later one, has come meanwhile. The key's lock is held.
func (c *Chain) undoLoss(ctx context.Context, p *promotion, t placed) {
	ts, ok := t.tombstoner()
	if !ok || !t.admits(p.key) {
		return
	}
	defer t.queue.letGo(p.key)
	err := t.call(ctx, &t.writes, func(ctx context.Context) error {
		return store.KeyError(ts.DeleteVersions(ctx, map[string]uint64{p.key: p.lost - 1}), p.key)
	})
	if err != nil && !errors.Is(err, ErrTierDown) {
		c.report(tierError("delete", t.Name, p.key, err))
	}
}
