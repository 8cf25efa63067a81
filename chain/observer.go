package chain

import (
	"time"

	"github.com/stratacache/strata/store"
)

// Observer is told what a chain does. Methods are called from the goroutine in
// which it happens and must be quick, safe for concurrent use, and must not call
// the chain. Embed NopObserver to implement some of them only.
type Observer interface {
	// Hit: a tier (or "pending", the writes under way) had the value.
	Hit(tier, key string)
	// Miss: no tier had it.
	Miss(key string)
	// Load: a loader returned after d.
	Load(key string, d time.Duration, err error)
	// Stale: a value past its soft deadline was served.
	Stale(key string)
	// Fill: a value read or loaded was written into a tier.
	Fill(tier, key string)
	// Evict: a tier dropped a value of so many bytes for room, or did not admit it. The
	// key is not known: memory keeps none. Only tiers that are a store.EvictionNotifier
	// tell; memstore does, from a goroutine of its engine.
	Evict(tier string, bytes int64)
	// Error: a tier failed; err is a *store.Error.
	Error(err error)
	// Breaker: a tier's circuit breaker became "open", "half-open" or "closed".
	Breaker(tier, state string)
	// Flush: a tier took n pending writes, or failed.
	Flush(tier string, n int, err error)
	// Pending: that much waits for a tier, the oldest since age. It is called
	// after each flush, and when a write finds the queue full.
	Pending(tier string, entries int, bytes int64, age time.Duration)
}

// NopObserver does nothing.
type NopObserver struct{}

// Hit implements Observer.
func (NopObserver) Hit(tier, key string) {}

// Miss implements Observer.
func (NopObserver) Miss(key string) {}

// Load implements Observer.
func (NopObserver) Load(key string, d time.Duration, err error) {}

// Stale implements Observer.
func (NopObserver) Stale(key string) {}

// Fill implements Observer.
func (NopObserver) Fill(tier, key string) {}

// Evict implements Observer.
func (NopObserver) Evict(tier string, bytes int64) {}

// Error implements Observer.
func (NopObserver) Error(err error) {}

// Breaker implements Observer.
func (NopObserver) Breaker(tier, state string) {}

// Flush implements Observer.
func (NopObserver) Flush(tier string, n int, err error) {}

// Pending implements Observer.
func (NopObserver) Pending(tier string, entries int, bytes int64, age time.Duration) {}

// observeEvictions has the observer told of what the tiers drop for room.
func (c *Chain) observeEvictions() {
	if c.opts.Observer == nil {
		return
	}
	for _, t := range c.tiers {
		n, ok := t.Store.(store.EvictionNotifier)
		if !ok {
			continue
		}
		n.NotifyEvictions(func(obj any) {
			var bytes int64
			switch o := obj.(type) {
			case held:
				bytes = o.size()
			case *store.Entry:
				bytes = int64(len(o.Value))
			}
			c.opts.Observer.Evict(t.Name, bytes)
		})
	}
}
