package rediscall

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/deadline"
)

const (
	// alone is how many calls may be under way before further ones are
	// combined: up to there, a round trip of one's own is the fastest.
	alone = 2
	// maxBatch bounds the commands of one round trip.
	maxBatch = 128
	// lanes is how many combined round trips may be under way at once: callers go on
	// with the replies of one while the server works on the other. share is for how
	// many calls a further one is worth while.
	lanes = 3
	share = 16
	// maxQueue bounds the calls that wait to be combined. Where the server does
	// not answer, further calls take connections of their own, whose number the
	// client's pool bounds.
	maxQueue = 1024
	// inline is how long a read keeps its caller whatever its context does, and
	// slowFor how long no read does that after the server once took longer.
	inline  = 100 * time.Millisecond
	slowFor = time.Second
	// inlineWrite is how near a deadline must be for a write to keep its caller
	// until then, and maxHold how soon the client itself must give up for a write
	// to keep its caller whatever its context does.
	inlineWrite = time.Second
	maxHold     = 3 * time.Second
)

// Combiner runs commands for concurrent callers. A lone caller gets a round trip
// of its own; where there are more, their commands share pipelines: while up to three
// are under way, the next gathers. Create it with NewCombiner. It holds nothing to
// close; its goroutines end when there is nothing to send.
type Combiner struct {
	client redis.UniversalClient
	hold   time.Duration // how long a write may keep its caller; 0: not at all
	calls  atomic.Int64  // under way
	idle   sync.Pool     // of *call
	slow   atomic.Int64  // until then, in Unix nanoseconds, nobody is called inline

	mu      sync.Mutex
	queue   []*call
	senders int // goroutines that send
}

// call is one caller's commands, which stay together.
type call struct {
	ctx  context.Context
	cmds []redis.Cmder
	room [3]redis.Cmder // what cmds lie in, as a rule
	done chan struct{}  // gets a token when the replies are there
	left atomic.Bool    // the caller has gone: do not send it any more
}

func (c *Combiner) newCall(ctx context.Context, cmds []redis.Cmder) *call {
	w, ok := c.idle.Get().(*call)
	if !ok {
		w = &call{done: make(chan struct{}, 1)}
	}
	w.ctx, w.cmds = ctx, append(w.room[:0], cmds...)
	return w
}

// over keeps w for another caller. Nobody else has it: its token has been taken, or it
// was not queued.
func (c *Combiner) over(w *call) {
	w.ctx, w.cmds, w.room = nil, nil, [3]redis.Cmder{}
	c.idle.Put(w)
}

// NewCombiner returns a combiner on client.
func NewCombiner(client redis.UniversalClient) *Combiner {
	c := &Combiner{client: client}
	if t := readTimeout(client); t > 0 && t <= maxHold {
		c.hold = t
	}
	return c
}

// readTimeout returns how long the client waits for a reply; 0 where that is not
// known or has no end.
func readTimeout(client redis.UniversalClient) time.Duration {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ReadTimeout
	case *redis.ClusterClient:
		return c.Options().ReadTimeout
	case *redis.Ring:
		return c.Options().ReadTimeout
	}
	return 0
}

// Read runs cmds, one right after the other in one round trip, perhaps together
// with those of other callers. err is the first failure among them. Where done is
// false the caller has left because ctx ended: the commands may run still, and
// may not be looked at. They may also run twice.
func (c *Combiner) Read(ctx context.Context, cmds ...redis.Cmder) (done bool, err error) {
	defer c.calls.Add(-1)
	if c.calls.Add(1) <= alone {
		return c.ReadAlone(ctx, cmds...)
	}
	return c.join(ctx, cmds)
}

// Write is Read for commands that must not run twice: the first of two may reach
// the server late, when others have written since.
func (c *Combiner) Write(ctx context.Context, cmds ...redis.Cmder) (done bool, err error) {
	defer c.calls.Add(-1)
	if c.calls.Add(1) <= alone {
		return c.WriteAlone(ctx, cmds...)
	}
	return c.join(ctx, cmds)
}

