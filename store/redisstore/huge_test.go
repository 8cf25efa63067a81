package redisstore

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// The server takes less than the store's MaxValue: it answers a larger value with an
// error and hangs up, on a connection that callers share. The value fails, again and
// again and for each operation; those beside it, with values of the usual size, get
// their own answer or an error, and nothing is left broken.
func TestServerRefusesHugeValues(t *testing.T) {
	srv := redistest.Start(t, "--proto-max-bulk-len", "1mb")
	s := single(t, srv.Addr, Options{})
	huge := store.Entry{Value: bytes.Repeat([]byte("x"), 3<<20)}
	mustSet(t, s, "huge", store.Entry{Value: []byte("before")})
	var wg sync.WaitGroup
	for w := range 4 {
		mine := fmt.Sprint("small", w)
		mustSet(t, s, mine, store.Entry{Value: []byte(mine)})
		wg.Go(func() {
			for range 100 {
				e, err := s.Get(ctx, mine)
				if err == nil && string(e.Value) != mine || errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: %q, %v", mine, e.Value, err)
				}
			}
		})
	}
	for range 5 {
		isTyped(t, "Set", s.Set(ctx, "huge", huge))
		_, err := s.Fill(ctx, "new", huge)
		isTyped(t, "Fill", err)
		isTyped(t, "SetMany", store.KeyError(s.SetMany(ctx, map[string]store.Entry{"huge": huge}), "huge"))
	}
	wg.Wait()
	if e := mustGet(t, s, "huge"); string(e.Value) != "before" {
		t.Errorf("%d bytes of what was refused", len(e.Value))
	}
	if e, err := s.Get(ctx, "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %d bytes, %v", len(e.Value), err)
	}
	for w := range 4 {
		if mine := fmt.Sprint("small", w); string(mustGet(t, s, mine).Value) != mine {
			t.Errorf("%s is lost", mine)
		}
	}
}
