package chain

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// Scan yields the keys that begin with prefix in any tier that can list its keys,
// each once, without those that a pending delete covers and with those that a
// pending write adds. A tier that fails is yielded as ("", err) after the keys of
// the others. Keys that only a tag barrier covers are still listed. It remembers
// the keys it has seen, so its memory grows with their number.
func (c *Chain) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if c.closed.Load() {
			yield("", c.closedError("scan"))
			return
		}
		s := scan{c: c, prefix: prefix, yield: yield, seen: make(map[string]bool)}
		if !s.pending() {
			return
		}
		tiers := c.bytes
		if len(tiers) == 0 {
			tiers = c.tiers
		}
		for _, t := range tiers {
			if !s.tier(ctx, t) {
				return
			}
		}
		if err := errors.Join(s.errs...); err != nil {
			yield("", err)
		}
	}
}

// scan is one Scan under way.
type scan struct {
	c      *Chain
	prefix string
	yield  func(string, error) bool
	seen   map[string]bool
	errs   []error
}

// pending yields the keys of pending writes and notes those of pending deletes.
func (s *scan) pending() bool {
	newest := make(map[string]slot)
	for _, t := range s.c.bytes {
		ours := func(sl *slot) bool {
			return strings.HasPrefix(sl.key, s.prefix) && !sl.purge && !strings.HasPrefix(sl.key, reserved)
		}
		for _, sl := range t.queue.snapshot(ours) {
			if sl.version >= newest[sl.key].version {
				newest[sl.key] = sl
			}
		}
	}
	now := time.Now()
	for key, sl := range newest {
		if !sl.deleted && sl.entry.Expired(now) {
			continue
		}
		s.seen[key] = true
		if !sl.deleted && !s.yield(key, nil) {
			return false
		}
	}
	return true
}

func (s *scan) tier(ctx context.Context, t *tier) bool {
	for key, err := range store.Scan(ctx, t.Store, s.prefix) {
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) || len(s.c.bytes) == 0 {
				s.errs = append(s.errs, tierError("scan", t.Name, "", err))
			}
			return true
		}
		if s.seen[key] || strings.HasPrefix(key, reserved) {
			continue
		}
		s.seen[key] = true
		if !s.yield(key, nil) {
			return false
		}
	}
	return true
}
