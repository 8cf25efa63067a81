package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// leasing is a chain of memory and Redis, as another process would have it, that
// loads under a lease and gives a loader up after 300 ms.
func leasing(t *testing.T, addr, prefix string, lease time.Duration) *chain.Cache[string] {
	t.Helper()
	r := shared(t, addr, prefix)
	feed, err := r.Feed(&redisstore.FeedOptions{Block: 100 * time.Millisecond, Probe: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.New(policy.Rule{
		Keys: policy.MustPattern("leased:{id}"), TTL: time.Hour, Lease: lease, HardTimeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory(t)}, {Name: "redis", Store: r, Shared: true}},
		rules, &chain.Options{Feed: feed, TierTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	redistest.Eventually(t, 20*time.Second, "the feed is followed", func() bool { return c.Stats().Feed.Following })
	return chain.NewCache[string](c, nil)
}

// late is a loader that takes no notice of its context, and what it returns in the
// end. It is left behind as soon as its call has failed.
type late struct {
	running, release, back chan struct{}
}

func leaveBehind(t *testing.T, cache *chain.Cache[string], key string) *late {
	t.Helper()
	l := &late{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	_, err := cache.GetOrLoad(context.Background(), key, func(context.Context, string) (string, error) {
		close(l.running)
		<-l.release
		defer close(l.back)
		return "late", nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a loader that does not return: %v; want the rule's hard timeout", err)
	}
	<-l.running // it was called, and was not refused beforehand
	return l
}

// comeBack lets the loader return, and waits until its chain has nothing to do
// any more.
func (l *late) comeBack(t *testing.T, c *chain.Chain) {
	t.Helper()
	close(l.release)
	<-l.back
	time.Sleep(100 * time.Millisecond) // nobody tells what becomes of it: were it written, then by now
	if err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A loader that ignores its context is left behind while its process holds the
// lease. The lease is given back, though it would last for an hour: another process
// loads at once. What the loader returns in the end replaces nothing, in Redis or in
// its own process: not what the other loaded, wrote or deleted.
func TestLeaseOfALoaderThatIgnoresItsContext(t *testing.T) {
	const key = "leased:k"
	loaded := func(context.Context, string) (string, error) { return "newer", nil }
	for name, then := range map[string]func(ctx context.Context, c *chain.Cache[string]) error{
		"another loads": func(ctx context.Context, c *chain.Cache[string]) error {
			_, err := c.GetOrLoad(ctx, key, loaded)
			return err
		},
		"another writes":  func(ctx context.Context, c *chain.Cache[string]) error { return c.Set(ctx, key, "newer") },
		"another deletes": func(ctx context.Context, c *chain.Cache[string]) error { return c.Delete(ctx, key) },
	} {
		t.Run(name, func(t *testing.T) {
			srv, prefix := redistest.Shared(t), redistest.Prefix()
			a, b := leasing(t, srv.Addr, prefix, time.Hour), leasing(t, srv.Addr, prefix, time.Hour)
			l := leaveBehind(t, a, key)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := a.Chain().Flush(ctx); err != nil { // the lease is given back behind the caller's back
				t.Fatal(err)
			}
			if n := srv.Do(t, "EXISTS", "__strata:lease:{"+prefix+key+"}"); n != int64(0) {
				t.Error("the lease is held although nobody waits for its load")
			}
			if err := then(ctx, b); err != nil {
				t.Fatalf("the other process: %v", err)
			}
			want := "newer"
			if name == "another deletes" {
				want = ""
			}
			l.comeBack(t, a.Chain())
			raw := shared(t, srv.Addr, prefix)
			defer func() { _ = raw.Close() }()
			if e, err := raw.Get(ctx, key); string(e.Value) != want || err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Redis holds %q, %v; want %q", e.Value, err, want)
			}
			for i, cache := range []*chain.Cache[string]{a, b} {
				if v, err := cache.Get(ctx, key); v != want || err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("process %d reads %q, %v; want %q", i, v, err, want)
				}
			}
		})
	}
}

// The same where Redis cannot be told that the lease has ended: it is not renewed any
// longer, and runs out.
func TestLeaseThatCannotBeGivenBackRunsOut(t *testing.T) {
	const key, ttl = "leased:k", 2 * time.Second
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	proxy := redistest.NewProxy(t, srv.Addr)
	a, b := leasing(t, proxy.Addr, prefix, ttl), leasing(t, srv.Addr, prefix, ttl)
	release, running := make(chan struct{}), make(chan struct{})
	failed := make(chan error)
	go func() {
		_, err := a.GetOrLoad(context.Background(), key, func(context.Context, string) (string, error) {
			close(running)
			<-release
			return "late", nil
		})
		failed <- err
	}()
	<-running
	proxy.Cut() // before the loader is left behind, or the lease is gone: then this tests less
	if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want the rule's hard timeout", err)
	}
	redistest.Eventually(t, 30*time.Second, "the other process may load", func() bool {
		v, err := b.GetOrLoad(context.Background(), key, func(context.Context, string) (string, error) { return "newer", nil })
		return err == nil && v == "newer" // until then it waits, and gives up by its own hard timeout
	})
	close(release)
	proxy.Mend(t)
	redistest.Eventually(t, 30*time.Second, "Redis takes what it is owed", func() bool { return a.Chain().Flush(context.Background()) == nil })
	redistest.Eventually(t, 30*time.Second, "the first process reads what the other has loaded", func() bool {
		v, err := a.Get(context.Background(), key)
		if v == "late" {
			t.Fatal("the late value is served")
		}
		return err == nil && v == "newer"
	})
	if v, err := b.Get(context.Background(), key); v != "newer" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
