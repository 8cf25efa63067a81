package chain

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/stratacache/strata/store"
)

// notices is the chain's side of a Feed.
type notices struct {
	c    *Chain
	feed store.Feed

	mu      sync.Mutex
	queue   []store.Change // to be published, oldest first
	lost    bool           // more came in than the queue holds
	wake    chan struct{}
	hurry   chan struct{} // somebody waits for what is queued
	cursor  string
	failed  bool          // Follow has, since the process last knew everything
	tidings chan struct{} // closed when heard or failed is set; nil while nobody waits

	published, applied, touched, missed, unheard, losses, failures counter
	// heard is when all that others had published was last known here, Unix
	// nanoseconds; 0: it is not known.
	heard atomic.Int64
	vain  atomic.Bool // a flush has waited for that, and in vain
}

// FeedStats are the counters of a chain's Feed.
type FeedStats struct {
	Following bool   // all that others have published is known here, and the connection has not failed since
	Pending   int    // changes of this process that are yet to be published
	Published uint64 // changes that were
	Applied   uint64 // changes of other processes that were carried out here
	Touched   uint64 // changes that the shared tier told of, by whomever they were made; this process's own are among them
	Missed    uint64 // times that all this process held became suspect; the first is when it begins to follow
	Unheard   uint64 // times that what it held in memory did, since the shared tier may have told of changes in vain
	Lost      uint64 // entries of a shared tier that were older than a write known here, and were not taken for an answer
	Failures  uint64 // failed calls of Publish and Follow
}

func (n *notices) stats() FeedStats {
	return FeedStats{
		Following: n.heard.Load() != 0, Pending: n.pending(), Published: n.published.load(), Applied: n.applied.load(),
		Touched: n.touched.load(), Missed: n.missed.load(), Unheard: n.unheard.load(), Lost: n.losses.load(), Failures: n.failures.load(),
	}
}

// maxNotices bounds the changes that wait to be published; beyond it the others
// are told that anything may have changed.
const maxNotices = 65536

// publishBatch is the most changes of one Publish.
const publishBatch = 256

func newNotices(c *Chain, feed store.Feed) *notices {
	return &notices{c: c, feed: feed, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
}

// announce queues a change for the other processes. It never blocks.
func (c *Chain) announce(kind store.ChangeKind, key string, version uint64) {
	n := c.notices
	if n == nil {
		return
	}
	n.mu.Lock()
	if len(n.queue) < maxNotices {
		n.queue = append(n.queue, store.Change{Kind: kind, Key: key, Version: version})
	} else {
		n.lost = true
	}
	n.mu.Unlock()
	signal(n.wake)
}

// publishRest is how long publish rests after a batch, so that a process which writes
// all the time does not cost the feed a call a write. The first change after a pause
// is told at once.
const publishRest = time.Millisecond

// publish announces what is queued until stop closes.
func (n *notices) publish(stop <-chan struct{}) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 20*time.Millisecond, 2*time.Second
	for {
		select {
		case <-n.wake:
		case <-stop:
			return
		}
		for n.pending() > 0 {
			pause, hurry := publishRest, n.hurry
			if err := n.publishSome(n.c.ctx); err == nil {
				retry.Reset()
			} else {
				pause, hurry = retry.NextBackOff(), nil
			}
			select {
			case <-time.After(pause):
			case <-hurry:
			case <-stop:
				return
			}
		}
	}
}

func (n *notices) pending() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue)
}

// publishSome publishes one batch and takes it from the queue. After an overflow
// it says so last, when there is room for the truth again.
func (n *notices) publishSome(ctx context.Context) error {
	n.mu.Lock()
	batch := n.queue[:min(len(n.queue), publishBatch)]
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, n.c.opts.FeedTimeout)
	defer cancel()
	if err := n.feed.Publish(ctx, batch); err != nil {
		n.failures.add(1)
		n.c.report(&store.Error{Op: "publish", Tier: "feed", Err: err})
		return err
	}
	n.published.add(uint64(len(batch)))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = n.queue[len(batch):]
	if len(n.queue) == 0 {
		n.queue = nil
		if n.lost {
			n.lost = false
			n.queue = []store.Change{{Kind: store.ChangeUnknown, Version: n.c.hlc.Next()}}
		}
	}
	return nil
}

// drain waits until all is published, ctx ends or FeedTimeout has passed: what
// others miss they find out when it expires.
func (n *notices) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.c.opts.FeedTimeout)
	defer cancel()
	for n.pending() > 0 {
		signal(n.wake)
		signal(n.hurry)
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return &PendingError{Tier: "feed", Left: n.pending(), Err: ended(ctx)}
		}
	}
	return nil
}

// follow applies what others publish until stop closes.
func (n *notices) follow(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 20*time.Millisecond, 2*time.Second
	for ctx.Err() == nil {
		began := time.Now()
		err := n.feed.Follow(ctx, n.at(), n.apply)
		n.cut()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("strata: feed ended")
		}
		n.failures.add(1)
		n.c.report(&store.Error{Op: "follow", Tier: "feed", Err: err})
		if time.Since(began) > time.Minute {
			retry.Reset()
		}
		select {
		case <-time.After(retry.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// apply carries out what other processes did.
func (n *notices) apply(news store.News) {
	if news.Missed || n.at() == "" { // nobody followed what came before the first news
		n.missed.add(1)
		n.c.suspect()
	}
	if news.Unheard {
		n.unheard.add(1)
		n.c.anyTouched()
	}
	var touched []string
	for _, ch := range news.Changes {
		if ch.Kind == store.ChangeTouch {
			touched = append(touched, ch.Key)
			continue
		}
		n.applied.add(1)
		n.c.hlc.Observe(ch.Version)
		switch ch.Kind {
		case store.ChangeWrite, store.ChangeLost:
			n.c.foreignWrite(ch.Key, ch.Version, ch.Kind == store.ChangeLost)
		case store.ChangeTag:
			n.c.foreignTag(ch.Key, ch.Version)
		case store.ChangeClear:
			n.c.foreignClear(ch.Version)
		default: // one that a later version knows, or store.ChangeUnknown
			n.c.suspect()
		}
	}
	n.touched.add(uint64(len(touched)))
	n.c.touched(touched)
	if news.Cursor == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cursor = news.Cursor
	if news.Behind {
		n.heard.Store(0)
		return
	}
	n.heard.Store(time.Now().UnixNano())
	n.failed = false
	n.vain.Store(false)
	wakeAll(&n.tidings)
}

// save stores the cursor now and then until stop closes, and a last time then.
// saved is the one that the tiers have.
func (n *notices) save(stop <-chan struct{}, saved string) {
	tick := time.NewTicker(cursorEvery)
	defer tick.Stop()
	for ending := false; !ending; {
		select {
		case <-tick.C:
		case <-stop:
			ending = true
		}
		if at := n.at(); at != saved {
			n.c.saveCursor(context.WithoutCancel(n.c.ctx), at)
			saved = at
		}
	}
}

func (n *notices) at() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cursor
}
