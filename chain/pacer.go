package chain

import (
	"math/rand/v2"
	"runtime"
	"time"
)

// pacer decides how much a queue sends at once and when. It is guarded by the
// queue's lock.
type pacer struct {
	opts     *PendingOptions
	limit    int   // entries of the next flush
	failures int   // of the tier, in a row
	until    int64 // no flush before; Unix nanoseconds
}

func (p *pacer) init(opts *PendingOptions) { p.opts, p.limit = opts, opts.Batch }

// bisect is how much smaller a batch becomes that failed as a whole: a tier that
// chokes on one entry is down to that entry after three failures for 512, before
// a circuit breaker opens.
const bisect = 8

// took notes that the tier took something.
func (p *pacer) took() {
	p.failures, p.until, p.limit = 0, 0, min(2*p.limit, p.opts.Batch)
}

// failed notes that it took nothing of a batch of n.
func (p *pacer) failed(n int, now time.Time) {
	if n > 1 {
		p.limit = max(1, n/bisect)
		p.until = now.Add(p.opts.pause(0)).UnixNano()
		return
	}
	p.until = now.Add(p.opts.pause(p.failures)).UnixNano()
	p.failures++
}

// pause returns how long to wait after so many failures before this one: RetryMin
// doubled each time up to RetryMax, and 50 % more or less by chance, so that
// processes that lost a tier together do not come back together.
func (o *PendingOptions) pause(failures int) time.Duration {
	d := o.RetryMax
	if failures < 32 {
		d = min(o.RetryMin<<failures, o.RetryMax)
	}
	if d <= 0 {
		d = o.RetryMax
	}
	return d/2 + rand.N(d+1)
}

// run flushes the queue until stop closes.
func (q *queue) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		wait, some := q.next(time.Now())
		if some && wait <= 0 {
			q.catchUp(stop)
			select {
			case q.lanes[0].token <- struct{}{}:
				q.round()
				<-q.lanes[0].token
				continue
			case <-stop:
				return
			}
		}
		var tick <-chan time.Time
		if some {
			timer.Reset(wait)
			tick = timer.C
		}
		select {
		case <-tick:
		case <-q.wake:
		case <-stop:
			return
		}
		timer.Stop()
	}
}

// next returns how long it is until the next flush; some is false where there is
// nothing to send.
func (q *queue) next(now time.Time) (wait time.Duration, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.slots) == 0 {
		return 0, false
	}
	if q.nudged {
		q.nudged = false
		return 0, true
	}
	opts, at := &q.c.opts.Pending, now.UnixNano()
	due := int64(1<<63 - 1)
	if first := q.waiting(); first != nil {
		due = first.since + int64(opts.Interval)
		if q.ready.n-q.away >= opts.Batch || q.draining > 0 || q.room != nil {
			due = at
		}
	} else if q.deferred.n == 0 {
		return 0, false // all are on their way
	}
	if q.deferred.n > 0 {
		due = min(due, q.due)
	}
	return time.Duration(max(due, q.pacer.until) - at), true
}

// waiting returns the slot that waits longest of those that are not on their way
// nor put off. mu is held.
func (q *queue) waiting() *slot {
	for s := q.ready.first; s != nil; s = s.next {
		if !s.busy {
			return s
		}
	}
	return nil
}

// round sends one batch, and one of the entries that are to go alone, on the first
// lane, whose token is held.
func (q *queue) round() {
	now := time.Now()
	single := q.takeSingle(now)
	sent := q.send(&q.lanes[0])
	if single != nil {
		q.deliver(&q.lanes[0], single, false)
	}
	if !sent && single == nil { // all are held by writers, for an instant
		q.mu.Lock()
		q.pacer.until = now.Add(time.Millisecond).UnixNano()
		q.mu.Unlock()
	}
}

// takeSingle marks a slot that is to go alone as on its way.
func (q *queue) takeSingle(now time.Time) (single []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := now.UnixNano()
	if q.deferred.n > 0 && q.due <= at {
		if s := q.recall(at); s != nil {
			single = q.pack(single, s)
		}
	}
	return single
}

// take marks the slots of the next batch as on their way.
func (q *queue) take(batch []delivery) []delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := q.ready.first; s != nil && len(batch) < q.pacer.limit; s = s.next {
		n := len(batch)
		if batch = q.pack(batch, s); len(batch) == n {
			continue
		}
		if q.away++; len(batch)%breath == breath-1 {
			q.breathe() // s is on its way: it stays where it is
		}
	}
	if q.surplus() {
		signal(q.more)
	}
	return batch
}

// breath is after how many slots a flush lets writers have the queue for a moment:
// who waits longer than that for a lock is put to sleep, which costs more than the
// whole write.
const breath = 32

// breathe lets others have the lock that the caller holds.
func (q *queue) breathe() {
	q.mu.Unlock()
	runtime.Gosched() // without a gap, whoever had the lock gets it again
	q.mu.Lock()
}

func (q *queue) pack(batch []delivery, s *slot) []delivery {
	if s.busy {
		return batch
	}
	if len(q.held) > 0 {
		if _, held := q.held[s.key]; held {
			return batch // its holder is writing something newer
		}
	}
	s.busy = true
	return append(batch, delivery{slot: *s, of: s})
}

// recall moves the deferred slots that are due back to the others, and returns
// one of those that are to go alone.
func (q *queue) recall(at int64) (single *slot) {
	q.due = int64(1<<63 - 1)
	for s := q.deferred.last; s != nil; {
		prev := s.prev
		switch {
		case s.due > at:
			q.due = min(q.due, s.due)
		case !s.alone:
			s.unlink()
			q.ready.pushFront(s)
		default:
			if single != nil {
				q.due = at
			}
			single = s // in the end, the one that has waited longest
		}
		s = prev
	}
	return single
}
