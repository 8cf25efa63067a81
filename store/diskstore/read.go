package diskstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// found is where the newest row of a key is: in memory or in a segment.
type found struct {
	mem *memEntry
	seg *seg
	loc segment.Loc
}

// find looks a key up. It is called by a reader that has entered the guard.
// What it finds may be a tombstone, or expired.
func (st *state) find(p *segment.Probe, key string) (f found, ok bool, err error) {
	if e := st.mem.get(p.Hash, key); e != nil {
		return found{mem: e}, true, nil
	}
	for _, m := range st.frozen {
		if e := m.get(p.Hash, key); e != nil {
			return found{mem: e}, true, nil
		}
	}
	for _, g := range st.segs {
		may, err := g.MayHave(p)
		if err != nil {
			return f, false, err
		}
		if !may {
			continue
		}
		if g.lostAt != 0 {
			_, ok, err := g.Has(p.Hash)
			if ok || err != nil {
				return f, false, err
			}
			continue
		}
		loc, ok, err := g.Find(p, key)
		if ok || err != nil {
			return found{seg: g, loc: loc}, ok, err
		}
	}
	return f, false, nil
}

// mode is what a read does with the value.
type mode uint8

const (
	owned    mode = iota // a copy of its own
	appended             // appended to dst
	borrowed             // part of the mapping, which a View holds
)

// read is Get, Append and View.
func (s *Store) read(ctx context.Context, op, key string, m mode, dst []byte) (e store.Entry, out []byte, hold holder, err error) {
	if err := s.checkKey(ctx, op, key); err != nil {
		return e, dst, nil, err
	}
	p := segment.NewProbe(segment.HashKey(s.seed, key))
	e, out, hold, err = s.readOnce(&p, key, m, dst)
	if err != nil && errors.Is(err, errTable) {
		e, out, hold, err = s.retryTable(&p, key, m, dst)
	}
	switch {
	case err == nil:
		s.n.hit(p.Hi)
	case errors.Is(err, store.ErrNotFound):
		s.n.miss(p.Hi)
	default:
		err = s.readError(op, key, err)
	}
	return e, out, hold, err
}

func (s *Store) readOnce(p *segment.Probe, key string, m mode, dst []byte) (e store.Entry, out []byte, hold holder, err error) {
	out = dst
	c := s.guard.enter(p.Hi)
	defer s.leave(c, debug.SetPanicOnFault(true), &err)
	if s.closed.Load() {
		return e, out, nil, store.ErrClosed
	}
	f, ok, err := s.state.Load().find(p, key)
	if err != nil {
		return e, out, nil, err
	}
	if !ok {
		return e, out, nil, store.ErrNotFound
	}
	return s.load(&f, m, dst)
}

// load reads what find has found.
func (s *Store) load(f *found, m mode, dst []byte) (e store.Entry, out []byte, hold holder, err error) {
	if f.mem != nil {
		if f.mem.kind == segment.KindDeleted || passed(f.mem.expires) {
			return e, dst, nil, store.ErrNotFound
		}
		e = f.mem.entry()
		if f.mem.kind == segment.KindTable {
			if dst, hold, err = s.loadTable(&e, e.Value, m, dst); err != nil {
				e = store.Entry{}
			}
			return e, dst, hold, err
		}
		if m == appended {
			dst = append(dst, e.Value...)
			e.Value = dst[len(dst)-len(e.Value):]
		}
		return e, dst, nil, nil
	}
	switch f.loc.Kind() {
	case segment.KindDeleted:
		return e, dst, nil, store.ErrNotFound
	case segment.KindTable:
		return s.loadTableRow(f, m, dst)
	}
	var it segment.Item
	if err := f.seg.Read(&f.loc, &it); err != nil {
		return e, dst, nil, err
	}
	value := it.Value
	switch m {
	case owned:
		value = make([]byte, len(it.Value))
		copy(value, it.Value)
	case appended:
		n := len(dst)
		dst = append(dst, it.Value...)
		value = dst[n:len(dst):len(dst)]
	}
	// The copy is what is checked: it is what the caller gets.
	if !it.Check(value) {
		return e, dst[:len(dst)-cond(m == appended, len(value))], nil, fmt.Errorf("%w: checksum of a row of segment %d", segment.ErrData, f.seg.Meta.ID)
	}
	if passed(it.Expires) {
		return e, dst[:len(dst)-cond(m == appended, len(value))], nil, store.ErrNotFound
	}
	e.Value, e.Version, e.Codec = value, it.Version, it.Codec
	setTimes(&e, it.Expires, it.Fresh)
	if it.TagsText != nil {
		e.Tags = it.Tags()
	}
	if m == borrowed {
		f.seg.Acquire()
		hold = f.seg
	}
	return e, dst, hold, nil
}

