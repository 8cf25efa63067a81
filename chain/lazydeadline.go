package chain

import (
	"context"
	"sync"
	"time"
)

// lazyDeadline is a context with a deadline that has a timer only once somebody wants
// to be woken by it. Tiers that answer at once never do, and a timer, with its place
// among the children of the context above, is half the price of asking them.
type lazyDeadline struct {
	context.Context // the one above
	at              time.Time

	mu   sync.Mutex
	real context.Context // nil until Done is called
	end  context.CancelFunc
	over bool
}

// Deadline implements context.Context.
func (d *lazyDeadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done implements context.Context.
func (d *lazyDeadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.real == nil {
		d.real, d.end = context.WithDeadline(d.Context, d.at)
		if d.over {
			d.end()
		}
	}
	return d.real.Done()
}

// made returns the context with the timer, nil where there is none yet.
func (d *lazyDeadline) made() (real context.Context, over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.real, d.over
}

// Err implements context.Context.
func (d *lazyDeadline) Err() error {
	real, over := d.made()
	switch {
	case real != nil:
		return real.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case over:
		return context.Canceled
	case !time.Now().Before(d.at):
		<-d.Done() // past its deadline, that is closed at once, and so is every look to come
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Contexts that are derived from d have called Done
// and find the real one in this way, to which they are added without a goroutine.
func (d *lazyDeadline) Value(key any) any {
	if real, _ := d.made(); real != nil {
		return real.Value(key)
	}
	return d.Context.Value(key)
}

// cancel ends d and lets go of the timer, if there is one.
func (d *lazyDeadline) cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.real != nil {
		d.end()
	}
}
