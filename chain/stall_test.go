package chain

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/store"
)

// A process may stand still, and its clock's goroutine with it: stopped by a signal,
// without a processor, in a machine that is moved. Who reads first when it goes on is
// not served what has expired meanwhile, however late the clock's goroutine comes. Only
// a loop of reads that is stopped in its midst can be late, by some reads.
func TestExpiryAfterStall(t *testing.T) {
	for _, before := range []int{0, 1, 10_000} {
		t.Run(fmt.Sprint("reads=", before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := context.Background()
				c, err := New([]Tier{{Name: "memory", Store: &objects{m: map[string]any{}}}}, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				cache := NewCache[string](c, nil)
				if err := cache.Set(ctx, "k", "v", WriteOptions{TTL: time.Second}); err != nil {
					t.Fatal(err)
				}
				for range before {
					if _, err := cache.Get(ctx, "k"); err != nil {
						t.Fatal(err)
					}
				}
				c.now.Stop() // and time goes on
				time.Sleep(time.Minute)
				late := 0
				for ; late < 10_000; late++ {
					if _, err := cache.Get(ctx, "k"); errors.Is(err, store.ErrNotFound) {
						break
					}
				}
				allowed := 0
				if before >= exactHits {
					allowed = refreshEvery
				}
				if late > allowed {
					t.Errorf("%d reads were served what had expired a minute ago; want at most %d", late, allowed)
				}
				if err := c.Close(ctx); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
