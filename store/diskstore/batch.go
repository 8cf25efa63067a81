package diskstore

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"slices"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// place is where a key of a batch was found.
type place struct {
	key string
	hi  uint64
	f   found
}

// GetMany returns the entries of keys. Values are read in the order of the
// file.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	const op = "getmany"
	out := make(map[string]store.Entry, len(keys))
	if err := s.check(ctx, op, ""); err != nil {
		return out, err
	}
	segs := s.hold() // so that what is found stays until it is read
	defer release(segs)
	places, be := s.places(ctx, segs, keys)
	for i := range places {
		if i%256 == 0 && ctx.Err() != nil {
			return out, s.error(op, "", ctx.Err())
		}
		pl := &places[i]
		e, err := s.loadPlace(pl)
		if err != nil && errors.Is(err, errTable) {
			p := segment.NewProbe(segment.HashKey(s.seed, pl.key))
			e, _, _, err = s.retryTable(&p, pl.key, owned, nil)
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
			s.n.miss(pl.hi)
		case err != nil:
			be = be.Add(pl.key, s.readError(op, pl.key, err))
		default:
			s.n.hit(pl.hi)
			out[pl.key] = e
		}
	}
	return out, be.ErrOrNil()
}

// places looks keys up and returns those that are there, in the order in which
// to read them.
func (s *Store) places(ctx context.Context, segs []*seg, keys []string) (places []place, be *store.BatchError) {
	const op = "getmany"
	places = make([]place, 0, len(keys))
	for _, key := range keys {
		if err := s.checkKey(ctx, op, key); err != nil {
			be = be.Add(key, err)
			continue
		}
		p := segment.NewProbe(segment.HashKey(s.seed, key))
		f, ok, err := s.locate(segs, &p, key)
		switch {
		case err != nil:
			be = be.Add(key, s.readError(op, key, err))
		case !ok:
			s.n.miss(p.Hi)
		default:
			places = append(places, place{key, p.Hi, f})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.order(), b.order()) })
	return places, be
}

// order sorts places by file and position.
func (p *place) order() uint64 {
	if p.f.seg == nil {
		return 0
	}
	return p.f.seg.Meta.ID<<40 | p.f.loc.Offset()
}

// locate is find over the present memtables and the given segments.
func (s *Store) locate(segs []*seg, p *segment.Probe, key string) (f found, ok bool, err error) {
	c := s.guard.enter(p.Hi)
	defer s.leave(c, debug.SetPanicOnFault(true), &err)
	if s.closed.Load() {
		return f, false, store.ErrClosed
	}
	st := *s.state.Load()
	f, ok, err = st.find(p, key)
	if ok && f.seg != nil && !slices.Contains(segs, f.seg) {
		// Sealed or compacted since the batch began: what it held by then is in
		// a segment that is not held. Read it now.
		var e store.Entry
		if e, _, _, err = s.load(&f, owned, nil); err == nil {
			m := newMemEntry(p.Hash, &e, 0)
			return found{mem: m}, true, nil
		}
		if errors.Is(err, store.ErrNotFound) {
			return found{}, false, nil
		}
	}
	return f, ok, err
}

func (s *Store) loadPlace(p *place) (e store.Entry, err error) {
	c := s.guard.enter(p.hi)
	defer s.leave(c, debug.SetPanicOnFault(true), &err)
	e, _, _, err = s.load(&p.f, owned, nil)
	return e, err
}

// SetMany writes entries, which share their syncs.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	if err := s.check(ctx, "setmany", ""); err != nil {
		return err
	}
	var b pending
	for key, e := range entries {
		t, err := s.set(ctx, "setmany", key, &e)
		b.add(key, t, err)
	}
	return b.wait(ctx, s, "setmany")
}

// DeleteMany removes keys.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	if err := s.check(ctx, "deletemany", ""); err != nil {
		return err
	}
	var b pending
	for _, key := range keys {
		t, err := s.delete(ctx, "deletemany", key)
		b.add(key, t, err)
	}
	return b.wait(ctx, s, "deletemany")
}

// pending gathers the writes of a batch.
type pending struct {
	keys    []string
	tickets []journal.Ticket
	be      *store.BatchError
}

func (b *pending) add(key string, t *journal.Ticket, err error) {
	if err != nil {
		b.be = b.be.Add(key, err)
	} else if t != nil {
		b.keys, b.tickets = append(b.keys, key), append(b.tickets, *t)
	}
}

func (b *pending) wait(ctx context.Context, s *Store, op string) error {
	for i := range b.tickets {
		if err := s.wait(ctx, op, b.keys[i], &b.tickets[i]); err != nil {
			b.be = b.be.Add(b.keys[i], err)
		}
	}
	return b.be.ErrOrNil()
}
