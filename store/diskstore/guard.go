package diskstore

import (
	"sync"
	"sync/atomic"
	"time"
)

// guard lets readers use what is about to be unmapped without a lock or a
// reference count that all of them share: sleepable read-copy-update (McKenney,
// "Sleepable RCU", 2006). A reader enters, loads the state, uses it and leaves.
// Whoever has published a new state waits until all readers that may still see
// the old one have left.
type guard struct {
	phase atomic.Uint32
	mu    sync.Mutex // one waiter at a time
	slots [guardSlots]guardSlot
}

const guardSlots = 16

// guardSlot counts the readers in it, by phase, on a cache line of its own.
type guardSlot struct {
	n [2]atomic.Int64
	_ [112]byte
}

// enter begins a read. The counter it returns must be given to leave. spread
// picks the slot: a hash of the key.
func (g *guard) enter(spread uint64) *atomic.Int64 {
	c := &g.slots[spread%guardSlots].n[g.phase.Load()&1]
	c.Add(1)
	return c
}

func leave(c *atomic.Int64) { c.Add(-1) }

// wait returns once every reader that entered before the call has left. Both
// phases are waited for: a reader may have picked a phase before the change and
// counted itself after it.
func (g *guard) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range 2 {
		old := g.phase.Add(1) - 1
		for i := range g.slots {
			for g.slots[i].n[old&1].Load() != 0 {
				time.Sleep(50 * time.Microsecond)
			}
		}
	}
}
