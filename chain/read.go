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

	at       int64 // when judge took the entry; 0: it did not
	answered int64 // when the tier had answered with the entry; 0: the entry is of no tier
	found    bool
	deleted  bool     // a pending delete: the key is absent, whatever tiers hold
	replace  outdated // what tiers hold that is stale, damaged or undecodable
	loss     *loss    // of a write, by a shared tier
	sound    []placed // tiers that answered, and may be filled after a load
	errs     []error  // of the tiers that could not answer
}

// outdated is what tiers hold of a key and are not to hold any longer.
type outdated []remnant

// remnant is what one tier holds.
type remnant struct {
	t     *tier
	entry store.Entry
	known bool // entry is what was read; false for damage, of which nothing is known
}

// now is the time by which what a walk came to is judged: when an entry was taken,
// if one was. Memory's bound may be so short, and its reader held up for so long,
// that the object made of the entry has expired since; the answer has not.
func (f *finding) now() int64 {
	if f != nil && f.at != 0 {
		return f.at
	}
	return time.Now().UnixNano()
}

func (o outdated) in(t *tier) (r remnant, ok bool) {
	for _, r := range o {
		if r.t == t {
			return r, true
		}
	}
	return remnant{}, false
}

// outdate adds what was found in t, as far as it could be read.
func (f *finding) outdate(t *tier, e store.Entry, known bool) {
	f.replace = append(f.replace, remnant{t, e, known})
}

// failure returns the error of a walk that found nothing: not found, or what
// kept the tiers from answering.
func (f *finding) failure() error {
	if len(f.errs) == 0 {
		return store.ErrNotFound
	}
	return errors.Join(f.errs...)
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
// judge takes an entry. judge is called with each entry found. f, which is empty, is
// what it came to.
func (c *Chain) walk(ctx context.Context, p *plan, key string, here bool, f *finding, judge func(f *finding) verdict) {
	owed := c.pending(p, key)
	at := owed.turn(p)
	var second *finding
	for i, t := range p.tiers {
		if i == at && c.owed(f, owed) {
			if f.deleted || judge(f) != useless {
				return // stale or not, nothing in a tier is newer
			}
			f.found, f.obj = false, nil
		}
		if slices.Contains(owed.by, t.tier) || !c.ask(ctx, t, key, f, here) {
			continue
		}
		if i < at && f.entry.Version != 0 && f.entry.Version < owed.version {
			f.outdate(t.tier, f.entry, true)
			f.found = false
			continue
		}
		f.from = t.Name
		switch judge(f) {
		case take:
			f.to = without(f.sound, t.tier, i)
			return
		case stale:
			f.outdate(t.tier, f.entry, true)
			if second == nil {
				best := *f
				second = &best
			}
		case useless:
			f.outdate(t.tier, f.entry, true)
		}
		f.found = false
	}
	if second != nil {
		second.replace, second.sound, second.errs, second.loss = f.replace, f.sound, f.errs, f.loss
		*f = *second
	}
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

// owed is what the tiers of a plan have yet to take of a key.
type owed struct {
	slot         // the newest operation; version 0: there is none
	at   int     // the place of its tier in the plan
	by   []*tier // tiers that are owed something newer than what they hold
}

// pending looks the key up in the queues of all tiers.
func (c *Chain) pending(p *plan, key string) (o owed) {
	var now time.Time
	if !p.owed() {
		return o // most reads: a slot is large to copy
	}
	for i, t := range p.tiers {
		s, ok := t.queue.get(key)
		if !ok {
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		o.by = append(o.by, t.tier)
		if !s.purge && !s.entry.Expired(now) && s.version > o.version {
			o.slot, o.at = s, i
		}
	}
	return o
}

// turn returns the place in the plan before whose tier the pending operation
// answers: before all, unless a nearer tier is shared and owed nothing. Such a tier
// has taken the operation, or the delete of the key from it, and perhaps what
// another process wrote since.
func (o *owed) turn(p *plan) int {
	for i := o.at - 1; i >= 0; i-- {
		if t := p.tiers[i]; t.Shared && !slices.Contains(o.by, t.tier) {
			return i + 1
		}
	}
	return 0
}

// owed makes the pending operation what f found, if there is one.
func (c *Chain) owed(f *finding, o owed) bool {
	if o.version == 0 {
		return false
	}
	c.counts.pendingHits.add(1)
	f.from, f.deleted, f.answered = "pending", o.deleted, 0
	f.found, f.entry, f.obj = !o.deleted, o.entry, o.obj
	return true
}

// ask reads key from one tier into f. It reports whether there is an entry to
// judge; what went wrong is in f.
func (c *Chain) ask(ctx context.Context, t placed, key string, f *finding, here bool) bool {
	e, err := t.get(ctx, key, here)
	if here && err != nil && over(ctx) {
		return false // the caller has left: the walk will be done anew
	}
	now := time.Now()
	f.answered = now.UnixNano()
	return c.answer(t, key, e, err, f, now)
}

// answer files what a tier said of a key until now.
func (c *Chain) answer(t placed, key string, e store.Entry, err error, f *finding, now time.Time) bool {
	switch {
	case err == nil && c.doubtful(t.tier, e.Version) && !f.loss.holds(e.Version):
		t.misses.add(1) // perhaps still right, but nobody can tell
		f.sound = append(f.sound, t)
		f.outdate(t.tier, e, true)
	case err == nil && !e.Expired(now):
		if l := c.lost(t, key, e.Version); l != nil {
			c.noteLoss(f, t, e, l)
			return false
		}
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
		f.sound = append(f.sound, t)
		f.outdate(t.tier, store.Entry{}, false)
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
