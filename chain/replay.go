package chain

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// openLedger opens the journal, if there is to be one, and puts what it holds into
// the queues: for each key and tier the newest operation that the tier has not
// taken.
func (c *Chain) openLedger() error {
	opts := &c.opts.Pending
	if opts.Journal == "" {
		return nil
	}
	j, err := journal.Open(opts.Journal, &journal.Options{
		Sync: journal.SyncAlways, FileSize: opts.JournalFile, FS: opts.journalFS,
		OnError: func(err error) { c.report(journalError("write", "", err)) },
	})
	if err != nil {
		if le := (*vfs.LockedError)(nil); errors.As(err, &le) {
			err = fmt.Errorf("%w: %w", store.ErrLocked, err)
		}
		return &store.Error{Op: "open", Tier: "journal", Err: err}
	}
	l := &ledger{
		c: c, j: j, keys: make(map[string]*inFlight),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	r := &replay{c: c, records: make(map[replayAck]*replayed), void: make(map[uint64]bool)}
	report, err := j.Replay(r.add)
	if err == nil {
		err = r.settle(l)
	}
	if err != nil {
		return &store.Error{Op: "replay", Tier: "journal", Err: errors.Join(err, j.Close())}
	}
	for _, d := range report.Damage {
		c.report(&store.Error{Op: "replay", Tier: "journal", Err: fmt.Errorf("%w: %v", store.ErrCorrupt, d)})
	}
	c.ledger = l
	l.done.Go(l.run)
	return nil
}

// replay gathers what a journal says.
type replay struct {
	c       *Chain
	records map[replayAck]*replayed
	void    map[uint64]bool
}

type (
	replayKey struct{ tier, key string }
	replayAck struct {
		tier string
		seq  uint64
	}
)

// replayed is an operation for one tier.
type replayed struct {
	op    *logged
	seq   uint64
	taken bool
}

// add takes a record. The tier's acks may come later or, where a record was
// written again, refer to a later copy.
func (r *replay) add(rec journal.Record) error {
	switch rec.Kind {
	case opRecord:
		op, err := parseOp(rec.Payload)
		if err != nil {
			r.damaged(rec.Seq, err)
			return nil
		}
		r.c.hlc.Restore(op.entry.Version)
		for _, tier := range op.tiers {
			r.records[replayAck{tier, rec.Seq}] = &replayed{op: &op, seq: rec.Seq}
		}
	case ackRecord:
		tier, seqs, err := parseAck(rec.Payload)
		if err != nil {
			r.damaged(rec.Seq, err)
			return nil
		}
		for _, seq := range seqs {
			if x := r.records[replayAck{tier, seq}]; x != nil {
				x.taken = true
			}
		}
	case voidRecord:
		_, seqs, err := parseAck(rec.Payload)
		if err != nil {
			r.damaged(rec.Seq, err)
			return nil
		}
		for _, seq := range seqs {
			r.void[seq] = true
		}
	case clockRecord:
		version, err := parseClock(rec.Payload)
		if err != nil {
			r.damaged(rec.Seq, err)
			return nil
		}
		r.c.hlc.Restore(version)
	default:
		return fmt.Errorf("record %d is of kind %d, which this version does not know", rec.Seq, rec.Kind)
	}
	return nil
}

// damaged reports a record that its checksum says is what was written, and that
// makes no sense all the same.
func (r *replay) damaged(seq uint64, err error) {
	r.c.report(&store.Error{Op: "replay", Tier: "journal", Err: fmt.Errorf("%w: record %d: %w", store.ErrCorrupt, seq, err)})
}

// newest returns the newest operation of each key for each tier; of two copies, the
// later one.
func (r *replay) newest() map[replayKey]*replayed {
	newest := make(map[replayKey]*replayed)
	for at, x := range r.records {
		if r.void[x.seq] {
			continue
		}
		k := replayKey{at.tier, x.op.key}
		old := newest[k]
		if old == nil || cmp.Or(cmp.Compare(old.op.entry.Version, x.op.entry.Version), cmp.Compare(old.seq, x.seq)) < 0 {
			newest[k] = x
		}
	}
	return newest
}

// settle fills the queues, in the order of the versions. Writes for a tier that
// the chain does not have are an error: they would be lost otherwise.
func (r *replay) settle(l *ledger) error {
	strangers := make(map[string]int)
	pending := make(map[replayKey]*replayed)
	for k, x := range r.newest() {
		switch {
		case x.taken:
		case r.c.byteTier(k.tier) == nil:
			strangers[k.tier]++
		default:
			pending[k] = x
		}
	}
	for tier, n := range strangers {
		return fmt.Errorf("it holds %d writes for tier %q, which the chain does not have: open it with that tier once more, so that they are not lost", n, tier)
	}
	order := slices.SortedFunc(maps.Keys(pending), func(a, b replayKey) int {
		return cmp.Or(cmp.Compare(pending[a].op.entry.Version, pending[b].op.entry.Version), strings.Compare(a.tier, b.tier))
	})
	records := make(map[uint64]*record)
	for _, k := range order {
		x, t := pending[k], r.c.byteTier(k.tier)
		rec := records[x.seq]
		if rec == nil {
			x.op.entry.Value = slices.Clone(x.op.entry.Value) // not the whole file
			rec = l.found(x)
			records[x.seq] = rec
		}
		rec.owed |= 1 << t.index
		t.queue.restore(x.op, rec)
	}
	l.order(slices.Collect(maps.Values(records)))
	return nil
}

// found returns the record of an operation that the journal holds.
func (l *ledger) found(x *replayed) *record {
	r := &record{l: l, op: *x.op, seq: x.seq, floor: x.seq, size: recordSize(x.op.key, &x.op.entry)}
	l.bytes += r.size
	return r
}

// order lists the records as the journal has them.
func (l *ledger) order(records []*record) {
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(a.seq, b.seq) })
	for _, r := range records {
		l.live.push(r)
	}
}

func recordSize(key string, e *store.Entry) int64 {
	n := len(key) + len(e.Value) + len(e.Codec) + recordOverhead
	for _, tag := range e.Tags {
		n += len(tag) + 2
	}
	return int64(n)
}

// byteTier returns the tier of that name that holds bytes, or nil.
func (c *Chain) byteTier(name string) *tier {
	for _, t := range c.bytes {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// restore puts an operation from the journal into the queue, whatever its bounds.
func (q *queue) restore(op *logged, rec *record) {
	s := slot{
		key: op.key, version: op.entry.Version, entry: op.entry, deleted: op.deleted,
		rec: rec, at: op.at, replayed: true,
	}
	if !op.deleted && q.t.sink == nil {
		if p := q.c.plan(op.key); p != nil {
			s.entry = p.boundedIn(q.t, op.entry, op.at)
		}
	}
	q.force(&s)
}

// boundedIn returns e, written at that time, with the deadlines that t may give it.
func (p *plan) boundedIn(t *tier, e store.Entry, at int64) store.Entry {
	for _, own := range p.tiers {
		if own.tier == t && own.ttl > 0 {
			lifeOf(&e).bounded(at, own.ttl).apply(&e)
		}
	}
	return e
}
