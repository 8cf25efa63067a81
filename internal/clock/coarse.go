package clock

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tick is how often a Coarse clock is refreshed, and Slack how near a deadline
// may come before Passed reads the precise clock. The slack is several ticks, so
// that a ticker delayed by a busy machine does not serve an entry late.
const (
	Tick  = 20 * time.Millisecond
	Slack = 250 * time.Millisecond
)

// Coarse is a wall clock that costs one atomic load: a goroutine refreshes it
// every Tick. time.Now costs 40 to 140 ns on virtual machines, which is a large
// part of a memory hit. Create with NewCoarse; Stop releases the goroutine.
type Coarse struct {
	now   atomic.Int64 // Unix nanoseconds
	ticks atomic.Uint64
	stop  chan struct{}
	once  sync.Once
	done  sync.WaitGroup
}

// NewCoarse starts a coarse clock.
func NewCoarse() *Coarse {
	c := &Coarse{stop: make(chan struct{})}
	c.now.Store(time.Now().UnixNano())
	c.done.Go(c.run)
	return c
}

func (c *Coarse) run() {
	t := time.NewTicker(Tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.now.Store(time.Now().UnixNano())
			c.ticks.Add(1)
		case <-c.stop:
			return
		}
	}
}

// Refresh reads the precise clock.
func (c *Coarse) Refresh() { c.now.Store(time.Now().UnixNano()) }

// Ticks returns how often the goroutine has refreshed the clock. While it does not
// change, the clock may be late.
func (c *Coarse) Ticks() uint64 { return c.ticks.Load() }

// Passed reports whether the deadline, in Unix nanoseconds, has passed. Near the
// deadline it reads the precise clock. A deadline of Never has not passed.
func (c *Coarse) Passed(deadline int64) bool {
	if deadline-c.now.Load() > int64(Slack) {
		return false
	}
	return time.Now().UnixNano() >= deadline
}

// Stop ends the clock's goroutine and waits for it. The clock then stands still:
// call Stop when nothing reads it any more.
func (c *Coarse) Stop() {
	c.once.Do(func() { close(c.stop) })
	c.done.Wait()
}

// Never is the deadline, in Unix nanoseconds, of what does not expire.
const Never = int64(1<<63 - 1)

// Nanos returns t in Unix nanoseconds, and Never for the zero time and for times
// beyond the range.
func Nanos(t time.Time) int64 {
	if t.IsZero() || t.Year() > 2261 {
		return Never
	}
	return t.UnixNano()
}

// FromNanos is the inverse of Nanos: Never gives the zero time.
func FromNanos(n int64) time.Time {
	if n == Never {
		return time.Time{}
	}
	return time.Unix(0, n)
}
