package chain

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// delivery is a slot on its way to the tier: a copy, since the slot may take a
// newer operation meanwhile.
type delivery struct {
	slot
	of    *slot
	fail  error // of this attempt
	group int   // how many shared the call
	took  int   // how many of them the tier took
}

// deliver sends a batch and settles what the tier took. listed says that its slots
// count as away.
func (q *queue) deliver(l *lane, batch []delivery, listed bool) {
	ctx := q.c.ctx
	for i := range batch {
		batch[i].encode()
	}
	q.fillMemory(batch)
	if q.t.sink != nil {
		q.sendSink(ctx, batch)
	} else {
		q.sendTier(ctx, l, batch)
	}
	q.pace(batch)
	for i := range batch {
		if d := &batch[i]; q.t.Shared && d.fail == nil {
			q.c.announce(store.ChangeWrite, d.key, d.version)
		}
	}
	took, letters, err := q.finish(batch, listed)
	if err != nil {
		q.failed.add(1)
		q.c.report(tierError("flush", q.t.Name, "", err))
	}
	q.report(took, letters, err)
}

// fillMemory puts what a batch carries into memory, where readers expect it: Set
// left it in the slots.
func (q *queue) fillMemory(batch []delivery) {
	if q.c.memory == nil {
		return
	}
	now := time.Now().UnixNano()
	for i := range batch {
		if d := &batch[i]; d.obj != nil && !d.deleted && !d.purge && d.obj.deadlines().expires > now {
			q.c.fillPending(q, d)
		}
	}
}

