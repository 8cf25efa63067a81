package diskstore

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// A Load gathers so many bytes in memory for a segment, twice, and makes at most
// so many segments.
const (
	loadBytes = 64 << 20
	loadMax   = 1 << 16
)

// Load writes many entries at once, straight into segments, past the journal:
// for a first fill or a nightly prefetch. It counts as one write of each key
// that happens when Load is called. When it returns all entries are on the disk,
// whatever Sync says; where it fails none of them is in the store. Of a key that
// comes twice the last entry counts. The store keeps the values.
func (s *Store) Load(ctx context.Context, entries iter.Seq2[string, store.Entry]) error {
	const op = "load"
	if err := s.check(ctx, op, ""); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return s.error(op, "", errReadOnly)
	}
	ctx, cancel := s.untilClosed(ctx)
	defer cancel()
	l := &loader{s: s, ctx: ctx}
	if err := l.begin(); err != nil {
		return s.writeError(op, "", err)
	}
	defer s.loads.end(l.seq)
	defer release(l.older)
	n := 0
	for key, e := range entries {
		err := s.checkEntry(context.Background(), op, key, &e)
		if n++; n%64 == 0 && err == nil { // a context that can end has a lock
			err = s.check(ctx, op, key)
		}
		if err != nil {
			l.abort()
			return err
		}
		if _, ok := s.tablePath(key); ok { // one by one: each is a file
			if err := s.Set(ctx, key, e); err != nil {
				l.abort()
				return err
			}
			continue
		}
		if err := l.add(key, &e); err != nil {
			l.abort()
			return s.writeError(op, key, err)
		}
	}
	if err := l.end(); err != nil {
		return s.writeError(op, "", err)
	}
	return nil
}

// loader is a Load under way. One segment is written while the next is gathered.
type loader struct {
	s       *Store
	ctx     context.Context
	seq     uint64 // of the first segment
	cur     *chunk
	spare   *chunk     // written, to be used again
	busy    *chunk     // being written
	writing chan error // of it; nil: none
	added   []*seg     // newest first
	older   []*seg
	dead    []superseded
	count   uint64
}

// begin takes sequences for the segments, so that they are newer than all that
// was written before and older than what is written from now on, and seals the
// former.
func (l *loader) begin() error {
	s := l.s
	if err := s.admit(l.ctx); err != nil {
		return err
	}
	s.freeze.Lock()
	if s.closed.Load() {
		s.freeze.Unlock()
		return store.ErrClosed
	}
	if s.state.Load().mem.count.Load() > 0 {
		s.freezeLocked()
	}
	l.seq = s.j.Next()
	s.j.SkipTo(l.seq + loadMax)
	s.state.Load().mem.first = l.seq + loadMax
	s.loads.begin(l.seq)
	s.freeze.Unlock()
	if err := s.sealAll(l.ctx); err != nil {
		s.loads.end(l.seq)
		return err
	}
	l.older = s.hold()
	return nil
}

func (l *loader) add(key string, e *store.Entry) error {
	if l.cur == nil {
		if l.cur, l.spare = l.spare, nil; l.cur == nil {
			l.cur = newChunk()
		}
	}
	l.cur.add(segment.HashKey(l.s.seed, key), key, e)
	if l.cur.bytes >= min(loadBytes, l.s.maxOutput()) {
		return l.flush()
	}
	return nil
}

// flush begins to write the rows gathered, once the chunk before is written.
func (l *loader) flush() error {
	if err := l.join(); err != nil || l.cur == nil {
		return err
	}
	seq := l.seq + l.count
	if l.count++; l.count > loadMax {
		return store.ErrTooLarge
	}
	c, done := l.cur, make(chan error, 1)
	l.cur, l.busy, l.writing = nil, c, done
	go func() { done <- l.segment(c, seq) }()
	return nil
}

// join waits for the chunk that is being written.
func (l *loader) join() error {
	if l.writing == nil {
		return nil
	}
	err := <-l.writing
	l.busy.reset()
	l.spare, l.busy, l.writing = l.busy, nil, nil
	return err
}

