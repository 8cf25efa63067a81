package chain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// finding is what a walk through the pending writes and the tiers came to.
type finding struct {
	entry store.Entry
	obj   held     // set where a pending write holds the decoded value
	from  string   // the tier's name, or "pending"
	to    []placed // nearer tiers that are sound and lack the entry

	found   bool
	deleted bool     // a pending delete: the key is absent, whatever tiers hold
	replace []*tier  // tiers that hold something stale, damaged or undecodable
	ordered []*tier  // those of them that tell by its version that it is older than what is loaded
	sound   []placed // tiers that answered, and may be filled after a load
	errs    []error  // of the tiers that could not answer
}

// failure returns the error of a walk that found nothing: not found, or what
// kept the tiers from answering.
func (f *finding) failure() error {
	if len(f.errs) == 0 {
		return store.ErrNotFound
	}
	return errors.Join(f.errs...)
}

// displace notes that the entry just found in t is to make room for what is loaded.
func (f *finding) displace(t *tier) {
	f.replace = append(f.replace, t)
	if t.Shared && f.entry.Version != 0 {
		f.ordered = append(f.ordered, t)
	}
}

// overwrite returns the tiers in which what is loaded must replace what they hold,
// because a conditional write would not. Elsewhere it would undo what another
// process has written or deleted meanwhile.
func (f *finding) overwrite() []*tier {
	if len(f.ordered) == 0 {
		return f.replace
	}
	var ts []*tier
	for _, t := range f.replace {
		if !slices.Contains(f.ordered, t) {
			ts = append(ts, t)
		}
	}
	return ts
}

// look says what a walk makes of an entry: take it, go on because it is stale
// (keep it as second best), or go on because it is of no use.
type verdict int

const (
	take verdict = iota
	stale
	useless
)

// walk asks the pending writes and then the plan's tiers, nearest first, until
// judge takes an entry. judge is called with each entry found.
func (c *Chain) walk(ctx context.Context, p *plan, key string, judge func(f *finding) verdict) *finding {
	f := &finding{}
	skip := c.pending(p, key, f)
	if f.deleted {
		return f
	}
	if f.found {
		if judge(f) != useless {
			return f // stale or not, nothing in a tier is newer
		}
		*f = finding{}
	}
	var second *finding
	for i, t := range p.tiers {
		if slices.Contains(skip, t.tier) {
			continue
		}
		if !c.ask(ctx, t, key, f) {
			continue
		}
		f.from = t.Name
		switch judge(f) {
		case take:
			f.to = without(f.sound, t.tier, i)
			return f
		case stale:
			f.displace(t.tier)
			if second == nil {
				best := *f
				second = &best
			}
		case useless:
			f.displace(t.tier)
		}
		f.found = false
	}
	if second != nil {
		second.replace, second.ordered, second.sound, second.errs = f.replace, f.ordered, f.sound, f.errs
		return second
	}
	return f
}

// without returns the tiers nearer than the i-th of the plan, and not t itself.
func without(sound []placed, t *tier, i int) []placed {
	var to []placed
	for _, s := range sound {
		if s.tier != t && s.at < i {
			to = append(to, s)
		}
	}
	return to
}

// pending looks the key up in the queues of all tiers. The newest operation
// there answers; the returned tiers hold something older than what they are
// owed, and are not to be asked.
func (c *Chain) pending(p *plan, key string, f *finding) (skip []*tier) {
	var newest slot
	now := time.Now()
	for _, t := range p.tiers {
		s, ok := t.queue.get(key)
		if !ok {
			continue
		}
		skip = append(skip, t.tier)
		if !s.purge && !s.entry.Expired(now) && s.version > newest.version {
			newest = s
		}
	}
	if newest.version == 0 {
		return skip
	}
	c.counts.pendingHits.add(1)
	f.from, f.deleted = "pending", newest.deleted
	f.found, f.entry, f.obj = !newest.deleted, newest.entry, newest.obj
	return skip
}

// ask reads key from one tier into f. It reports whether there is an entry to
// judge; what went wrong is in f.
func (c *Chain) ask(ctx context.Context, t placed, key string, f *finding) bool {
	var e store.Entry
	err := t.call(ctx, &t.reads, func(ctx context.Context) (err error) {
		e, err = t.Store.Get(ctx, key)
		return err
	})
	return c.answer(t, key, e, err, f)
}

// answer files what a tier said of a key.
func (c *Chain) answer(t placed, key string, e store.Entry, err error, f *finding) bool {
	switch {
	case err == nil && c.doubtful(t.tier, e.Version):
		t.misses.add(1) // perhaps still right, but nobody can tell
		f.sound, f.replace = append(f.sound, t), append(f.replace, t.tier)
	case err == nil && !e.Expired(time.Now()):
		c.hlc.Observe(e.Version)
		f.entry, f.found, f.obj = e, true, nil
		f.sound = append(f.sound, t)
		return true
	case err == nil || errors.Is(err, store.ErrNotFound):
		t.misses.add(1)
		f.sound = append(f.sound, t)
	case errors.Is(err, store.ErrCorrupt):
		// Damage is a miss, but not a silent one, and the bytes must go.
		t.misses.add(1)
		c.counts.corrupt.add(1)
		c.report(tierError("get", t.Name, key, err))
		f.sound, f.replace = append(f.sound, t), append(f.replace, t.tier)
	case refuses(err):
		t.misses.add(1) // this tier cannot hold such a key
	default:
		err = tierError("get", t.Name, key, err)
		if !errors.Is(err, ErrTierDown) {
			c.report(err)
		}
		f.errs = append(f.errs, err)
	}
	return false
}

// tierError makes sure that err names the tier and key.
func tierError(op, tier, key string, err error) error {
	var te *store.Error
	if errors.As(err, &te) && te.Key == key && te.Tier == tier {
		return err
	}
	if te != nil && te.Op == "call" {
		err = te.Err
	}
	return &store.Error{Op: op, Tier: tier, Key: key, Err: err}
}
