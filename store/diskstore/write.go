package diskstore

import (
	"context"
	"errors"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// maxTags bounds the bytes of an entry's tags together.
const maxTags = 32 << 10

var errReadOnly = errors.New("opened read-only")

// Set stores e under key. The store keeps e.Value.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	t, err := s.set(ctx, "set", key, &e)
	if err != nil || t == nil {
		return err
	}
	return s.wait(ctx, "set", key, t)
}

// set appends an entry to journal and memtable. The ticket is nil where there
// is nothing to wait for.
func (s *Store) set(ctx context.Context, op, key string, e *store.Entry) (*journal.Ticket, error) {
	if err := s.checkEntry(ctx, op, key, e); err != nil {
		return nil, err
	}
	if e.Expired(time.Now()) {
		return s.delete(ctx, op, key)
	}
	s.n.sets.Add(1)
	h := segment.HashKey(s.seed, key)
	if rel, ok := s.tablePath(key); ok {
		defer s.tables.lockKey(h)()
		if isTable(e) {
			if s.opts.ReadOnly {
				return nil, s.writeError(op, key, errReadOnly)
			}
			if err := s.setTable(ctx, h, key, rel, e); err != nil {
				return nil, s.writeError(op, key, err)
			}
			return nil, nil
		}
		p := segment.NewProbe(h)
		if ref, ok := s.tableRef(&p, key); ok {
			return nil, s.setOverTable(ctx, op, h, key, e, ref)
		}
	}
	var t journal.Ticket
	err := s.update(ctx, h, func(st *state) (err error) {
		t, err = s.append(ctx, st, recSet, h, key, e)
		return err
	})
	if err != nil {
		return nil, s.writeError(op, key, err)
	}
	return &t, nil
}

// setOverTable puts another value in the place of a table, whose file goes once
// the journal is on the disk. The caller holds the key's stripe.
func (s *Store) setOverTable(ctx context.Context, op string, h segment.Hash, key string, e *store.Entry, ref segment.TableRef) error {
	err := s.update(ctx, h, func(st *state) error {
		_, err := s.append(ctx, st, recSet, h, key, e)
		return err
	})
	if err == nil {
		err = s.settleRecord(ctx)
	}
	if err != nil {
		return s.writeError(op, key, err)
	}
	s.dropTable(ref)
	return nil
}

func (s *Store) checkEntry(ctx context.Context, op, key string, e *store.Entry) error {
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	tags := 0
	for _, t := range e.Tags {
		tags += len(t) + 2
	}
	if len(e.Value) > s.opts.MaxValue || len(e.Codec) > journal.MaxCodec || tags > maxTags {
		s.n.rejections.Add(1)
		return s.error(op, key, store.ErrTooLarge)
	}
	return nil
}

// update runs fn with the stripe of a hash locked, so that it is the only
// writer of its keys, and the memtable in place.
func (s *Store) update(ctx context.Context, h segment.Hash, fn func(*state) error) error {
	if s.opts.ReadOnly {
		return errReadOnly
	}
	if err := s.admit(ctx); err != nil {
		return err
	}
	err := s.locked(h, fn)
	if s.state.Load().mem.bytes.Load() >= s.opts.SegmentSize {
		s.freezeIf(s.opts.SegmentSize)
	}
	return err
}

func (s *Store) locked(h segment.Hash, fn func(*state) error) error {
	s.freeze.RLock()
	defer s.freeze.RUnlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	stripe := &s.stripes[h.Lo%memShards]
	stripe.Lock()
	defer stripe.Unlock()
	return fn(s.state.Load())
}

// append adds an entry, or for recDelete a tombstone, to the journal and then
// to the memtable. It is called by update.
func (s *Store) append(ctx context.Context, st *state, kind byte, h segment.Hash, key string, e *store.Entry) (journal.Ticket, error) {
	var buf [192]byte
	m := newMemEntry(h, e, s.stamp())
	if kind == recDelete {
		m.kind = segment.KindDeleted
	}
	head := journal.AppendEntry(buf[:0], key, e, m.written)
	t, err := s.j.Enqueue(ctx, kind, head, e.Value)
	if err != nil {
		return t, err
	}
	st.remember(key, m)
	return t, nil
}

// enqueue appends a record whose memtable entry is put later.
func (s *Store) enqueue(ctx context.Context, kind byte, key string, e *store.Entry, m *memEntry) error {
	_, err := s.j.Enqueue(ctx, kind, journal.AppendEntry(nil, key, e, m.written), e.Value)
	return err
}

// remember puts an entry into the memtable.
func (s *Store) remember(key string, m *memEntry) { s.state.Load().remember(key, m) }

func (st *state) remember(key string, m *memEntry) {
	st.mem.put(key, m)
	st.mem.bytes.Add(int64(segment.RowBytes(len(key), len(m.value))))
}

