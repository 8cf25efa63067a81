package chain

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
)

// ledger keeps the operations of durable rules in a journal until every tier that
// they concern has taken them. Records of one key are in the journal in the order
// of their versions. What the tiers took is noted there without waiting for it: a
// crash then replays what had been taken already, which is harmless.
type ledger struct {
	c *Chain
	j *journal.Journal

	mu      sync.Mutex
	live    recordList
	bytes   int64 // of the live records
	acks    []ack // to be written
	flight  int64 // bytes of records on their way to the disk
	room    chan struct{}
	keys    map[string]*inFlight
	rewrote counter

	clocked uint64 // sequence of the newest clock record; the goroutine's own

	acking sync.Mutex // held while acks are taken and written
	wake   chan struct{}
	stop   chan struct{}
	done   sync.WaitGroup
}

// record is an operation in the journal.
type record struct {
	l     *ledger
	op    logged
	size  int64
	seq   uint64 // 0: not yet known
	floor uint64 // its sequence is not below this
	owed  uint64 // tiers that have yet to take it, by their place in the chain

	prev, next *record
	linked     bool
}

// recordList is a list of records by floor.
type recordList struct {
	first, last *record
	n           int
}

func (l *recordList) push(r *record) {
	r.prev, r.next, r.linked = l.last, nil, true
	if l.last == nil {
		l.first = r
	} else {
		l.last.next = r
	}
	l.last = r
	l.n++
}

func (l *recordList) remove(r *record) {
	if !r.linked {
		return
	}
	if r.prev == nil {
		l.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next, r.linked = nil, nil, false
	l.n--
}

// ack says that tiers have taken a record or a later one of its key, or that the
// record is void: as if it had never been.
type ack struct {
	r    *record
	mask uint64
	void bool
}

// inFlight counts the operations of a key between their stamp and their slot, and
// remembers the newest that got there.
type inFlight struct {
	n       int
	newest  uint64
	foreign uint64 // the newest that another process has announced meanwhile
}

// recordOverhead is what a record is taken to need beside its key and value.
const recordOverhead = 128

// maxFlight bounds the bytes that wait for the disk. The journal's own bound is
// larger, so that appending to it under a stripe's lock never waits.
const maxFlight = 2 << 20

func journalError(op, key string, err error) error {
	switch {
	case errors.Is(err, journal.ErrClosed):
		err = store.ErrClosed
	case errors.Is(err, journal.ErrTooLarge):
		err = store.ErrTooLarge
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return &store.Error{Op: op, Tier: "journal", Key: key, Err: err}
}

// admit waits until the journal can take n bytes: too much may be on its way to
// the disk, or the files may have grown too large and be rewritten. Without wait it
// fails with errFull then.
func (l *ledger) admit(ctx context.Context, n int64, wait bool) error {
	for {
		if err := l.j.Err(); err != nil {
			signal(l.wake)
			return err
		}
		l.mu.Lock()
		crowded := l.flight > 0 && l.flight+n > maxFlight
		if !crowded && !l.bloated(2) {
			l.flight += n
			l.mu.Unlock()
			return nil
		}
		if !wait {
			l.mu.Unlock()
			signal(l.wake)
			return errFull
		}
		room := await(&l.room)
		l.mu.Unlock()
		signal(l.wake)
		select {
		case <-room:
		case <-ctx.Done():
			return ended(ctx)
		case <-l.c.closing:
			return journal.ErrClosed
		}
	}
}

// bloated reports whether the journal takes more room than the live records
// justify, times factor. mu is held.
func (l *ledger) bloated(factor int64) bool {
	return l.j.Size() > factor*(4*l.c.opts.Pending.JournalFile+2*l.bytes)
}

// landed ends the wait of n bytes.
func (l *ledger) landed(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight -= n
	wakeAll(&l.room)
}

// append adds o to the journal without waiting for the disk. The caller holds the
// stripe's lock, and has been admitted.
func (l *ledger) append(o *operation, size int64) (*record, journal.Ticket, error) {
	r := &record{l: l, size: size, op: logged{key: o.key, entry: o.entry, deleted: o.deleted, at: time.Now().UnixNano()}}
	for _, t := range o.plan.tiers {
		r.owed |= 1 << t.index
		r.op.tiers = append(r.op.tiers, t.Name)
	}
	l.mu.Lock()
	k := l.keys[o.key]
	if k == nil {
		k = &inFlight{}
		l.keys[o.key] = k
	}
	k.n++
	r.floor = l.j.Next()
	l.live.push(r)
	l.bytes += size
	l.mu.Unlock()
	head := appendOp(make([]byte, 0, 64+len(o.key)+len(o.plan.tiers)*8), &r.op)
	t, err := l.j.Enqueue(l.c.ctx, opRecord, head, o.entry.Value)
	l.mu.Lock()
	r.seq = t.Seq
	l.mu.Unlock()
	return r, t, err
}

// arrive ends an operation's time between stamp and slot. It reports whether a
// newer one of the key was quicker, and whether that was another process's, which
// is not in the journal.
func (l *ledger) arrive(key string, version uint64, ok bool) (overtaken, foreign bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.keys[key]
	foreign = k.foreign > version
	overtaken = foreign || k.newest > version
	if ok {
		k.newest = max(k.newest, version)
	}
	if k.n--; k.n == 0 {
		delete(l.keys, key)
	}
	return overtaken, foreign
}

// overtake notes another process's write of key for those on their way.
func (l *ledger) overtake(key string, version uint64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.keys[key]; k != nil {
		k.foreign = max(k.foreign, version)
	}
}

// drop notes that t is no longer owed the record. note says whether the journal
// must be told: a newer record of the key makes that unnecessary.
func (r *record) drop(t *tier, note bool) {
	if r == nil {
		return
	}
	r.dropMask(1<<t.index, note)
}

func (r *record) dropMask(mask uint64, note bool) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if note && r.seq != 0 {
		l.acks = append(l.acks, ack{r, mask & r.owed, false})
	} else {
		l.forgive(r, mask)
	}
	signal(l.wake)
}

// cancel makes the record void: older ones of its key count again.
func (r *record) cancel() {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.seq != 0 {
		l.acks = append(l.acks, ack{r, ^uint64(0), true})
	} else {
		l.forgive(r, ^uint64(0))
	}
	signal(l.wake)
}

// forgive removes tiers from those that are owed r. mu is held.
func (l *ledger) forgive(r *record, mask uint64) {
	r.owed &^= mask
	if r.owed == 0 && r.linked {
		l.live.remove(r)
		l.bytes -= r.size
	}
}

// run writes acks, drops files that nobody needs, rewrites what keeps them from
// being dropped, and brings a journal that failed back to work.
func (l *ledger) run() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-l.wake:
		case <-timer.C:
		case <-l.stop:
			return
		}
		if err := l.tend(l.c.ctx); err != nil && !errors.Is(err, journal.ErrClosed) {
			timer.Reset(l.c.opts.Pending.pause(failures))
			failures++
			continue
		}
		failures = 0
	}
}