// loadTableRow reads the table that a row of a segment refers to.
func (s *Store) loadTableRow(f *found, m mode, dst []byte) (e store.Entry, out []byte, hold holder, err error) {
	var it segment.Item
	if err := f.seg.Read(&f.loc, &it); err != nil {
		return e, dst, nil, err
	}
	if !it.Check(it.Value) {
		return e, dst, nil, fmt.Errorf("%w: checksum of a row of segment %d", segment.ErrData, f.seg.Meta.ID)
	}
	if passed(it.Expires) {
		return e, dst, nil, store.ErrNotFound
	}
	out, hold, err = s.loadTable(&e, it.Value, m, dst)
	if err != nil {
		return store.Entry{}, out, nil, err
	}
	e.Version, e.Codec = it.Version, it.Codec
	setTimes(&e, it.Expires, it.Fresh)
	if it.TagsText != nil {
		e.Tags = it.Tags()
	}
	return e, out, hold, nil
}

func cond(c bool, n int) int {
	if c {
		return n
	}
	return 0
}

// leave ends a read. Memory faults of the mappings, and whatever else a damaged
// file may lead to, become errors.
func (s *Store) leave(c *atomic.Int64, old bool, err *error) {
	debug.SetPanicOnFault(old)
	r := recover()
	leave(c)
	if r != nil {
		*err = faultError(r)
	}
}

// faultError turns a run-time panic into an error and passes others on.
func faultError(r any) error {
	if re, ok := r.(runtime.Error); ok {
		return fmt.Errorf("%w: %w", segment.ErrData, re)
	}
	panic(r)
}

// readError is the error of a read that found damage.
func (s *Store) readError(op, key string, err error) error {
	switch {
	case errors.Is(err, store.ErrClosed):
		return s.error(op, key, store.ErrClosed)
	case errors.Is(err, segment.ErrIndex):
		wake(s.compactWake) // which rebuilds it
		fallthrough
	case errors.Is(err, segment.ErrData):
		s.n.corrupt.Add(1)
		err = s.error(op, key, fmt.Errorf("%w: %w", store.ErrCorrupt, err))
		s.opts.Logger.Warn("disk store: damage", "err", err)
		return err
	}
	return s.error(op, key, err)
}

// Get returns the entry of key, with a copy of the value.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	e, _, _, err := s.read(ctx, "get", key, owned, nil)
	return e, err
}

// Append appends the value of key to dst and returns the extended buffer, and
// the entry, whose Value is the part of the buffer that was appended. It does
// not allocate where dst has room. Where there is an error dst comes back as it
// was.
func (s *Store) Append(ctx context.Context, dst []byte, key string) ([]byte, store.Entry, error) {
	e, out, _, err := s.read(ctx, "append", key, appended, dst)
	return out, e, err
}

// holder keeps borrowed bytes in their place.
type holder interface{ Release() }

// View is an entry whose value is borrowed from the store.
type View struct {
	store.Entry
	hold holder
}

// View returns the entry of key without copying its value. The value is valid
// until Release and must not be modified; it keeps the space of its file on the
// disk until then, whatever becomes of the entry, and also after Close. Where
// somebody else cuts the file short meanwhile, reading the value is a memory
// fault: use Append on files that are not the store's own.
func (s *Store) View(ctx context.Context, key string) (View, error) {
	e, _, hold, err := s.read(ctx, "view", key, borrowed, nil)
	return View{e, hold}, err
}

// Release ends the use of the value. It may be called more than once, but not
// concurrently.
func (v *View) Release() {
	if v.hold != nil {
		v.hold.Release()
		v.hold = nil
	}
	v.Value = nil
}
