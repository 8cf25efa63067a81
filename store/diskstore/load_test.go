package diskstore

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// entriesOf yields the keys with one value, and calls between after the first.
func entriesOf(value string, between func(), keys ...string) iter.Seq2[string, store.Entry] {
	return func(yield func(string, store.Entry) bool) {
		for i, key := range keys {
			if !yield(key, store.Entry{Value: []byte(value)}) {
				return
			}
			if i == 0 && between != nil {
				between()
			}
		}
	}
}

func mustLoad(t testing.TB, s *Store, entries iter.Seq2[string, store.Entry]) {
	t.Helper()
	if err := s.Load(ctx, entries); err != nil {
		t.Fatal(err)
	}
}

// TestLoadsAfterReopening: the sequences of loads are not used again, or a later
// load would be taken for an older one, also where the manifest is lost.
func TestLoadsAfterReopening(t *testing.T) {
	fsys := vfs.Mem()
	s := open(t, fsys, Options{CompactionRate: -1})
	for i := range 8 {
		want := fmt.Sprint(i)
		mustLoad(t, s, entriesOf(want, nil, "k", "other"))
		wantValue(t, s, "k", []byte(want))
		if i%3 == 2 {
			continue
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if err := fsys.Remove(manifestName); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, fsys, Options{CompactionRate: -1})
		wantValue(t, s, "k", []byte(want))
	}
}

// TestWritesDuringLoad: a Load is older than what is written while it runs,
// whatever is sealed and compacted meanwhile.
func TestWritesDuringLoad(t *testing.T) {
	for _, compact := range []bool{false, true} {
		t.Run(fmt.Sprint("compact=", compact), func(t *testing.T) {
			fsys := vfs.Mem()
			s := open(t, fsys, Options{CompactionRate: -1})
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range []string{"before", "both"} {
				mustSet(t, s, k, store.Entry{Value: []byte("old")})
				must(s.Flush(ctx))
			}
			mustLoad(t, s, entriesOf("loaded", func() {
				for _, k := range []string{"both", "new"} {
					mustSet(t, s, k, store.Entry{Value: []byte("written")})
				}
				must(s.Delete(ctx, "deleted"))
				must(s.Flush(ctx))
				must(s.Delete(ctx, "deleted too"))
				if compact {
					must(s.Compact(ctx))
					must(s.maintain(ctx))
				}
			}, "before", "both", "new", "deleted", "deleted too"))
			check := func() {
				t.Helper()
				wantValue(t, s, "before", []byte("loaded"))
				wantValue(t, s, "both", []byte("written"))
				wantValue(t, s, "new", []byte("written"))
				wantValue(t, s, "deleted", nil)
				wantValue(t, s, "deleted too", nil)
			}
			check()
			must(s.Close())
			s = open(t, fsys, Options{CompactionRate: -1})
			check()
			must(s.Compact(ctx))
			check()
			if st := s.Stats(); st.Entries != 3 || st.Extra["segments"] != 1 {
				t.Errorf("%d entries in %v segments", st.Entries, st.Extra["segments"])
			}
		})
	}
}

// TestClearDuringLoad: what is loaded is older than the Clear.
func TestClearDuringLoad(t *testing.T) {
	fsys := vfs.Mem()
	s := open(t, fsys, Options{CompactionRate: -1})
	mustLoad(t, s, entriesOf("loaded", func() {
		if err := s.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		mustSet(t, s, "after", store.Entry{Value: []byte("1")})
	}, "a", "b"))
	for _, k := range []string{"a", "b"} {
		wantValue(t, s, k, nil)
	}
	wantValue(t, s, "after", []byte("1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fsys, Options{})
	wantValue(t, s, "a", nil)
	wantValue(t, s, "after", []byte("1"))
}
