package diskstore

import (
	"runtime/debug"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// peek looks a key up for a writer. known is false where damage hides the
// answer; f is nil where there is no row at all.
func (s *Store) peek(p *segment.Probe, key string) (f *found, known bool) {
	c := s.guard.enter(p.Hi)
	got, ok, err := func() (got found, ok bool, err error) {
		defer s.leave(c, debug.SetPanicOnFault(true), &err)
		return s.state.Load().find(p, key)
	}()
	switch {
	case err != nil:
		return nil, false
	case !ok:
		return nil, true
	case got.mem != nil && got.mem.kind == segment.KindDeleted:
		return nil, true // a tombstone hides what is older already
	}
	return &got, true
}

// versionOf returns the version of the live entry of key, if there is one. An
// entry that cannot be read is none.
func (s *Store) versionOf(p *segment.Probe, key string) (version uint64, ok bool) {
	var err error
	c := s.guard.enter(p.Hi)
	func() {
		defer s.leave(c, debug.SetPanicOnFault(true), &err)
		var f found
		if f, ok, err = s.state.Load().find(p, key); !ok || err != nil {
			return
		}
		version, ok = s.liveVersion(&f)
	}()
	return version, ok && err == nil
}

func (s *Store) liveVersion(f *found) (version uint64, ok bool) {
	if f.mem != nil {
		return f.mem.version, f.mem.kind != segment.KindDeleted && !passed(f.mem.expires)
	}
	var it segment.Item
	if f.loc.Kind() == segment.KindDeleted || f.seg.Read(&f.loc, &it) != nil || !it.Check(it.Value) {
		return 0, false
	}
	return it.Version, !passed(it.Expires)
}

// passed reports whether a deadline in microseconds has passed. It reads the precise
// clock: a coarse one is late where the process stood still.
func passed(deadline int64) bool {
	return deadline < journal.Never && time.Now().UnixMicro() >= deadline
}
