package diskstore

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"strings"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// scanBatch is how many rows are looked at between two looks at the context.
const scanBatch = 256

// Scan yields the live keys that begin with prefix. It reads all keys of the
// store: they are sorted by hash.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.check(ctx, "scan", ""); err != nil {
			yield("", err)
			return
		}
		sc := s.newScan(prefix)
		defer release(sc.segs)
		if err := s.check(ctx, "scan", ""); err != nil { // closed before the scan held anything
			yield("", err)
			return
		}
		err := sc.memory(ctx, yield)
		if err == nil {
			err = sc.segments(ctx, yield)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield("", s.error("scan", "", err))
		}
	}
}

// errStopped: the caller wants no more.
var errStopped = errors.New("stopped")

// scan is a walk over the state at one moment.
type scan struct {
	s      *Store
	prefix string
	mems   []*memtable
	segs   []*seg
}

func (s *Store) newScan(prefix string) *scan {
	c := s.guard.enter(0)
	defer leave(c)
	st := s.state.Load()
	for _, g := range st.segs {
		g.Acquire()
	}
	return &scan{s: s, prefix: prefix, mems: append([]*memtable{st.mem}, st.frozen...), segs: st.segs}
}

// memory yields the keys that are in memory.
func (sc *scan) memory(ctx context.Context, yield func(string, error) bool) error {
	for i, m := range sc.mems {
		for sh := range m.shards {
			if err := sc.s.check(ctx, "scan", ""); err != nil {
				return errors.Unwrap(err)
			}
			for _, key := range sc.shard(i, &m.shards[sh]) {
				if !yield(key, nil) {
					return errStopped
				}
			}
		}
	}
	return nil
}

// shard gathers the live keys of a shard that no newer memtable has.
func (sc *scan) shard(newer int, sh *memShard) (keys []string) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for key, e := range sh.m {
		if e.kind == segment.KindDeleted || passed(e.expires) || !strings.HasPrefix(key, sc.prefix) {
			continue
		}
		if sc.inMemory(newer, e.hash, key) {
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// inMemory reports whether one of the first n memtables has a row of key.
func (sc *scan) inMemory(n int, h segment.Hash, key string) bool {
	for _, m := range sc.mems[:n] {
		if m.get(h, key) != nil {
			return true
		}
	}
	return false
}

// segments yields the keys of the segments that nothing newer hides.
func (sc *scan) segments(ctx context.Context, yield func(string, error) bool) error {
	for i, g := range sc.segs {
		if g.lostAt != 0 {
			continue
		}
		for row := uint64(0); row < g.Rows(); row += scanBatch {
			if err := sc.s.check(ctx, "scan", ""); err != nil {
				return errors.Unwrap(err)
			}
			keys, err := sc.batch(i, row, min(row+scanBatch, g.Rows()))
			if err != nil {
				return sc.s.damage(err)
			}
			for _, key := range keys {
				if !yield(key, nil) {
					return errStopped
				}
			}
		}
	}
	return nil
}

// batch returns the live keys among some rows of a segment. Rows whose key
// cannot be read are left out.
func (sc *scan) batch(n int, from, to uint64) (keys []string, err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	g := sc.segs[n]
	for row := from; row < to; row++ {
		loc, h, err := g.Row(row)
		if err != nil {
			return keys, err
		}
		var it segment.Item
		if loc.Kind() == segment.KindDeleted || g.Read(&loc, &it) != nil || passed(it.Expires) {
			continue
		}
		key, ok := it.Key()
		if !ok || !strings.HasPrefix(key, sc.prefix) || segment.HashKey(sc.s.seed, key) != h {
			continue
		}
		if !sc.inMemory(len(sc.mems), h, key) && !hidden(sc.segs[:n], h) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// hidden reports whether one of the segments has a row of a hash.
func hidden(newer []*seg, h segment.Hash) bool {
	p := segment.NewProbe(h)
	for _, g := range newer {
		if may, err := g.MayHave(&p); err != nil || !may {
			continue
		}
		if _, ok, err := g.Has(h); ok && err == nil {
			return true
		}
	}
	return false
}

// damage marks an error of a reader as corrupt data.
func (s *Store) damage(err error) error {
	var se *store.Error
	if errors.As(s.readError("scan", "", err), &se) {
		return se.Err
	}
	return err
}
