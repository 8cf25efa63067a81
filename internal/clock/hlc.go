// Package clock has the two clocks of strata: a hybrid logical clock that
// stamps versions, and a coarse wall clock that costs a hit one atomic load.
package clock

import (
	"sync/atomic"
	"time"
)

// counterBits is the width of a version's counter; the rest is milliseconds
// since the Unix epoch.
const counterBits = 16

// Millisecond is what versions of one millisecond are apart from those of the next.
const Millisecond = 1 << counterBits

// HLC is a hybrid logical clock (Kulkarni et al., "Logical Physical Clocks",
// 2014): versions follow the wall clock while it moves forward and a counter
// while it does not, so that they are never repeated and never decrease in a
// process. The zero value is ready. Safe for concurrent use.
type HLC struct {
	last atomic.Uint64
	// Origin is what the counter begins each millisecond with. Clocks of different
	// origin hardly ever return the same version, so that of two writes by two
	// processes in one millisecond everybody keeps the same one. Set before first
	// use.
	Origin uint16
	// Now is the wall clock; nil is time.Now. Set before first use.
	Now func() time.Time
}

// Next returns a version greater than all that this clock has returned or
// observed.
func (c *HLC) Next() uint64 {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return c.NextAt(now().UnixNano())
}

// NextAt is Next for callers who have read the wall clock, in Unix nanoseconds, not
// long ago. A clock of the HLC's own is not asked.
func (c *HLC) NextAt(wall int64) uint64 {
	return c.next(uint64(max(wall/1e6, 1))<<counterBits | uint64(c.Origin))
}

// Seal is Next, but past all that other clocks stamp in this millisecond as well:
// theirs begin it with other origins. It is for what must cover their versions, too.
func (c *HLC) Seal() uint64 {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return c.next(uint64(max(now().UnixMilli(), 1))<<counterBits | (Millisecond - 1))
}

// Tick is Next without a look at the wall clock, for stamps that need to be greater
// than all before and no more than that.
func (c *HLC) Tick() uint64 { return c.next(0) }

func (c *HLC) next(wall uint64) uint64 {
	for {
		last := c.last.Load()
		next := max(wall, last+1)
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// MaxAhead is how far in the future a foreign version may lie and still move
// the clock. A damaged or hostile version must not drag the clock to the end of
// its range, where every later version would compare equal.
const MaxAhead = 24 * time.Hour

// Observe moves the clock past version v, which another process stamped. A
// version more than MaxAhead in the future is ignored; it reports whether v was
// taken.
func (c *HLC) Observe(v uint64) bool {
	if v <= c.last.Load() {
		return true
	}
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	if Time(v).Sub(now()) > MaxAhead {
		return false
	}
	for {
		last := c.last.Load()
		if v <= last || c.last.CompareAndSwap(last, v) {
			return true
		}
	}
}

// Restore moves the clock past version v, which this program itself stamped in an
// earlier run, however far in the future that lies: the wall clock may have been
// set back since.
func (c *HLC) Restore(v uint64) {
	for {
		last := c.last.Load()
		if v <= last || c.last.CompareAndSwap(last, v) {
			return
		}
	}
}

// Last returns the greatest version returned or observed so far; 0 at first.
func (c *HLC) Last() uint64 { return c.last.Load() }

// Time returns the wall-clock part of version v.
func Time(v uint64) time.Time { return time.UnixMilli(int64(v >> counterBits)) }
