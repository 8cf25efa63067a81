package chain

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/stratacache/strata/internal/clock"
)

// never as a TTL says that the value has no deadline.
const never = time.Duration(-1)

// lifeFor returns the deadlines of a value written or loaded at now. ttl
// overrides the plan's: 0 is none, negative means never.
func (p *plan) lifeFor(now int64, ttl time.Duration) life {
	switch {
	case ttl == 0:
		ttl = p.ttl
	case ttl < 0:
		ttl = never
	}
	if ttl == never {
		return life{clock.Never, clock.Never}
	}
	ttl = p.jittered(ttl)
	fresh := add(now, ttl)
	return life{fresh, add(fresh, p.grace)}
}

// jittered shortens ttl by a random part of the rule's jitter, never lengthens
// it, so that keys written together do not expire together.
func (p *plan) jittered(ttl time.Duration) time.Duration {
	if p.jitter <= 0 {
		return ttl
	}
	return ttl - time.Duration(rand.Float64()*p.jitter*float64(ttl))
}

// add returns t+d, and clock.Never where that overflows.
func add(t int64, d time.Duration) int64 {
	if t == clock.Never || t > math.MaxInt64-int64(d) {
		return clock.Never
	}
	return t + int64(d)
}

// earlyReach is how many mean load times before the deadline early refresh is
// considered at all: exp(-10) of the draws would fall before that.
const earlyReach = 10

// hotUntil returns the moment from which a hit must think: the soft deadline, or
// earlier where the rule refreshes ahead of it.
func (p *plan) hotUntil(l life, born int64, load time.Duration) int64 {
	hot := l.fresh
	if hot == clock.Never {
		return hot
	}
	if p.refreshAhead > 0 {
		hot = min(hot, p.refreshAt(l, born))
	}
	if p.early > 0 && load > 0 {
		hot = min(hot, l.fresh-int64(earlyReach*p.early*float64(load)))
	}
	return hot
}

// refreshAt is when refresh-ahead begins: after the rule's fraction of the time
// between the value's write and its soft deadline.
func (p *plan) refreshAt(l life, born int64) int64 {
	return born + int64(p.refreshAhead*float64(l.fresh-born))
}

// born returns when a value of that version was written or loaded; where nobody
// stamped it, what its rule's TTL makes of its deadline.
func (p *plan) born(l life, version uint64) int64 {
	if version == 0 {
		return l.fresh - int64(max(p.ttl, 0))
	}
	return clock.Time(version).UnixNano()
}

// wantsRefresh reports whether a hit on a value that is still fresh should
// refresh it in the background. Early refresh is XFetch (Vattani, Chierichetti,
// Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015): each
// reader draws, and the chance grows as the deadline comes nearer and with the
// time that the load took.
func (p *plan) wantsRefresh(now int64, l life, version uint64, load time.Duration) bool {
	if l.fresh == clock.Never {
		return false
	}
	if p.refreshAhead > 0 && now >= p.refreshAt(l, p.born(l, version)) {
		return true
	}
	if p.early <= 0 || load <= 0 {
		return false
	}
	u := 1 - rand.Float64() // (0, 1]
	return float64(now)-p.early*float64(load)*math.Log(u) >= float64(l.fresh)
}

// servesStale reports whether a value may be served at now although its soft
// deadline has passed, given the rule's window for the occasion.
func (p *plan) servesStale(now int64, l life, window time.Duration) bool {
	if p.neverStale || window <= 0 || now >= l.expires {
		return false
	}
	return now < add(l.fresh, window)
}
