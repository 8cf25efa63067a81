package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// someBare is a policy under which keys that begin with "plain" are plain.
type someBare struct{ allPlain }

func (p someBare) Wire(key string) (plain bool, grace time.Duration) {
	if !strings.HasPrefix(key, "plain") {
		return false, 0
	}
	return p.allPlain.Wire(key)
}

// SetNewer replaces what is older and leaves what is newer, a deletion too, and
// says nothing of that: the write was overtaken. A plain value does not tell its
// age and stays. One key that cannot be stored does not keep the others away.
func TestSetNewer(t *testing.T) {
	s := prefixed(t, Options{Wire: someBare{}})
	for _, key := range []string{"older", "newer", "plain held"} {
		mustSet(t, s, key, value("held", 10*ms))
	}
	mustDelete(t, s, map[string]uint64{"gone before": 10 * ms, "gone after": 12 * ms})
	mustSet(t, s, "newer", value("held", 12*ms))
	replayed := value("replayed", 11*ms)
	err := s.SetNewer(ctx, map[string]store.Entry{
		"older": replayed, "newer": replayed, "absent": replayed,
		"gone before": replayed, "gone after": replayed,
		"plain held": replayed, "plain absent": replayed, "": replayed,
	})
	var be *store.BatchError
	if !errors.As(err, &be) || len(be.Errs) != 1 || !errors.Is(be.Errs[""], store.ErrInvalidKey) {
		t.Errorf("SetNewer: %v; want that of the empty key, and no other", err)
	}
	for key, want := range map[string]string{
		"older": "replayed", "newer": "held", "absent": "replayed", "gone before": "replayed",
		"plain held": "held", "plain absent": "replayed",
	} {
		if e := mustGet(t, s, key); string(e.Value) != want {
			t.Errorf("%s holds %q; want %q", key, e.Value, want)
		}
	}
	isAbsent(t, s, "gone after")
}

// A write gets past the tombstone of a delete that came just before it, in the same
// millisecond; a fill of something loaded then does not.
func TestSetNewerWithinTheMillisecondOfADelete(t *testing.T) {
	s := prefixed(t, Options{})
	mustDelete(t, s, map[string]uint64{"k": 10*ms + 5})
	if stored, err := s.Fill(ctx, "k", value("loaded", 10*ms)); stored || err != nil {
		t.Errorf("Fill: %v, %v; want it refused", stored, err)
	}
	if err := s.SetNewer(ctx, map[string]store.Entry{"k": value("written", 10*ms+6)}); err != nil {
		t.Error(err)
	}
	if e := mustGet(t, s, "k"); string(e.Value) != "written" {
		t.Errorf("k holds %q", e.Value)
	}
}
