package chain

import (
	"context"
	"time"
)

// drain waits until the queue is empty or ctx ends. With seal it then takes no
// more.
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
		case <-ctx.Done():
			return q.left(ended(ctx))
		}
	}
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
