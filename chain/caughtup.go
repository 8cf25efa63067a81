package chain

import (
	"slices"
	"time"
)

// What a process holds by itself may be older than what others did while it was
// down or cut off. It must not get from there into a shared tier, by a promotion or
// a flush, once that has forgotten the others' deletes.

// startFeed begins to follow and publish. It returns when the process knows what
// others did while it was down, where that is to be had: only then are tiers of its
// own believed, and what a journal holds is sent.
func (c *Chain) startFeed() {
	if c.opts.Feed == nil {
		return
	}
	n := newNotices(c, c.opts.Feed)
	c.notices = n
	cursor := c.loadCursor(c.ctx)
	n.cursor = cursor
	c.loops.Go(func() { n.follow(c.ctx) })
	c.loops.Go(func() { n.publish(c.stop) })
	c.loops.Go(func() { n.save(c.stop, cursor) })
	if cursor != "" || c.owesShared() {
		n.await(0, true, c.stop)
	}
}

// owesShared reports whether a journal holds writes for a tier that others use.
func (c *Chain) owesShared() bool {
	return slices.ContainsFunc(c.bytes, func(t *tier) bool { return t.Shared && t.queue.n.Load() > 0 })
}

// cut notes that the connection to the feed was lost.
func (n *notices) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard.Store(0)
	n.failed = true
	wakeAll(&n.tidings)
}

// upToDate reports whether the process knows of everything that others had done d
// ago; d 0 stands for as long as the feed has not failed.
func (n *notices) upToDate(d time.Duration) bool {
	heard := n.heard.Load()
	return heard != 0 && (d == 0 || time.Now().UnixNano()-heard < int64(d))
}

// await waits until the process knows of everything that others had done d ago. It
// reports false where FeedTimeout passes before, stop closes or, with impatience, the
// feed fails.
func (n *notices) await(d time.Duration, impatient bool, stop <-chan struct{}) bool {
	timeout := time.NewTimer(n.c.opts.FeedTimeout)
	defer timeout.Stop()
	for {
		n.mu.Lock()
		if n.upToDate(d) || impatient && n.failed {
			defer n.mu.Unlock()
			return n.upToDate(d)
		}
		tidings := await(&n.tidings)
		n.mu.Unlock()
		select {
		case <-tidings:
		case <-timeout.C:
			return false
		case <-stop:
			return false
		}
	}
}

// vouched reports whether what p brings may be filled into t. What comes from a
// shared tier or from a loader may; the rest only while the process knows of every
// delete that t has forgotten. It is asked with the key's lock, beside its fence,
// which is raised by what the process has heard of since the entry was read.
func (c *Chain) vouched(p *promotion, t *tier) bool {
	return !p.private || !t.Shared || c.notices == nil || c.notices.upToDate(t.memoryOfDeletes())
}

// private reports whether what from had is this process's own: of a tier that is not
// shared, or a write that is pending.
func (p *plan) private(from string) bool {
	return !slices.ContainsFunc(p.tiers, func(t placed) bool { return t.Shared && t.Name == from })
}

// catchUp waits, before a tier that others use gets what has been pending for
// longer than it remembers deletes, until the process knows of these. Where the feed
// is out of reach although the tier is not, it waits for FeedTimeout once: what is
// pending must not be kept for ever.
func (q *queue) catchUp(stop <-chan struct{}) {
	n := q.c.notices
	if n == nil || !q.t.Shared {
		return
	}
	d := q.t.memoryOfDeletes()
	if n.upToDate(d) || n.vain.Load() || !q.pendingFor(d) {
		return
	}
	if !n.await(d, false, stop) {
		n.vain.Store(true)
	}
}

// pendingFor reports whether what a slot holds was written d ago or before.
func (q *queue) pendingFor(d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := time.Now().Add(-d).UnixNano()
	for _, s := range q.slots {
		if s.at <= before {
			return true
		}
	}
	return false
}