func (l *ledger) tend(ctx context.Context) error {
	if l.j.Err() != nil {
		if err := l.j.Recover(ctx); err != nil {
			return err
		}
		l.landed(0) // writers may try again
	}
	if err := l.writeAcks(ctx); err != nil {
		return err
	}
	return l.trim(ctx)
}

// writeAcks hands the acks to the journal, once the tiers have made durable what
// they took.
func (l *ledger) writeAcks(ctx context.Context) error {
	l.acking.Lock()
	defer l.acking.Unlock()
	l.mu.Lock()
	acks := l.acks
	l.acks = nil
	byTier := make(map[int][]uint64)
	var void []uint64
	for _, a := range acks {
		if a.void {
			void = append(void, a.r.seq)
			continue
		}
		for i := 0; a.mask>>i != 0; i++ {
			if a.mask>>i&1 != 0 {
				byTier[i] = append(byTier[i], a.r.seq)
			}
		}
	}
	l.mu.Unlock()
	var err error
	if len(void) > 0 {
		_, err = l.j.Enqueue(ctx, voidRecord, appendAck(nil, "", void))
	}
	if err == nil {
		err = l.enqueueAcks(ctx, byTier)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.acks = append(acks, l.acks...)
		return err
	}
	for _, a := range acks {
		l.forgive(a.r, a.mask)
	}
	return nil
}

func (l *ledger) enqueueAcks(ctx context.Context, byTier map[int][]uint64) error {
	for i, seqs := range byTier {
		t := l.c.tiers[i]
		if err := t.sync(ctx); err != nil {
			return tierError("sync", t.Name, "", err)
		}
		if _, err := l.j.Enqueue(ctx, ackRecord, appendAck(nil, t.Name, seqs)); err != nil {
			return err
		}
	}
	return nil
}

// sync returns when all that was dropped is noted on the disk.
func (l *ledger) sync(ctx context.Context) error {
	err := l.writeAcks(ctx)
	if err == nil {
		err = l.j.Sync(ctx)
	}
	if err != nil {
		return journalError("sync", "", err)
	}
	return nil
}

func (l *ledger) stats() JournalStats {
	s := JournalStats{Bytes: l.j.Size(), Rewritten: l.rewrote.load(), Err: l.j.Err()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Records = l.live.n
	return s
}

// close writes what is noted, empties the journal if nothing in it is alive, and
// closes it.
func (l *ledger) close() error {
	close(l.stop)
	l.done.Wait()
	ctx := context.Background()
	err := l.writeAcks(ctx)
	l.mu.Lock()
	empty := l.live.n == 0
	l.mu.Unlock()
	if err == nil && empty {
		err = l.forgetBefore(ctx, l.j.Rotate())
	}
	if err = errors.Join(err, l.j.Close()); err != nil {
		return journalError("close", "", err)
	}
	return nil
}