// fillPending puts the value of a delivery into memory unless something newer came.
func (c *Chain) fillPending(q *queue, d *delivery) {
	s := c.fences.of(d.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.work > 0 || !q.current(d) || d.obj.isRetired() {
		return
	}
	if old, ok := c.memory.peek(d.key); ok {
		if h, ok := old.(held); ok && (h == d.obj || c.outranks(h, d.obj)) {
			return
		}
	}
	c.memory.put(c, d.key, d.obj)
}

// pace draws the consequences of a batch for the next one. An entry that goes
// alone because it failed before says nothing about the tier if it fails again.
func (q *queue) pace(batch []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	took := 0
	for i := range batch {
		d := &batch[i]
		took += d.took
		switch {
		case refuses(d.fail):
			took++ // that is an answer too
		case errors.Is(d.fail, ErrTierDown):
			q.pacer.until = time.Now().Add(q.t.closedFor() + q.c.opts.Pending.pause(0)).UnixNano()
			return
		case d.fail == nil || d.took > 0 || d.slot.alone:
		default:
			q.pacer.failed(d.group, time.Now())
			return
		}
	}
	if took > 0 {
		q.pacer.took()
	}
}

// file notes what a call came to for each of its entries.
func file(ds []*delivery, err error) {
	took := 0
	for _, d := range ds {
		if d.fail = store.KeyError(err, d.key); d.fail == nil {
			took++
		}
	}
	for _, d := range ds {
		d.group, d.took = len(ds), took
	}
}

// report tells the hooks what came of a batch.
func (q *queue) report(took int, letters []DeadLetter, err error) {
	for _, l := range letters {
		q.lost.add(1)
		q.c.report(&store.Error{Op: "flush", Tier: l.Tier, Key: l.Key, Err: l.Err})
		if hook := q.c.opts.Pending.OnDeadLetter; hook != nil {
			hook(l)
		}
	}
	if ob := q.c.opts.Observer; ob != nil {
		ob.Flush(q.t.Name, took, err)
		q.observe()
	}
}

// observe tells the observer how much is pending.
func (q *queue) observe() {
	if ob := q.c.opts.Observer; ob != nil {
		s := q.stats()
		ob.Pending(q.t.Name, s.Entries, s.Bytes, time.Duration(s.Age*float64(time.Second)))
	}
}

// sendTier writes a batch to a tier of a cache, with one call for the deletes and one
// for the sets. What each came to is in its fail.
func (q *queue) sendTier(ctx context.Context, l *lane, batch []delivery) {
	now := time.Now()
	var deletes, sets, fills []*delivery
	for i := range batch {
		switch d := &batch[i]; {
		case d.removes(now):
			deletes = append(deletes, d)
		case d.replayed:
			fills = append(fills, d)
		default:
			sets = append(sets, d)
		}
	}
	q.sendDeletes(ctx, deletes)
	q.sendSets(ctx, l, sets, store.SetMany)
	q.sendSets(ctx, l, fills, store.SetNewer) // another process may have written since
}

func (q *queue) sendSets(ctx context.Context, l *lane, ds []*delivery, write func(context.Context, store.Store, map[string]store.Entry) error) {
	if len(ds) == 0 {
		return
	}
	entries := l.entries
	if l.entries = nil; entries == nil {
		entries = make(map[string]store.Entry, len(ds))
	}
	for _, d := range ds {
		entries[d.key] = d.entry
	}
	var keys []string
	if q.c.leases {
		keys = keysOf(entries)
	}
	err := q.c.callFenced(ctx, q.t, keys, func(ctx context.Context) error { return write(ctx, q.t.Store, entries) })
	if err == nil { // so nobody reads it any more
		clear(entries)
		l.entries = entries
	}
	file(ds, err)
}

func (q *queue) sendDeletes(ctx context.Context, ds []*delivery) {
	ds = q.notOvertaken(ctx, ds)
	if len(ds) == 0 {
		return
	}
	keys, versions := make([]string, len(ds)), make(map[string]uint64, len(ds))
	for i, d := range ds {
		keys[i], versions[d.key] = d.key, d.erased()
	}
	err := q.c.callFenced(ctx, q.t, keys, func(ctx context.Context) error { return q.t.eraseMany(ctx, versions) })
	file(ds, err)
}

// notOvertaken returns the deletes that are to be carried out: all but those from
// the journal for whose key the tier holds something newer, which another process
// wrote while this one was away.
func (q *queue) notOvertaken(ctx context.Context, ds []*delivery) []*delivery {
	var keys []string
	for _, d := range ds {
		if d.replayed {
			keys = append(keys, d.key)
		}
	}
	if len(keys) == 0 {
		return ds
	}
	var found map[string]store.Entry
	err := q.t.call(ctx, &q.t.reads, func(ctx context.Context) (err error) {
		found, err = store.GetMany(ctx, q.t.Store, keys)
		return err
	})
	kept := ds[:0]
	for _, d := range ds {
		e, ok := found[d.key]
		kerr := store.KeyError(err, d.key)
		switch {
		case ok && d.replayed && e.Version > d.version:
		case !ok && d.replayed && kerr != nil && !errors.Is(kerr, store.ErrCorrupt) && !errors.Is(kerr, store.ErrNotFound):
			d.fail, d.group = kerr, len(keys)
		default:
			kept = append(kept, d)
		}
	}
	return kept
}

// finish settles what the tier took of a batch and puts the rest back: entries
// that failed beside others that did not, or alone, to be tried later; those that
// have used up what they are allowed are given up.
func (q *queue) finish(batch []delivery, listed bool) (took int, letters []DeadLetter, err error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range batch {
		if batch[i].fail == nil {
			took++
		} else {
			err = batch[i].fail
		}
	}
	q.successes += uint64(took)
	q.err = err
	for i := range batch {
		if i%breath == breath-1 {
			q.breathe()
		}
		d := &batch[i]
		if d.of.busy = false; listed {
			q.away--
		}
		switch {
		case d.of.version <= d.of.gone:
			q.remove(d.of)
		case d.fail == nil:
			q.flushed.add(1)
			q.taken(d)
		case d.of.version != d.version: // the newer operation has not been tried
		default:
			if l := q.failedOne(d, now); l != nil {
				letters = append(letters, *l)
			}
		}
	}
	wakeAll(&q.quiet)
	q.announce()
	if len(q.slots) > 0 {
		q.hurry()
	}
	return took, letters, err
}

// taken removes the slot of a delivery, or makes one that got a newer operation
// meanwhile begin its wait.
func (q *queue) taken(d *delivery) {
	s := d.of
	if s.version == d.version {
		q.remove(s)
		return
	}
	s.unlink()
	s.since = s.at
	q.ready.pushBack(s)
}

// failedOne files the failure of one entry: it waits apart if the tier took others
// of the same call, or there were none. Where a call failed for all its entries,
// the next one is smaller.
func (q *queue) failedOne(d *delivery, now time.Time) *DeadLetter {
	s, opts := d.of, &q.c.opts.Pending
	others, alone := d.took > 0, d.group == 1
	s.err = d.fail
	down := errors.Is(d.fail, ErrTierDown) || q.c.ctx.Err() != nil
	if !down && !refuses(d.fail) && (others || alone) {
		if others || s.failures > 0 && q.successes > s.seen {
			s.attempts++
		}
		s.seen, s.alone = q.successes, !others
		s.due = now.Add(opts.pause(s.failures)).UnixNano()
		s.failures++
		s.unlink()
		q.deferred.pushBack(s)
	} else if down {
		s.due = q.pacer.until
	}
	if s.list == &q.deferred {
		q.due = min(q.due, s.due)
		if q.deferred.n == 1 {
			q.due = s.due
		}
	}
	switch {
	case refuses(d.fail):
	case s.told:
		return nil
	case opts.MaxAttempts > 0 && s.attempts >= opts.MaxAttempts:
	case opts.MaxAge > 0 && now.UnixNano()-s.at >= int64(opts.MaxAge):
	default:
		return nil
	}
	if s.lazy != nil { // its version is the delivery's, whose value was made
		s.entry.Value, s.lazy = d.entry.Value, nil
		q.bytes += int64(len(s.entry.Value)) - s.room
	}
	return q.giveUp(s, refuses(d.fail), now)
}

// giveUp stops trying to bring the slot's operation to the tier. A sink keeps
// what it has; a tier of a cache must not answer with something older, so that a
// tombstone stays in the slot until it is taken, or refused.
func (q *queue) giveUp(s *slot, refused bool, now time.Time) *DeadLetter {
	var letter *DeadLetter
	if !s.told {
		letter = &DeadLetter{
			Tier: q.t.Name, Key: s.key, Entry: s.entry, Deleted: s.deleted,
			Attempts: s.attempts, Age: time.Duration(now.UnixNano() - s.at), Err: s.err,
		}
	}
	switch {
	case q.t.sink != nil, refused && s.removes(now):
		q.remove(s)
	case !s.removes(now):
		q.bytes -= int64(len(s.entry.Value))
		s.purge, s.entry, s.obj = true, store.Entry{Version: s.version}, nil
		s.alone, s.failures, s.attempts, s.told = false, 0, 0, true
		s.unlink()
		q.ready.pushFront(s)
	default:
		s.told = true
	}
	return letter
}

// sendSink writes a batch to a sink, in the order of the versions.
func (q *queue) sendSink(ctx context.Context, batch []delivery) {
	slices.SortFunc(batch, func(a, b delivery) int { return cmp.Compare(a.version, b.version) })
	writes := make([]Write, len(batch))
	for i := range batch {
		d := &batch[i]
		writes[i] = Write{Key: d.key, Entry: d.entry, Delete: d.deleted}
	}
	err := q.t.call(ctx, &q.t.writes, func(ctx context.Context) error { return q.t.sink.WriteMany(ctx, writes) })
	ds := make([]*delivery, len(batch))
	for i := range batch {
		ds[i] = &batch[i]
	}
	file(ds, err)
}
