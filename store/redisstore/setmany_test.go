package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// heldPipeline keeps the first pipeline of a client until it is let go.
type heldPipeline struct {
	first            atomic.Bool
	held, free, sent chan struct{}
}

func (h *heldPipeline) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *heldPipeline) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *heldPipeline) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		if !h.first.Swap(true) {
			close(h.held)
			<-h.free
			defer close(h.sent)
		}
		return next(context.Background(), cmds)
	}
}

// batchOf returns n framed entries whose values consist of fill.
func batchOf(n int, name string, fill byte) map[string]store.Entry {
	entries := make(map[string]store.Entry, n)
	for i := range n {
		entries[fmt.Sprint(name, i)] = store.Entry{
			Value: bytes.Repeat([]byte{fill}, 300), Version: 7, Expires: time.Now().Add(time.Hour).Truncate(time.Microsecond),
		}
	}
	return entries
}

func holds(t *testing.T, s *Store, want map[string]store.Entry) {
	t.Helper()
	for key, e := range want {
		if got := mustGet(t, s, key); !bytes.Equal(got.Value, e.Value) || !got.Expires.Equal(e.Expires) {
			t.Fatalf("%s holds %.10q..., until %v; want %.10q..., until %v", key, got.Value, got.Expires, e.Value, e.Expires)
		}
	}
}

// What a batch sends from belongs to the client for as long as it may send: a batch
// whose caller has left is written as it was, though others were written meanwhile.
func TestMemoryOfABatchWhoseCallerLeft(t *testing.T) {
	opts := redistest.Shared(t).Options()
	opts.ReadTimeout = time.Minute // so that the call is made beside the caller
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	h := &heldPipeline{held: make(chan struct{}), free: make(chan struct{}), sent: make(chan struct{})}
	s, err := New(client, &Options{Prefix: t.Name() + ":"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetMany(ctx, batchOf(100, "before", 'x')); err != nil { // leaves its memory to the next
		t.Fatal(err)
	}
	client.AddHook(h)
	left, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	first := batchOf(100, "first", 'a')
	go func() { result <- s.SetMany(left, first) }()
	<-h.held
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("SetMany of a caller who left: %v", err)
	}
	for i := range byte(5) {
		entries := batchOf(100, "second", 'b'+i)
		if err := s.SetMany(ctx, entries); err != nil {
			t.Fatal(err)
		}
		holds(t, s, entries)
	}
	close(h.free)
	<-h.sent
	holds(t, s, first)
}

// Batches of concurrent callers, and one after the other, of all sizes and both
// forms, arrive as they were given.
func TestMemoryOfBatchesIsNotMixed(t *testing.T) {
	s := prefixed(t, Options{Wire: someBare{}})
	done := make(chan map[string]store.Entry)
	for c := range byte(4) {
		go func() {
			entries := map[string]store.Entry{}
			defer func() { done <- entries }()
			for i := range 6 {
				for _, form := range []string{"framed", "plain"} {
					for key, e := range batchOf(1+i*70, fmt.Sprint(form, c, "-", i, "-"), 'a'+c) {
						entries[key] = e
					}
				}
				if err := s.SetMany(ctx, entries); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 4 {
		entries := <-done
		found, err := s.GetMany(ctx, keysOf(entries))
		if err != nil || len(found) != len(entries) {
			t.Fatalf("GetMany: %d of %d, %v", len(found), len(entries), err)
		}
		for key, e := range found {
			if !bytes.Equal(e.Value, entries[key].Value) {
				t.Fatalf("%s holds %.10q...; want %.10q...", key, e.Value, entries[key].Value)
			}
		}
	}
}

func keysOf(entries map[string]store.Entry) []string {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	return keys
}
