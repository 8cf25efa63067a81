package redisstore

import (
	"errors"
	"fmt"
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

// A batch whose versions are compared is a few scripts, of many keys each. Each key
// has its own outcome: what is newer stays, a key of another type is an error of that
// key alone, and a server that does not know the script is sent it.
func TestOrderedBatch(t *testing.T) {
	s, c := prefixed(t, Options{NewestWins: true}), raw(t)
	const n = 2*scriptKeys + 10
	name := func(i int) string { return fmt.Sprint("k", i) }
	for i := range n {
		if i%5 == 0 {
			mustSet(t, s, name(i), value("held", uint64(20+i%2)*ms))
		}
	}
	if err := c.HSet(ctx, s.opts.Prefix+"k7", "field", "value").Err(); err != nil {
		t.Fatal(err)
	}
	for round, flush := range []bool{true, false} {
		if flush {
			if err := c.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
		entries := make(map[string]store.Entry, n)
		for i := range n {
			entries[name(i)] = value(fmt.Sprint("v", round), 20*ms+uint64(round))
		}
		err := s.SetMany(ctx, entries)
		var be *store.BatchError
		if !errors.As(err, &be) || len(be.Errs) != 1 || !errors.Is(be.Errs["k7"], ErrWrongType) {
			t.Fatalf("SetMany: %v; want an error of the key of another type, and no other", err)
		}
		for i := range n {
			want := fmt.Sprint("v", round)
			if i%10 == 5 {
				want = "held"
			}
			if i == 7 {
				continue
			}
			if e := mustGet(t, s, name(i)); string(e.Value) != want {
				t.Errorf("round %d: %s holds %q; want %q", round, name(i), e.Value, want)
			}
		}
	}
	if typ := c.Type(ctx, s.opts.Prefix+"k7").Val(); typ != "hash" {
		t.Errorf("the key of another type is now a %s", typ)
	}
}
