package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// versionAt is the version of what another process does when its clock shows at.
func versionAt(at time.Time) uint64 { return uint64(at.UnixMilli()) * clock.Millisecond }

// A load begins two seconds before another process, whose clock is behind by skew,
// deletes the key. What is loaded is stored only where the clocks are further apart
// than that, and the news of the delete has not come.
func TestClocksApart(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, 0, time.Second, 3 * time.Second, time.Hour} {
		for _, heard := range []bool{false, true} {
			t.Run(fmt.Sprintf("skew=%v/heard=%v", skew, heard), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := meet(t, "--", true, true)
					time.Sleep(2 * time.Hour)
					_, err := m.cache.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (string, error) {
						time.Sleep(2 * time.Second)
						v := versionAt(time.Now().Add(-skew))
						noErr(t, m.redis.delete(ctx, map[string]uint64{"k": v}))
						if heard {
							noErr(t, m.other.Publish(ctx, []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: v}}))
							synctest.Wait()
						}
						return "old", nil
					})
					noErr(t, err)
					flush(t, m.cache.Chain())
					if _, ok := m.redis.Peek("k"); ok != (skew > 2*time.Second && !heard) {
						t.Errorf("the shared tier holds what was loaded before the delete: %v", ok)
					}
				})
			})
		}
	}
}

// Who has read another's value writes a newer one, as long as the other's clock is
// not more than clock.MaxAhead ahead. Beyond that his Set is the older one.
func TestVersionsOfTheFuture(t *testing.T) {
	for ahead, wins := range map[time.Duration]bool{time.Minute: true, clock.MaxAhead - time.Minute: true, clock.MaxAhead + time.Minute: false} {
		synctest.Test(t, func(t *testing.T) {
			m := meet(t, "--", true, false)
			m.redis.Plant("k", store.Entry{Value: []byte("theirs"), Version: versionAt(time.Now().Add(ahead)), Codec: "text"})
			v, err := m.cache.Get(t.Context(), "k")
			want(t, v, err, "theirs")
			noErr(t, m.cache.Set(t.Context(), "k", "ours"))
			flush(t, m.cache.Chain())
			if e, _ := m.redis.Peek("k"); (string(e.Value) == "ours") != wins {
				t.Errorf("ahead by %v: the shared tier holds %q", ahead, e.Value)
			}
			noErr(t, m.cache.Delete(t.Context(), "k"))
			_, err = m.cache.Get(t.Context(), "k")
			if gone := errors.Is(err, store.ErrNotFound); gone != wins {
				t.Errorf("ahead by %v: after a delete the key is absent: %v", ahead, gone)
			}
		})
	}
}
