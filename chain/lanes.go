package chain

import "github.com/stratacache/strata/store"

// lane is one of the two ways to the tier. What the queue sends goes by the first;
// full batches also go by the second while the first is busy, for their making, and
// the server's work, then hide behind each other.
type lane struct {
	token chan struct{}
	// Room for a batch, for reuse; owned by the holder of the token.
	batch   []delivery
	entries map[string]store.Entry
}

// assist sends full batches on the second lane while the first is busy.
func (q *queue) assist(stop <-chan struct{}) {
	for {
		select {
		case <-q.more:
		case <-stop:
			return
		}
		select {
		case q.lanes[1].token <- struct{}{}:
		case <-stop:
			return
		}
		q.mu.Lock()
		due := q.surplus()
		q.mu.Unlock()
		if due {
			q.send(&q.lanes[1])
		}
		<-q.lanes[1].token
	}
}

// surplus reports whether a full batch waits while another is on its way, to a
// tier that takes what it is given. A sink gets one batch at a time. mu is held.
func (q *queue) surplus() bool {
	n := q.c.opts.Pending.Batch
	return q.away > 0 && q.ready.n-q.away >= n && q.pacer.limit == n && q.pacer.until == 0 && q.t.sink == nil
}

// send sends one batch on a lane whose token is held; false: there was none.
func (q *queue) send(l *lane) bool {
	batch := q.take(l.batch[:0])
	if len(batch) == 0 {
		return false
	}
	q.deliver(l, batch, true)
	clear(batch) // what was written must not be kept alive
	l.batch = batch
	return true
}

// hurry has a full batch sent that is not on its way. mu is held.
func (q *queue) hurry() {
	signal(q.wake)
	if q.surplus() {
		signal(q.more)
	}
}
