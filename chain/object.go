package chain

import (
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/internal/index"
	"github.com/stratacache/strata/store"
)

// object is a decoded value as memory holds it: one allocation with everything
// that a hit reads in its first words, so that a hit touches one cache line for
// small values. All fields but epoch are fixed once the object is shared.
// Deadlines are Unix nanoseconds (clock.Never: none).
type object[V any] struct {
	index.Header               // for the memory tier
	hot          int64         // until then a hit needs no thought: no deadline, refresh or back-off is due
	epoch        atomic.Uint64 // the chain's epoch at which no barrier covered the object; or retired
	value        V

	fresh   int64  // soft deadline
	expires int64  // hard deadline
	version uint64 // when the write or load began
	cost    int64  // bytes; negative: see markLoaded
	more    *objectMore
}

// retired is the epoch of an object that a later write has replaced, in a queue and
// not yet in memory: nobody may be served it any more.
const retired = ^uint64(0)

// objectMore holds what few objects have.
type objectMore struct {
	tags     []string
	loadTime time.Duration // what the load took, for early refresh
	codec    string        // of bytes that were stored through Chain.Store
	soft     int64         // the value's own soft deadline, where memory bounds it and a refresh comes before
}

// life is the pair of deadlines of a value, in Unix nanoseconds.
type life struct{ fresh, expires int64 }

// bounded returns l cut to at most d from now; d <= 0 is no bound.
func (l life) bounded(now int64, d time.Duration) life {
	if d <= 0 {
		return l
	}
	end := now + int64(d)
	return life{min(l.fresh, end), min(l.expires, end)}
}

// lifeOf returns the deadlines of an entry.
func lifeOf(e *store.Entry) life {
	return life{clock.Nanos(e.FreshUntil()), clock.Nanos(e.Expires)}
}

// apply writes the deadlines into an entry.
func (l life) apply(e *store.Entry) {
	e.Expires = clock.FromNanos(l.expires)
	e.Fresh = clock.FromNanos(l.fresh)
	if l.fresh == l.expires {
		e.Fresh = time.Time{} // the zero Fresh means Expires
	}
}

func (o *object[V]) tags() []string {
	if o.more == nil {
		return nil
	}
	return o.more.tags
}

func (o *object[V]) loadTime() time.Duration {
	if o.more == nil {
		return 0
	}
	return o.more.loadTime
}

// refreshable returns the deadlines that refreshes go by: the value's, not those
// that memory gave it.
func (o *object[V]) refreshable() life {
	if o.more != nil && o.more.soft != 0 {
		return life{o.more.soft, o.expires}
	}
	return o.deadlines()
}

// markLoaded notes that this process loaded the value itself, where other processes write.
// Their versions do not tell whether they came before or after the load, within the
// millisecond in which it began.
func (o *object[V]) markLoaded(c *Chain) {
	if c.shares && o.cost > 0 {
		o.cost = -o.cost
	}
}

// held is what the chain does with an object without knowing its type.
type held interface {
	stamp(version uint64)
	loaded() bool
	size() int64
	deadlines() life
	ver() uint64
	labels() []string
	retire()
	isRetired() bool
	since() uint64 // epoch at which it was last found sound
}

func (o *object[V]) stamp(version uint64) { o.version = version }
func (o *object[V]) loaded() bool         { return o.cost < 0 }
func (o *object[V]) size() int64          { return max(o.cost, -o.cost) }
func (o *object[V]) deadlines() life      { return life{o.fresh, o.expires} }

// life is deadlines, of nothing too: that has always expired.
func (o *object[V]) life() life {
	if o == nil {
		return life{}
	}
	return o.deadlines()
}

func (o *object[V]) ver() uint64      { return o.version }
func (o *object[V]) labels() []string { return o.tags() }
func (o *object[V]) retire()          { o.epoch.Store(retired) }
func (o *object[V]) isRetired() bool  { return o.epoch.Load() == retired }
func (o *object[V]) since() uint64    { return o.epoch.Load() }
