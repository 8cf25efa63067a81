package redisbus

import (
	"context"
	"fmt"
	"sync"

	"github.com/stratacache/strata/internal/rediscall"
	"github.com/stratacache/strata/notify"
)

// sources are the open subscriptions of a bus. The zero value is ready for use.
type sources[S interface {
	comparable
	Close() error
}] struct {
	mu     sync.Mutex
	open   map[S]struct{}
	closed bool
}

// check returns notify.ErrClosed once close was called.
func (l *sources[S]) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return notify.ErrClosed
	}
	return nil
}

func (l *sources[S]) add(s S) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return notify.ErrClosed
	}
	if l.open == nil {
		l.open = make(map[S]struct{})
	}
	l.open[s] = struct{}{}
	return nil
}

func (l *sources[S]) remove(s S) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, s)
}

// close ends all subscriptions and waits for their goroutines.
func (l *sources[S]) close() {
	l.mu.Lock()
	l.closed = true
	open := make([]S, 0, len(l.open))
	for s := range l.open {
		open = append(open, s)
	}
	l.mu.Unlock()
	for _, s := range open {
		_ = s.Close() // never fails
	}
}

// lifetime is that of a subscription's goroutine.
type lifetime struct {
	ctx    context.Context // ends with end
	cancel context.CancelFunc
	mu     sync.Mutex
	done   sync.WaitGroup
}

func (l *lifetime) begin() { l.ctx, l.cancel = context.WithCancel(context.Background()) }

// start runs f, unless the lifetime has ended meanwhile.
func (l *lifetime) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.done.Go(f)
	return true
}

// end calls release, which is to free whoever waits, and waits for the goroutine.
func (l *lifetime) end(release func()) {
	l.mu.Lock()
	l.cancel()
	release()
	l.mu.Unlock()
	l.done.Wait()
}

// run calls f and returns when ctx ends, with its error.
func run(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done, err := rediscall.Await(ctx, f)
	if err != nil && done && ctx.Err() != nil {
		return fmt.Errorf("%w (%v)", ctx.Err(), err) //nolint:errorlint // the context's error is the one to match
	}
	return err
}

// resolve checks what a subscription asks for.
func resolve(pattern string, opts *notify.SubscribeOptions) (notify.SubscribeOptions, error) {
	o, err := opts.Resolve()
	if err == nil && pattern == "" {
		err = notify.ErrInvalidTopic
	}
	return o, err
}
