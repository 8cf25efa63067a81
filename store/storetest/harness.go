package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"testing"

	"github.com/stratacache/strata/store"
)

// maxTries is how often an entry is written to a store that evicts before the
// suite concludes that the store holds nothing.
const maxTries = 20

// harness is what a case works with: the test, an empty store and helpers that
// know the options.
type harness struct {
	testing.TB
	s    store.Store
	opts Options
	ctx  context.Context
}

// set writes and requires success.
func (h *harness) set(key string, e store.Entry) {
	h.Helper()
	if err := h.s.Set(h.ctx, key, e); err != nil {
		h.Fatalf("Set(%s): %v; want nil", show(key), err)
	}
}

// put writes e and reads it back.
func (h *harness) put(key string, e store.Entry) store.Entry {
	h.Helper()
	for try := 1; ; try++ {
		h.set(key, e)
		got, err := h.s.Get(h.ctx, key)
		switch {
		case err == nil:
			h.same(key, got, e)
			return got
		case !h.lost(err):
			h.Fatalf("Get(%s) right after Set: %v; want the entry", show(key), err)
		case try == maxTries:
			h.Fatalf("Get(%s) right after Set: a miss, %d times in a row", show(key), try)
		}
	}
}

// has requires that key holds e, or, on a store that evicts, nothing.
func (h *harness) has(key string, e store.Entry) {
	h.Helper()
	got, err := h.s.Get(h.ctx, key)
	switch {
	case err == nil:
		h.same(key, got, e)
	case !h.lost(err):
		h.Errorf("Get(%s): %v; want the entry", show(key), err)
	}
}

// absent requires a proper miss.
func (h *harness) absent(key, when string) {
	h.Helper()
	got, err := h.s.Get(h.ctx, key)
	switch {
	case err == nil:
		h.Errorf("Get(%s) %s: returned %s; want store.ErrNotFound", show(key), when, showBytes(got.Value))
	case err != store.ErrNotFound: //nolint:errorlint // the bare sentinel is the contract
		h.Errorf("Get(%s) %s: error %v (%T); want store.ErrNotFound itself", show(key), when, err, err)
	}
}

// del deletes and requires success.
func (h *harness) del(key string) {
	h.Helper()
	if err := h.s.Delete(h.ctx, key); err != nil {
		h.Fatalf("Delete(%s): %v; want nil", show(key), err)
	}
}

// lost reports whether err is a miss that the store is allowed.
func (h *harness) lost(err error) bool {
	return h.opts.Evicts && errors.Is(err, store.ErrNotFound)
}

// same compares what was read with what was set.
func (h *harness) same(key string, got, want store.Entry) {
	h.Helper()
	if !bytes.Equal(got.Value, want.Value) {
		h.Fatalf("Get(%s): value %s; want %s", show(key), showBytes(got.Value), showBytes(want.Value))
	}
	if !h.sameTime(got.Expires, want.Expires) {
		h.Errorf("Get(%s): Expires %s; want %s", show(key), showTime(got.Expires), showTime(want.Expires))
	}
	if !h.opts.NoFresh && !h.sameTime(got.FreshUntil(), want.FreshUntil()) {
		h.Errorf("Get(%s): fresh until %s; want %s", show(key), showTime(got.FreshUntil()), showTime(want.FreshUntil()))
	}
	if !h.opts.NoVersion && got.Version != want.Version {
		h.Errorf("Get(%s): Version %d; want %d", show(key), got.Version, want.Version)
	}
	if !h.opts.NoTags && !slices.Equal(sorted(got.Tags), sorted(want.Tags)) {
		h.Errorf("Get(%s): Tags %q; want %q", show(key), got.Tags, want.Tags)
	}
	if !h.opts.NoCodec && got.Codec != want.Codec {
		h.Errorf("Get(%s): Codec %q; want %q", show(key), got.Codec, want.Codec)
	}
}

// sameTime reports whether a deadline came back as it was set.
func (h *harness) sameTime(got, want time.Time) bool {
	if want.IsZero() || got.IsZero() {
		return want.IsZero() == got.IsZero()
	}
	diff := got.Sub(want).Abs()
	return diff < time.Millisecond || diff <= h.opts.DeadlineSlack
}

// failure requires that err is a *store.Error for which errors.Is(err, want).
func (h *harness) failure(what string, err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: error %v; want one for which errors.Is(err, %q) holds", what, err, want)
		return
	}
	var se *store.Error
	if !errors.As(err, &se) {
		h.Errorf("%s: error %q is a %T; want a *store.Error in the chain", what, err, err)
		return
	}
	if se.Op == "" || se.Tier == "" {
		h.Errorf("%s: *store.Error with Op %q and Tier %q; want both set", what, se.Op, se.Tier)
	}
}

// needVersions skips the case where the store keeps no versions.
func (h *harness) needVersions() {
	h.Helper()
	if h.opts.NoVersion {
		h.Skip("the store keeps no versions")
	}
}

// shortTTL is the shortest time to live that the store and the suite use.
func (h *harness) shortTTL() time.Duration { return max(60*time.Millisecond, h.opts.MinTTL) }

// in returns the wall-clock time d from now, without a monotonic reading: a
// store has to live by the wall clock.
func in(d time.Duration) time.Time { return time.Now().Add(d).Round(0) }

// passed reports whether the deadline has passed by more than what a store of
// millisecond precision may be late.
func passed(deadline time.Time) bool {
	return time.Now().Round(0).Sub(deadline) >= time.Millisecond
}

// waitPast returns once the deadline of key has passed: for a store that may keep
// entries a little longer, once it no longer does so.
func (h *harness) waitPast(deadline time.Time, key string) {
	for !passed(deadline) {
		time.Sleep(time.Until(deadline) + time.Millisecond)
	}
	for !passed(deadline.Add(h.opts.DeadlineSlack)) {
		if _, err := h.s.Get(h.ctx, key); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// text returns an entry without deadlines.
func text(v string) store.Entry { return store.Entry{Value: []byte(v)} }

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func show(key string) string {
	if len(key) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", key[:40], len(key))
	}
	return fmt.Sprintf("%q", key)
}

func showBytes(b []byte) string { return show(string(b)) }

func showTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}
