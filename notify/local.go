package notify

import (
	"context"
	"errors"
	"sync"

	"github.com/stratacache/strata/notify/internal/queue"
)

// Local is a bus within the process. Create it with NewLocal.
type Local struct {
	mu     sync.RWMutex
	subs   map[*localSource]struct{}
	closed bool
}

var _ Bus = (*Local)(nil)

// NewLocal returns a bus without subscriptions. It starts no goroutine.
func NewLocal() *Local { return &Local{subs: map[*localSource]struct{}{}} }

// Publish puts payload into the buffer of every matching subscription. It waits
// only for those that said Block; if ctx ends meanwhile, it returns the context's
// error, those after them have not got the payload, and they are told that they
// missed one.
func (b *Local) Publish(ctx context.Context, topic string, payload []byte) error {
	if topic == "" {
		return ErrInvalidTopic
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	matching, err := b.matching(topic)
	if err != nil {
		return err
	}
	for i, s := range matching {
		err := s.queue.Push(ctx, Payload{Topic: topic, Data: payload})
		if err != nil && !errors.Is(err, queue.ErrClosed) {
			for _, s := range matching[i:] {
				s.queue.Mark(1)
			}
			return err
		}
	}
	return nil
}

func (b *Local) matching(topic string) ([]*localSource, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return nil, ErrClosed
	}
	var matching []*localSource
	for s := range b.subs {
		if s.pattern.Match(topic) {
			matching = append(matching, s)
		}
	}
	return matching, nil
}

// Subscribe returns a source of what is published from now on.
func (b *Local) Subscribe(ctx context.Context, pattern string, opts *SubscribeOptions) (Source, error) {
	o, err := opts.Resolve()
	if err != nil {
		return nil, err
	}
	if pattern == "" {
		return nil, ErrInvalidTopic
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &localSource{bus: b, pattern: ParsePattern(pattern), queue: queue.New[Payload](o.Buffer, queue.Policy(o.Overflow))}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	b.subs[s] = struct{}{}
	return s, nil
}

// Close ends all subscriptions.
func (b *Local) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		s.queue.Close()
	}
	clear(b.subs)
	return nil
}

// localSource is a subscription of a Local bus.
type localSource struct {
	bus     *Local
	pattern Pattern
	queue   *queue.Queue[Payload]
}

func (s *localSource) Next(ctx context.Context) (Payload, error) { return next(ctx, s.queue) }

// next pops a payload and gives the queue's results the form of a Source's.
func next(ctx context.Context, q *queue.Queue[Payload]) (Payload, error) {
	p, missed, err := q.Pop(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return Payload{}, ErrClosed
	}
	if missed != 0 {
		return Payload{Missed: missed}, nil
	}
	return p, err
}

func (s *localSource) Close() error {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subs, s)
	s.queue.Close()
	return nil
}