// maxFrozen is how many memtables may wait for being sealed.
const maxFrozen = 2

// admit holds writers back while too much waits for being sealed.
func (s *Store) admit(ctx context.Context) error {
	for {
		next := s.sealed1.next()
		if len(s.state.Load().frozen) < maxFrozen || s.closed.Load() {
			return nil
		}
		if err := s.failing.Load(); err != nil {
			wake(s.sealWake)
			return *err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait waits until a write is durable, where the policy says so.
func (s *Store) wait(ctx context.Context, op, key string, t *journal.Ticket) error {
	if err := s.j.Wait(ctx, *t); err != nil {
		return s.writeError(op, key, err)
	}
	return nil
}

func (s *Store) writeError(op, key string, err error) error {
	if errors.Is(err, journal.ErrTooLarge) {
		err = store.ErrTooLarge
	}
	if errors.Is(err, journal.ErrClosed) {
		err = store.ErrClosed
	}
	if !errors.Is(err, store.ErrClosed) && !errors.Is(err, errReadOnly) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		s.n.errors.Add(1)
		wake(s.sealWake) // which revives the journal
	}
	return s.error(op, key, err)
}

// Delete removes key.
func (s *Store) Delete(ctx context.Context, key string) error {
	t, err := s.delete(ctx, "delete", key)
	if err != nil || t == nil {
		return err
	}
	return s.wait(ctx, "delete", key, t)
}

// delete writes a tombstone, unless there is nothing that it would hide.
func (s *Store) delete(ctx context.Context, op, key string) (*journal.Ticket, error) {
	if err := s.checkKey(ctx, op, key); err != nil {
		return nil, err
	}
	s.n.deletes.Add(1)
	p := segment.NewProbe(segment.HashKey(s.seed, key))
	if _, ok := s.tablePath(key); ok {
		defer s.tables.lockKey(p.Hash)()
		if ref, ok := s.tableRef(&p, key); ok {
			defer s.dropTable(ref)
		}
	}
	var t *journal.Ticket
	err := s.update(ctx, p.Hash, func(st *state) error {
		loading := s.loads.any()
		if f, known := s.peek(&p, key); known && f == nil && !loading {
			return nil
		}
		ticket, err := s.append(ctx, st, recDelete, p.Hash, key, &store.Entry{})
		t = &ticket
		return err
	})
	if err != nil {
		return nil, s.writeError(op, key, err)
	}
	return t, nil
}

// Fill stores e unless the store holds an entry of key that is not older.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	const op = "fill"
	if err := s.checkEntry(ctx, op, key, &e); err != nil {
		return false, err
	}
	if e.Expired(time.Now()) {
		return false, nil
	}
	p := segment.NewProbe(segment.HashKey(s.seed, key))
	if _, ok := s.tablePath(key); ok {
		return s.fillTable(ctx, &p, key, &e)
	}
	var t journal.Ticket
	err = s.update(ctx, p.Hash, func(st *state) (err error) {
		if v, ok := s.versionOf(&p, key); ok && !store.Newer(e.Version, v) {
			return nil
		}
		stored = true
		s.n.sets.Add(1)
		t, err = s.append(ctx, st, recSet, p.Hash, key, &e)
		return err
	})
	if err != nil {
		return false, s.writeError(op, key, err)
	}
	if !stored {
		return false, nil
	}
	if err := s.wait(ctx, op, key, &t); err != nil {
		return false, err
	}
	return true, nil
}

// Clear removes all entries. When it returns they are gone for good.
func (s *Store) Clear(ctx context.Context) error {
	if err := s.check(ctx, "clear", ""); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return s.error("clear", "", errReadOnly)
	}
	s.compaction.Lock() // nothing is sealed or compacted meanwhile
	defer s.compaction.Unlock()
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if s.closed.Load() {
		return s.error("clear", "", store.ErrClosed)
	}
	gone, err := s.clear(ctx)
	if err != nil {
		return s.writeError("clear", "", err)
	}
	s.retire(gone)
	s.clearTables()
	return nil
}

func (s *Store) clear(ctx context.Context) (gone []*seg, err error) {
	s.freeze.Lock()
	defer s.freeze.Unlock()
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	if _, err := s.j.Enqueue(ctx, recClear); err != nil {
		return nil, err
	}
	// What is cleared must not come back: the record is made durable whatever
	// the policy, before anything is dropped.
	if err := s.j.Sync(ctx); err != nil {
		return nil, err
	}
	first := s.j.Rotate()
	gone = s.state.Load().segs
	s.publish(func(st *state) { *st = state{mem: newMemtable(first)} })
	s.sealed1.fire()
	s.cleared = first
	if err := s.commit(first, func([]*seg) []*seg { return nil }, nil); err != nil {
		return nil, err
	}
	return gone, s.j.TruncateBefore(first)
}
