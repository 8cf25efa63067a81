package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/notify"
	"github.com/stratacache/strata/notify/internal/queue"
)

// The pauses between attempts to subscribe again.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// leastPatience is how long a subscription is waited for at least: Probe may be
// shorter than a round trip on a bad day.
const leastPatience = time.Second

// errSilent: a connection did not even deliver the subscription's own probe.
var errSilent = errors.New("redisbus: the connection is open but delivers nothing")

// source is one subscription, with the goroutine that receives for it.
type source struct {
	bus     *Bus
	name    string // the pattern as the caller gave it
	pattern notify.Pattern
	probe   string // the channel of its own probes
	queue   *queue.Queue[notify.Payload]

	lifetime

	seen    atomic.Bool // something came since the last look of the watch
	pushing atomic.Bool // the receiver waits for the reader, and does not listen
	silent  atomic.Bool // the watch closed the connection
}

func newSource(b *Bus, pattern string, o notify.SubscribeOptions) *source {
	s := &source{
		bus: b, name: pattern, pattern: notify.ParsePattern(pattern),
		probe: b.opts.Prefix + "\x00probe:" + rand.Text(),
		queue: queue.New[notify.Payload](o.Buffer, queue.Policy(o.Overflow)),
	}
	s.begin()
	return s
}

// Next implements notify.Source.
func (s *source) Next(ctx context.Context) (notify.Payload, error) {
	p, missed, err := s.queue.Pop(ctx)
	if errors.Is(err, queue.ErrClosed) {
		return notify.Payload{}, notify.ErrClosed
	}
	if missed != 0 {
		return notify.Payload{Missed: missed}, nil
	}
	return p, err
}

// Close ends the subscription and waits for its goroutine.
func (s *source) Close() error {
	s.bus.subs.remove(s)
	s.end(s.queue.Close)
	return nil
}

// run receives until the source is closed, over as many connections as it takes.
func (s *source) run(ps *redis.PubSub) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: lastPause, Multiplier: 2, RandomizationFactor: 0.5,
	}
	for {
		err := s.receive(ps)
		for pause.Reset(); ; {
			if s.ctx.Err() != nil {
				return
			}
			if s.bus.opts.OnError != nil {
				s.bus.opts.OnError(s.name, err)
			}
			if ps, err = s.connect(s.ctx); err == nil {
				break
			}
			select {
			case <-s.ctx.Done():
			case <-time.After(pause.NextBackOff()):
			}
		}
		// Only now: a reader that catches up on being told would otherwise miss
		// what is published before the new subscription holds.
		s.queue.Mark(notify.MissedUnknown)
	}
}

// connect opens a connection and returns when Redis has confirmed both
// subscriptions.
func (s *source) connect(ctx context.Context) (*redis.PubSub, error) {
	ps := s.bus.client.Subscribe(ctx) // of nothing yet, so it connects later
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()
	defer context.AfterFunc(s.ctx, func() { _ = ps.Close() })()
	err := ps.Subscribe(ctx, s.probe)
	if err == nil {
		if topic, ok := s.pattern.Literal(); ok {
			err = ps.Subscribe(ctx, s.bus.opts.Prefix+topic)
		} else {
			err = ps.PSubscribe(ctx, glob(s.bus.opts.Prefix, s.pattern))
		}
	}
	for confirmed := 0; err == nil && confirmed < 2; {
		var msg any
		// The pattern is confirmed last, so nothing for the reader comes before.
		// Nobody watches this connection yet: one that falls silent must not be
		// waited for without end.
		msg, err = ps.ReceiveTimeout(ctx, max(s.bus.opts.Probe, leastPatience))
		if _, ok := msg.(*redis.Subscription); ok {
			confirmed++
		}
	}
	if err != nil {
		_ = ps.Close()
		if s.ctx.Err() != nil {
			return nil, notify.ErrClosed
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return ps, nil
}

// receive delivers what comes over ps until that fails, and closes it.
func (s *source) receive(ps *redis.PubSub) error {
	defer context.AfterFunc(s.ctx, func() { _ = ps.Close() })()
	s.seen.Store(true)
	s.silent.Store(false)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.watch(ps, stop) })
	defer watch.Wait()
	defer close(stop)
	defer func() { _ = ps.Close() }()
	for {
		msg, err := ps.Receive(s.ctx)
		if err != nil {
			if s.silent.Load() {
				return errSilent
			}
			return err
		}
		s.seen.Store(true)
		if m, ok := msg.(*redis.Message); ok {
			s.deliver(m)
		}
	}
}

func (s *source) deliver(m *redis.Message) {
	if m.Channel == s.probe {
		return
	}
	topic, ok := strings.CutPrefix(m.Channel, s.bus.opts.Prefix)
	if !ok {
		return
	}
	s.pushing.Store(true)
	// It fails only when the source is closed.
	_ = s.queue.Push(s.ctx, notify.Payload{Topic: topic, Data: []byte(m.Payload)})
	s.pushing.Store(false)
	s.seen.Store(true)
}

// watch closes ps when nothing comes over it, not even the probe that watch
// sends after a silent interval.
func (s *source) watch(ps *redis.PubSub, stop <-chan struct{}) {
	ticker := time.NewTicker(s.bus.opts.Probe)
	defer ticker.Stop()
	probed := false
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		switch {
		case s.seen.Swap(false), s.pushing.Load():
			probed = false
		case probed:
			s.silent.Store(true)
			_ = ps.Close()
			return
		default:
			probed = true
			ctx, cancel := context.WithTimeout(s.ctx, s.bus.opts.Probe)
			_ = s.bus.publish(ctx, s.probe, nil) // if it fails, it does not come
			cancel()
		}
	}
}