// join has cmds sent together with others.
func (c *Combiner) join(ctx context.Context, cmds []redis.Cmder) (done bool, err error) {
	w := c.newCall(ctx, cmds)
	if !c.enqueue(w) {
		c.over(w)
		return c.WriteAlone(ctx, cmds...)
	}
	left, late := deadline.Ends(ctx)
	select {
	case <-w.done:
		c.over(w)
		return true, firstError(cmds)
	case <-left:
	case <-late:
	}
	<-ctx.Done()
	select {
	case <-w.done: // both at once: an answer is better
		c.over(w)
		return true, firstError(cmds)
	default:
		w.left.Store(true)
		return false, ctx.Err()
	}
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// ReadAlone is Read with a round trip of its own, as large batches want it.
//
// A goroutine beside each call would let the caller leave at once, but on two
// processors it takes as long as a round trip on loopback. So the call is made
// inline first, for a short while; only where the server is not so fast is it
// made again beside the caller.
func (c *Combiner) ReadAlone(ctx context.Context, cmds ...redis.Cmder) (done bool, err error) {
	now := time.Now()
	if endless(ctx) || now.UnixNano() < c.slow.Load() || endsBefore(ctx, now.Add(inline)) {
		return c.WriteAlone(ctx, cmds...)
	}
	until := now.Add(inline)
	err = c.roundTrip(&shortened{ctx, until}, cmds)
	if err == nil || ctx.Err() != nil || time.Now().Before(until) || !anyTimeout(err, cmds) {
		return true, err
	}
	c.slow.Store(now.Add(slowFor).UnixNano())
	for _, cmd := range cmds {
		cmd.SetErr(nil)
	}
	return c.WriteAlone(ctx, cmds...)
}

// WriteAlone is Write with a round trip of its own. It is made inline where its end
// is near enough: that of the context's deadline, or, while the server answers as
// fast as it should, that of the client's patience, which a caller who is cancelled
// meanwhile has to wait for. Combined calls do not come this way, so that there
// are at most two such callers. Otherwise it is made beside the caller.
func (c *Combiner) WriteAlone(ctx context.Context, cmds ...redis.Cmder) (done bool, err error) {
	now := time.Now()
	switch {
	case endsBefore(ctx, now.Add(inlineWrite)): // its deadline bounds the wait
		return true, c.roundTrip(ctx, cmds)
	case endless(ctx), c.hold == 0, now.UnixNano() < c.slow.Load():
		cmds := slices.Clone(cmds) // for those of others may lie on their stacks
		return Await(ctx, func() error { return c.roundTrip(ctx, cmds) })
	}
	bounded := ctx
	if until := now.Add(c.hold); !endsBefore(ctx, until) {
		bounded = &shortened{ctx, until} // retries included
	}
	err = c.roundTrip(bounded, cmds)
	if end := time.Now(); end.Sub(now) > inline {
		c.slow.Store(end.Add(slowFor).UnixNano())
	}
	return true, err
}

// endless reports whether ctx cannot end.
func endless(ctx context.Context) bool {
	left, late := deadline.Ends(ctx)
	return left == nil && late == nil
}

// endsBefore reports whether ctx has a deadline before t.
func endsBefore(ctx context.Context, t time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && deadline.Before(t)
}

// shortened is a context with an earlier deadline for the connection. It costs no
// timer, as context.WithDeadline would.
type shortened struct {
	context.Context
	deadline time.Time
}

func (s *shortened) Deadline() (time.Time, bool) { return s.deadline, true }

func anyTimeout(err error, cmds []redis.Cmder) bool {
	if isTimeout(err) {
		return true
	}
	for _, cmd := range cmds {
		if isTimeout(cmd.Err()) {
			return true
		}
	}
	return false
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// manyArgs is from how many arguments on a single command goes as a pipeline: go-redis has
// connections for those with buffers of four times the size, so that a long reply takes
// fewer reads.
const manyArgs = 32

func (c *Combiner) roundTrip(ctx context.Context, cmds []redis.Cmder) error {
	if len(cmds) == 1 && len(cmds[0].Args()) < manyArgs {
		return c.client.Process(ctx, cmds[0])
	}
	p := c.client.Pipeline()
	for _, cmd := range cmds {
		_ = p.Process(ctx, cmd) // only queues
	}
	return Exec(ctx, p)
}

// enqueue has w sent with others; false means that too many wait.
func (c *Combiner) enqueue(w *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= maxQueue {
		return false
	}
	c.queue = append(c.queue, w)
	if c.senders == 0 || c.senders < lanes && len(c.queue) >= share {
		c.senders++
		go c.run()
	}
	return true
}

// run sends what is queued, batch by batch, until nothing is.
func (c *Combiner) run() {
	var batch []*call
	for {
		// Those who were just woken are about to ask again: let them come.
		runtime.Gosched()
		if batch = c.take(batch[:0]); len(batch) == 0 {
			return
		}
		c.send(batch)
		for i, w := range batch {
			w.done <- struct{}{}
			batch[i] = nil
		}
	}
}

// take moves the next batch into dst: all that is queued, or half of the calls under way
// where the rest is worth a round trip of its own. Where nothing is queued, run has to end.
func (c *Combiner) take(dst []*call) []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.queue)
	if half := max(share, int(c.calls.Load())/lanes); n-half >= share {
		n = half
	}
	n = min(n, maxBatch)
	dst = append(dst, c.queue[:n]...)
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	switch {
	case n == 0:
		c.senders--
	case rest >= share && c.senders < lanes:
		c.senders++
		go c.run()
	}
	return dst
}

// send runs a batch in one round trip. A caller who has left is not sent for.
func (c *Combiner) send(batch []*call) {
	p := c.client.Pipeline()
	var latest time.Time
	bounded := true
	for _, w := range batch {
		if w.left.Load() {
			continue
		}
		deadline, ok := w.ctx.Deadline()
		bounded = bounded && ok
		if deadline.After(latest) {
			latest = deadline
		}
		for _, cmd := range w.cmds {
			_ = p.Process(w.ctx, cmd) // only queues
		}
	}
	if p.Len() == 0 {
		return
	}
	// The last caller's deadline bounds the round trip, so that a server that
	// does not answer holds up the next batch no longer than anyone waits.
	ctx := context.Background()
	if bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, latest)
		defer cancel()
	}
	_ = Exec(ctx, p) // each command has its own error
}
