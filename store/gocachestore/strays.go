package gocachestore

import (
	"context"
	"slices"
	"sync"
)

// strays are the writes of which the caller has left while the gocache store was
// still at it. Such a write may land at any time, so later writes of its key wait
// for it: it would undo them. The zero value is ready for use.
type strays struct {
	mu    sync.Mutex
	calls map[string][]chan struct{}
}

// everyKey stands for a write of all keys.
const everyKey = ""

// write runs f, a write of key, as call does, after the strays of the key.
func (s *strays) write(ctx context.Context, key string, f func() error) error {
	for {
		stray := s.of(key)
		if stray == nil {
			break
		}
		if err := await(ctx, stray); err != nil {
			return err
		}
	}
	if ctx.Done() == nil {
		return shielded(f)
	}
	ended, result := make(chan struct{}), make(chan error, 1)
	go func() {
		result <- shielded(f)
		s.end(key, ended)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case err := <-result: // both at once: an answer is better
		return err
	default:
	}
	if s.calls == nil {
		s.calls = make(map[string][]chan struct{})
	}
	s.calls[key] = append(s.calls[key], ended)
	return ctx.Err()
}

// end is called when a write of key has ended.
func (s *strays) end(key string, ended chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(ended)
	left := slices.DeleteFunc(s.calls[key], func(c chan struct{}) bool { return c == ended })
	if len(left) == 0 {
		delete(s.calls, key)
	} else {
		s.calls[key] = left
	}
}

// of returns what is closed when a stray of key has ended, nil if there is none.
func (s *strays) of(key string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range []string{key, everyKey} {
		if calls := s.calls[k]; len(calls) > 0 {
			return calls[0]
		}
	}
	return nil
}

// all waits for the strays of all keys.
func (s *strays) all(ctx context.Context) error {
	s.mu.Lock()
	var now []chan struct{}
	for _, calls := range s.calls {
		now = append(now, calls...)
	}
	s.mu.Unlock()
	for _, stray := range now {
		if err := await(ctx, stray); err != nil {
			return err
		}
	}
	return nil
}

func await(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
