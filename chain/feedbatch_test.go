package chain_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A process that writes all the time tells the others in batches, the first change
// at once, and does not keep who waits.
func TestFeedTellsInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := context.Background(), &wire{}
		a := startProcess(t, w, 1, newMap(), newMap())
		synctest.Wait()
		for range 10 {
			for i := range 100 {
				must(t, a.Set(ctx, fmt.Sprint("k", i), "v"))
				synctest.Wait()
			}
			time.Sleep(time.Millisecond)
		}
		if n := w.published(); n < 10 || n > 22 {
			t.Errorf("1000 writes within 10 ms were told in %d calls", n)
		}
		must(t, a.Set(ctx, "k", "v"))
		start := time.Now()
		must(t, a.Chain().Flush(ctx))
		if f := a.Chain().Stats().Feed; f.Pending != 0 || f.Published != 1001 {
			t.Errorf("after Flush: %+v", f)
		}
		if d := time.Since(start); d > 5*time.Millisecond { // drain's own poll
			t.Errorf("Flush waited %v", d)
		}
	})
}
