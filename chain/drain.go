package chain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errStalled is why a drain without a deadline ended.
var errStalled = errors.New("strata: the tier took nothing")

// drain waits until the queue is empty, ctx ends or, where ctx has no deadline,
// the tier has taken nothing for Options.Pending.DrainStall. With seal the queue
// then takes no more.
func (q *queue) drain(ctx context.Context, seal bool) error {
	q.mu.Lock()
	q.draining++
	q.nudged = true // one attempt now, whatever pause is on
	for s := q.deferred.first; s != nil; s = s.next {
		s.due = 0
	}
	q.due = 0
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.draining--
		q.mu.Unlock()
	}()
	stall := q.watch(ctx)
	defer stall.stop()
	for {
		q.mu.Lock()
		if len(q.slots) == 0 {
			q.closed = q.closed || seal
			q.mu.Unlock()
			return nil
		}
		idle := await(&q.idle)
		q.mu.Unlock()
		signal(q.wake)
		select {
		case <-idle:
		case <-stall.tick:
			if err := stall.check(); err != nil {
				return q.left(err)
			}
		case <-ctx.Done():
			return q.left(ended(ctx))
		}
	}
}

// stall watches whether a queue that is drained makes progress.
type stall struct {
	q      *queue
	timer  *time.Timer
	tick   <-chan time.Time // nil: for ever
	before progress
}

// progress changes whenever the queue gets rid of something.
type progress struct {
	successes uint64
	entries   int
}

// watch returns a stall for a drain under ctx.
func (q *queue) watch(ctx context.Context) *stall {
	s := &stall{q: q}
	if _, ok := ctx.Deadline(); ok {
		return s
	}
	s.timer = time.NewTimer(q.c.opts.Pending.DrainStall)
	s.tick = s.timer.C
	s.before, _ = q.progress()
	return s
}

func (s *stall) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// check returns an error if there was no progress since the last check.
func (s *stall) check() error {
	now, err := s.q.progress()
	if now == s.before {
		return err
	}
	s.before = now
	s.timer.Reset(s.q.c.opts.Pending.DrainStall)
	return nil
}

// progress returns how far the queue is, and why it is no further.
func (q *queue) progress() (progress, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := fmt.Errorf("%w for %v", errStalled, q.c.opts.Pending.DrainStall)
	if q.err != nil {
		err = fmt.Errorf("%w: %w", err, q.err)
	}
	return progress{q.successes, len(q.slots)}, err
}

// left reports what is pending as a *PendingError; nil where nothing is.
func (q *queue) left(why error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.slots) == 0 {
		return nil
	}
	e := &PendingError{Tier: q.t.Name, Left: len(q.slots), Err: why}
	for _, s := range q.slots {
		if s.rec != nil {
			e.Journalled++
		}
	}
	return e
}

// shut makes every later put fail, and reports what is left.
func (q *queue) shut(why error) error {
	q.mu.Lock()
	q.closed = true
	wakeAll(&q.room)
	q.mu.Unlock()
	return q.left(why)
}

func (q *queue) stats() PendingStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := PendingStats{
		Entries: len(q.slots), Bytes: q.bytes, Retries: q.deferred.n,
		Flushed: q.flushed.load(), Failed: q.failed.load(), Lost: q.lost.load(),
	}
	oldest := time.Now().UnixNano()
	now := oldest
	for _, l := range []*slotList{&q.ready, &q.deferred} {
		if l.first != nil {
			oldest = min(oldest, l.first.since)
		}
	}
	s.Age = time.Duration(now - oldest).Seconds()
	return s
}