// segment writes a chunk as a segment.
func (l *loader) segment(c *chunk, seq uint64) error {
	s := l.s
	w, err := segment.Create(s.fs, kvDir, segment.WriterOptions{
		ID: s.newID(), Seed: s.seed, Rows: c.rows, Now: time.Now().UnixMicro(), MinSeq: seq, MaxSeq: seq,
		Bytes: c.bytes, Ahead: true,
	})
	if err != nil {
		return err
	}
	if err := l.write(w, c); err != nil {
		w.Abort()
		return err
	}
	added, err := s.finish(w)
	if err != nil {
		return err
	}
	s.n.sealedBytes.Add(uint64(w.Size()))
	l.added = append(added, l.added...)
	return nil
}

func (l *loader) write(w *segment.Writer, c *chunk) (err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	now := time.Now().UnixMicro()
	stamp := l.s.stamps(c.rows)
	var row segment.Row
	ctx, cancel := context.WithCancel(l.ctx)
	buckets, used := make(chan []chunkRef, 2), make(chan []chunkRef, 4)
	go c.inOrder(ctx, buckets, used)
	defer func() {
		cancel()
		for range buckets { // the chunk is used again: wait for the end
		}
	}()
	for refs := range buckets {
		for i := range refs {
			r := &refs[i]
			if i > 0 && r.hash == refs[i-1].hash && r.key() == refs[i-1].key() {
				continue
			}
			hides := l.hides(r.hash)
			c.fill(r, &row)
			row.Written = stamp
			stamp++
			if row.Expires <= now {
				if !hides {
					continue
				}
				row.Kind, row.Value, row.Expires, row.Fresh = segment.KindDeleted, nil, journal.Never, journal.Never
			}
			if err := w.Append(&row); err != nil {
				return err
			}
		}
		used <- refs[:0]
	}
	return l.ctx.Err()
}

// hides reports whether something older may have a row of the hash, and notes it
// as dead.
func (l *loader) hides(h segment.Hash) bool {
	if len(l.added)+len(l.older) == 0 {
		return false
	}
	p := segment.NewProbe(h)
	return l.s.supersedes(l.added, &p, &l.dead) || l.s.supersedes(l.older, &p, &l.dead)
}

// end makes the segments live, where their sequences put them.
func (l *loader) end() error {
	s := l.s
	if err := errors.Join(l.flush(), l.join()); err != nil {
		l.abort()
		return err
	}
	s.compaction.Lock()
	defer s.compaction.Unlock()
	if s.closed.Load() || l.ctx.Err() != nil {
		l.abort()
		return cmp.Or(l.ctx.Err(), store.ErrClosed)
	}
	if l.seq < s.cleared {
		l.abort() // it happened before the Clear
		return nil
	}
	// The journal up to the sequences taken is sealed: they are not used again.
	uncertain, err := s.commitMaybe(l.seq+loadMax, func(segs []*seg) []*seg {
		i := 0
		for i < len(segs) && segs[i].Meta.MinSeq > l.seq {
			i++
		}
		return slices.Insert(segs, i, l.added...)
	}, nil)
	if err != nil {
		if uncertain {
			release(l.added)
		} else {
			l.abort()
		}
		return err
	}
	rows := uint64(0)
	for _, g := range l.added {
		rows += uint64(g.Meta.Rows)
	}
	s.n.sets.Add(rows)
	for _, d := range l.dead {
		d.seg.deadRows.Add(1)
		d.seg.deadBytes.Add(d.bytes)
	}
	wake(s.compactWake)
	return nil
}

// abort removes the segments written so far, which no reader has seen.
func (l *loader) abort() {
	_ = l.join()
	for _, g := range l.added {
		_ = l.s.fs.Remove(segment.Name(kvDir, g.Meta.ID))
		_ = l.s.fs.Remove(segment.IndexName(kvDir, g.Meta.ID))
	}
	release(l.added)
	l.added = nil
}
