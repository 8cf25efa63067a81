package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

func proxied(t testing.TB, opts Options) (*Store, *redistest.Proxy) {
	t.Helper()
	proxy := redistest.NewProxy(t, redistest.Shared(t).Addr)
	opts.Prefix, opts.CloseClient = redistest.Prefix(), true
	s, err := Connect(&Config{Addrs: []string{proxy.Addr}, ReadTimeout: 200 * time.Millisecond}, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, proxy
}

func TestLatencyBeyondTheDeadline(t *testing.T) {
	s, proxy := proxied(t, Options{})
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	remove := proxy.Toxic(t, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 5000}}`)
	for name, call := range calls(s) {
		late, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if err := call(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		cancel()
	}
	remove()
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("w")}); err != nil {
		t.Errorf("Set when the network is back: %v", err)
	}
}

// A reply that ends anywhere in its middle is an error: never a miss, never a
// part of the value, never the answer to another question.
func TestReplyCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, wire := range []store.Wirer{nil, allPlain{}} {
		s, proxy := proxied(t, Options{Wire: wire})
		value := bytes.Repeat([]byte("0123456789"), 30)
		mustSet(t, s, "k", store.Entry{Value: value, Version: 1})
		mustSet(t, s, "l", store.Entry{Value: []byte("other"), Version: 1})
		answered := 0
		for limit := 1; limit < 1200; limit += 67 {
			remove := proxy.Toxic(t, fmt.Sprintf(`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": %d}}`, limit))
			e, err := s.Get(ctx, "k")
			switch {
			case err == nil && bytes.Equal(e.Value, value):
				answered++
			case err == nil || errors.Is(err, store.ErrNotFound):
				t.Fatalf("cut after %d bytes: value %q, error %v", limit, e.Value, err)
			}
			many, err := s.GetMany(ctx, []string{"k", "l", "absent"})
			for key, want := range map[string][]byte{"k": value, "l": []byte("other")} {
				got, ok := many[key]
				if ok && !bytes.Equal(got.Value, want) || !ok && store.KeyError(err, key) == nil {
					t.Fatalf("cut after %d bytes: %s = %q, error %v", limit, key, got.Value, store.KeyError(err, key))
				}
			}
			remove()
		}
		t.Logf("%d reads were answered in spite of the cut", answered)
	}
}

func TestFragmentedReplies(t *testing.T) {
	s, proxy := proxied(t, Options{})
	proxy.Toxic(t, `{"type": "slicer", "stream": "downstream", "attributes": {"average_size": 7, "size_variation": 5}}`)
	entries, keys := map[string]store.Entry{}, []string{}
	for i := range 50 {
		key := fmt.Sprint("k", i)
		keys = append(keys, key)
		entries[key] = store.Entry{Value: bytes.Repeat([]byte(key), i), Version: uint64(i)}
	}
	if err := s.SetMany(ctx, entries); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetMany(ctx, keys)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for key, e := range entries {
		if !bytes.Equal(got[key].Value, e.Value) || got[key].Version != e.Version {
			t.Errorf("%s = %q", key, got[key].Value)
		}
	}
}

func TestPartitionAndRecovery(t *testing.T) {
	s, proxy := proxied(t, Options{})
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	proxy.Cut()
	for name, call := range calls(s) {
		isTyped(t, name, call(ctx))
	}
	proxy.Mend(t)
	redistest.Eventually(t, 20*time.Second, "reads work again", func() bool {
		e, err := s.Get(ctx, "k")
		return err == nil && string(e.Value) == "v"
	})
}
