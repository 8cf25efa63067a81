package chain

import (
	"sync"
	"sync/atomic"
	"time"
)

// absences remembers, for a while, keys that the loader said do not exist. It
// has a capacity of its own, so that a storm of absent keys cannot push values
// out of memory: two generations of maps, of which the older is dropped when the
// younger is full.
type absences struct {
	mu         sync.Mutex
	capacity   int
	young, old map[string]int64 // until when, in Unix nanoseconds
	n          atomic.Int64     // keys in both, read without the lock
}

func newAbsences(capacity int) *absences {
	return &absences{capacity: max(capacity/2, 1), young: map[string]int64{}}
}

// add remembers key until now+ttl.
func (a *absences) add(key string, now int64, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.young) >= a.capacity {
		a.old, a.young = a.young, make(map[string]int64, a.capacity)
	}
	a.young[key] = add(now, ttl)
	a.count()
}

// count is to follow each change. mu is held.
func (a *absences) count() { a.n.Store(int64(len(a.young) + len(a.old))) }

// has reports whether key is known to be absent at now.
func (a *absences) has(key string, now int64) bool {
	if a.n.Load() == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.young[key]
	if !ok {
		until, ok = a.old[key]
	}
	return ok && now < until
}

// remove forgets key, which has been written.
func (a *absences) remove(key string) {
	if a.n.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.young, key)
	delete(a.old, key)
	a.count()
}

// clear forgets all.
func (a *absences) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.young)
	clear(a.old)
	a.count()
}

func (a *absences) len() int { return int(a.n.Load()) }
