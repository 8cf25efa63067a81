package chain

import (
	"context"
	"encoding/binary"
	"errors"
)

// trim drops files, after it has rewritten the records that keep a journal large
// although little in it is alive.
func (l *ledger) trim(ctx context.Context) error {
	if l.j.Size() <= 2*l.c.opts.Pending.JournalFile {
		return nil
	}
	l.mu.Lock()
	bloated := l.bloated(1)
	l.mu.Unlock()
	if bloated {
		if err := l.rewrite(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	floor := l.j.Next()
	if l.live.first != nil {
		floor = l.live.first.floor
	}
	l.mu.Unlock()
	err := l.forgetBefore(ctx, floor)
	l.landed(0)
	return err
}

// forgetBefore drops files, once the journal has the time that their records had.
func (l *ledger) forgetBefore(ctx context.Context, floor uint64) error {
	if floor > l.clocked {
		t, err := l.j.Enqueue(ctx, clockRecord, binary.AppendUvarint(nil, l.c.hlc.Last()))
		if err == nil {
			err = l.j.Wait(ctx, t)
		}
		if err != nil {
			return err
		}
		l.clocked = t.Seq
	}
	return l.j.TruncateBefore(floor)
}

// rewrite appends the live records of all files but the current one anew.
func (l *ledger) rewrite(ctx context.Context) error {
	end := l.j.Rotate()
	for {
		done, err := l.rewriteOne(ctx, end)
		if err != nil {
			return err
		}
		if done {
			return errors.Join(l.writeAcks(ctx), l.j.Sync(ctx))
		}
	}
}

// rewriteOne appends the oldest record anew, unless there is none before end.
func (l *ledger) rewriteOne(ctx context.Context, end uint64) (done bool, err error) {
	l.acking.Lock() // acks name the record's place
	defer l.acking.Unlock()
	l.mu.Lock()
	r := l.live.first
	if r == nil || r.floor >= end || r.seq == 0 {
		l.mu.Unlock()
		return true, nil
	}
	mask, old := r.owed, r.seq
	l.live.remove(r)
	r.floor = l.j.Next()
	l.live.push(r)
	l.mu.Unlock()
	if err := l.appendAgain(ctx, r, mask); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		r.floor = min(r.floor, old) // it is still where it was
		l.refile(r)
		return false, err
	}
	return false, nil
}

// refile moves a record that kept its old place to the front. mu is held.
func (l *ledger) refile(r *record) {
	if !r.linked || l.live.first == r {
		return
	}
	l.live.remove(r)
	r.next, r.linked = l.live.first, true
	l.live.first.prev = r
	l.live.first = r
	l.live.n++
}

// appendAgain writes r at the journal's end for the tiers in mask. Acks are written
// by the same goroutine, and name the new place from now on.
func (l *ledger) appendAgain(ctx context.Context, r *record, mask uint64) error {
	op := r.op
	op.tiers = nil
	for i, t := range l.c.tiers {
		if mask>>i&1 != 0 {
			op.tiers = append(op.tiers, t.Name)
		}
	}
	if len(op.tiers) == 0 {
		return nil
	}
	t, err := l.j.Enqueue(ctx, opRecord, appendOp(nil, &op), op.entry.Value)
	if err != nil {
		return err
	}
	l.rewrote.add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.seq = t.Seq
	return nil
}
