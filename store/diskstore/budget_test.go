package diskstore

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// TestCompactionBudget: compaction takes the time that CompactionRate gives it for
// what it writes, and neither reads nor writes wait for it meanwhile. The clock is
// the bubble's, in which computing takes no time.
func TestCompactionBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, keys, dead, size = 100_000, 300, 180, 3000
		s := open(t, vfs.Mem(), Options{CompactionRate: rate})
		fill := func(n int) {
			for k := range n {
				mustSet(t, s, fmt.Sprint("k", k), store.Entry{Value: bytes.Repeat([]byte{'v'}, size)})
			}
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		fill(keys)
		fill(dead) // which is more than compaction lets the first segment have
		start := time.Now()
		time.Sleep(time.Second)
		for k := range keys {
			mustSet(t, s, fmt.Sprint("new", k), store.Entry{Value: []byte("v")})
			if e, err := s.Get(ctx, fmt.Sprint("k", k)); err != nil || len(e.Value) != size {
				t.Fatalf("k%d: %d bytes, %v", k, len(e.Value), err)
			}
		}
		if d := time.Since(start); d != time.Second || s.n.compactions.Load() != 0 {
			t.Errorf("reads and writes ended %v after compaction began, with %d ended; want a second, and none", d, s.n.compactions.Load())
		}
		for s.n.compactions.Load() == 0 && time.Since(start) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		live := (keys - dead) * size
		want := time.Duration(float64(live) / rate * float64(time.Second))
		if took := time.Since(start); took < want || took > want*6/5 {
			t.Errorf("%d live bytes at %d a second were compacted in %v, want %v and little more", live, rate, took, want)
		}
	})
}
