// Package deadline bounds calls in time without a timer each: calls that begin
// within a sixteenth of their time limit share its end. A timer a call, with the
// channel and the context around it, was a third of the processor's time of a read by
// 64 callers; see docs/decisions/021.
package deadline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// parts is in how many parts a limit is divided: a call has up to that part of it
// less.
const parts = 16

// Limit bounds calls in time. It is safe for concurrent use.
type Limit struct {
	d, step time.Duration
	mark    atomic.Pointer[mark]
}

// NewLimit returns a limit of d, which is more than 0.
func NewLimit(d time.Duration) *Limit { return &Limit{d: d, step: d / parts} }

// mark is the end that the calls of some time share.
type mark struct {
	from   time.Time // of the first of them
	at     time.Time
	passed chan struct{} // closed at that time
}

// markAt returns the mark of a call that begins now.
func (l *Limit) markAt(now time.Time) *mark {
	old := l.mark.Load()
	if old != nil && now.Sub(old.from) < l.step {
		return old
	}
	m := &mark{from: now, at: now.Add(l.d), passed: make(chan struct{})}
	timer := time.AfterFunc(l.d, func() { close(m.passed) })
	if !l.mark.CompareAndSwap(old, m) { // somebody was quicker, just now
		timer.Stop()
		return l.mark.Load()
	}
	return m
}

// Context returns a context for a call that begins now: it ends after the limit, or
// up to a sixteenth of it earlier, or with ctx, or when Cancel is called, which its
// owner does when the call has returned.
func (l *Limit) Context(ctx context.Context, now time.Time) *Context {
	return &Context{Context: ctx, mark: l.markAt(now)}
}

// Context is a context with a shared deadline. It has a timer and a channel of its own
// only once somebody asks for Done. Most calls do not: what answers at once looks at
// Err and Deadline, and what waits may ask Ends. It is safe for concurrent use.
type Context struct {
	context.Context // the one above
	mark            *mark

	mu   sync.Mutex
	real context.Context // nil until Done is called
	end  context.CancelFunc
	over bool
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) {
	if at, ok := c.Context.Deadline(); ok && at.Before(c.mark.at) {
		return at, true
	}
	return c.mark.at, true
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.end = context.WithDeadline(c.Context, c.mark.at)
		if c.over {
			c.end()
		}
	}
	return c.real.Done()
}

// made returns the context that Done made, nil if it has not been called.
func (c *Context) made() (real context.Context, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.real, c.over
}

// Err implements context.Context.
func (c *Context) Err() error {
	real, over := c.made()
	switch {
	case real != nil:
		return real.Err()
	case c.Context.Err() != nil:
		return c.Context.Err()
	case over:
		return context.Canceled
	}
	select {
	case <-c.mark.passed:
		<-c.Done() // past its deadline, that is closed at once, and so is every look to come
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context. By one of the values package context knows its
// own kind: contexts derived from this one then end without a goroutine each.
func (c *Context) Value(key any) any {
	if real, _ := c.made(); real != nil {
		return real.Value(key)
	}
	return c.Context.Value(key)
}

// Cancel ends c, once it is not needed any more.
func (c *Context) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.real != nil {
		c.end()
	}
}

// Ends returns two channels, of which one is closed when ctx ends, but for a Cancel: so
// it is for calls under ctx, which are over before that. Either may be nil. Where one
// has been closed, Err of ctx may be nil until Done of ctx, too, has been waited for.
func Ends(ctx context.Context) (a, b <-chan struct{}) {
	if c, ok := ctx.(*Context); ok {
		return c.Context.Done(), c.mark.passed
	}
	return ctx.Done(), nil
}
