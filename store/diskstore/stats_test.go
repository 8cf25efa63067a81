package diskstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// TestStats follows the figures through writes, sealing, replacement, deletes,
// expiry and compaction.
func TestStats(t *testing.T) {
	s := open(t, vfs.Mem(), Options{CompactionRate: -1, Partitioner: histRule{}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, entries int64, extra map[string]float64) {
		t.Helper()
		st := s.Stats()
		if st.Entries != entries {
			t.Errorf("%s: %d entries, want %d", when, st.Entries, entries)
		}
		for name, v := range extra {
			if got, ok := st.Extra[name]; !ok || got != v {
				t.Errorf("%s: %s is %v, want %v", when, name, got, v)
			}
		}
	}
	value := make([]byte, 1000)
	for k := range 100 {
		mustSet(t, s, fmt.Sprint("k", k), store.Entry{Value: value})
	}
	must(s.Delete(ctx, "k0"))
	want("in memory", 99, map[string]float64{"segments": 0, "memory_entries": 99, "write_amplification": 1, "last_compaction": 0})
	must(s.Sync(ctx)) // the journal is written in the background
	if st := s.Stats(); st.Extra["journal_bytes"] < 100*1000 || st.Bytes < 100*1000 || st.Sets != 100 || st.Deletes != 1 {
		t.Errorf("in memory: %+v", st)
	}
	must(s.Flush(ctx))
	want("sealed", 99, map[string]float64{"segments": 1, "memory_entries": 0, "dead_bytes": 0, "expired_bytes": 0})
	for k := range 30 { // fewer than the compactor would notice
		mustSet(t, s, fmt.Sprint("k", k+1), store.Entry{Value: value})
	}
	must(s.Flush(ctx))
	want("replaced", 99, map[string]float64{"segments": 2})
	st := s.Stats()
	if dead := st.Extra["dead_bytes"]; dead < 30*1000 || dead > 30*1200 {
		t.Errorf("%v dead bytes of 30 rows of 1,000 bytes", dead)
	}
	if live := st.Extra["live_bytes"]; live < 99*1000 || live > 99*1300 {
		t.Errorf("%v live bytes of 99 rows of 1,000 bytes", live)
	}
	before := time.Now().Unix()
	must(s.Compact(ctx))
	want("compacted", 99, map[string]float64{"segments": 1, "dead_bytes": 0})
	st = s.Stats()
	if st.Extra["compactions"] < 1 { // the background may have had its own
		t.Error("no compaction is counted")
	}
	if last := int64(st.Extra["last_compaction"]); last < before || last > time.Now().Unix() {
		t.Errorf("last compaction at %d, now is %d", last, before)
	}
	if amp := st.Extra["write_amplification"]; amp < 1.4 || amp > 3 {
		t.Errorf("write amplification %v: 130 rows were sealed and 99 compacted", amp)
	}
	mustSet(t, s, "hist:A:1d", tableEntry("t"))
	must(s.Flush(ctx))
	want("with a table", 100, map[string]float64{"table_bytes": float64(len(tableEntry("t").Value))})
}

// TestBatchesReadInOrder: GetMany reads values in the order of the file.
func TestBatchesReadInOrder(t *testing.T) {
	s := open(t, vfs.Mem(), Options{CompactionRate: -1})
	for round := range 2 {
		for k := range 100 {
			mustSet(t, s, fmt.Sprintf("%d:%d", round, k), store.Entry{Value: make([]byte, 100+k)})
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mustSet(t, s, "memory", store.Entry{})
	keys := []string{"memory", "none"}
	for k := range 100 {
		keys = append(keys, fmt.Sprintf("%d:%d", k%2, k))
	}
	segs := s.hold()
	defer release(segs)
	places, be := s.places(ctx, segs, keys)
	if be != nil || len(places) != 101 || !slices.IsSortedFunc(places, func(a, b place) int {
		if a.f.seg == b.f.seg && a.f.seg != nil {
			return int(a.f.loc.Offset()) - int(b.f.loc.Offset())
		}
		return 0
	}) || places[0].key != "memory" {
		t.Errorf("%d places out of order, %v", len(places), be)
	}
	for i := 2; i < len(places); i++ {
		if places[i].f.seg != places[i-1].f.seg && places[i].f.seg == places[1].f.seg {
			t.Error("a file is read in two parts")
		}
	}
}
