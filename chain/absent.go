package chain

import (
	"sync"
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
}

// has reports whether key is known to be absent at now.
func (a *absences) has(key string, now int64) bool {
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
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.young, key)
	delete(a.old, key)
}

// clear forgets all.
func (a *absences) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.young)
	clear(a.old)
}

func (a *absences) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.young) + len(a.old)
}
