package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ended returns the error of a context that has ended: that of ctx.Err, which
// callers test for, with the cause where there is one.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// over reports whether ctx has ended, or is about to: what waits by a deadline of
// its own may notice before the context does.
func over(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// gate counts work in the background so that it can be waited for with a
// context, and while more of it begins, which sync.WaitGroup does not allow.
type gate struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // not nil while somebody waits
}

// enter counts one more piece of work.
func (g *gate) enter() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

// leave ends one.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// wait blocks until no work is left or ctx ends.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}
