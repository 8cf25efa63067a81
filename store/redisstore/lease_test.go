package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

func mustLease(t testing.TB, s *Store, key string, ttl time.Duration) store.Lease {
	t.Helper()
	l, err := s.Lease(context.Background(), key, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t testing.TB, l store.Lease) {
	t.Helper()
	if err := l.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

func value(v string, version uint64) store.Entry {
	return store.Entry{Value: []byte(v), Version: version, Expires: time.Now().Add(time.Hour)}
}

func TestLeaseIsExclusive(t *testing.T) {
	s, ctx := prefixed(t, Options{}), context.Background()
	l := mustLease(t, s, "k", time.Minute)
	if _, err := s.Lease(ctx, "k", time.Minute); !errors.Is(err, store.ErrLeased) {
		t.Errorf("a second lease: %v; want ErrLeased", err)
	}
	other := mustLease(t, s, "other", time.Minute)
	release(t, other)
	release(t, l)
	release(t, mustLease(t, s, "k", time.Minute))
}

// A lease outlives its time to live while its holder lives.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	l := mustLease(t, s, "k", 3*time.Second)
	defer release(t, l)
	last, renewals := time.Duration(-1), 0
	redistest.Eventually(t, time.Minute, "the lease has been renewed four times, each after a third of its TTL", func() bool {
		left := s.client.PTTL(context.Background(), l.(*lease).name).Val()
		if left < 0 {
			t.Fatal("the lease is gone")
		}
		if last >= 0 && left > last {
			renewals++
		}
		last = left
		return renewals >= 4
	})
	if _, err := s.Lease(context.Background(), "k", time.Minute); !errors.Is(err, store.ErrLeased) {
		t.Errorf("after more than its TTL the lease was free: %v", err)
	}
}

// What was loaded under a lease is stored only while it is held, in both forms.
func TestLeaseFences(t *testing.T) {
	for name, opts := range map[string]Options{"framed": {}, "plain": {Wire: allPlain{}}} {
		t.Run(name, func(t *testing.T) {
			s, ctx := prefixed(t, opts), context.Background()
			l := mustLease(t, s, "k", time.Minute)
			if stored, err := l.Fill(ctx, value("loaded", 5)); !stored || err != nil {
				t.Errorf("Fill under the lease: %v, %v", stored, err)
			}
			release(t, l)
			if stored, err := l.Fill(ctx, value("late", 9)); stored || err != nil {
				t.Errorf("Fill after the release: %v, %v; want it refused", stored, err)
			}
			if err := s.Delete(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			broken := mustLease(t, s, "k", time.Minute)
			if err := s.BreakLease(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			if stored, err := broken.Fill(ctx, value("old", 9)); stored || err != nil {
				t.Errorf("Fill under a broken lease: %v, %v; want it refused", stored, err)
			}
			successor := mustLease(t, s, "k", time.Minute)
			release(t, broken) // must not end the successor's
			if _, err := s.Lease(ctx, "k", time.Minute); !errors.Is(err, store.ErrLeased) {
				t.Errorf("the release of a lost lease ended its successor's: %v", err)
			}
			release(t, successor)
			if e, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get = %q, %v; want nothing", e.Value, err)
			}
		})
	}
}

// A leased fill does not replace a newer version.
func TestLeaseFillComparesVersions(t *testing.T) {
	s, ctx := prefixed(t, Options{}), context.Background()
	l := mustLease(t, s, "k", time.Minute)
	defer release(t, l)
	if err := s.Set(ctx, "k", value("newer", 9)); err != nil {
		t.Fatal(err)
	}
	if stored, err := l.Fill(ctx, value("older", 5)); stored || err != nil {
		t.Errorf("Fill of an older version: %v, %v; want it refused", stored, err)
	}
}

// Waiters are woken by the release, by a break, and by the end of a dead holder's
// time to live; each within the time that the test allows, far below the TTL for
// the first two.
func TestAwaitLease(t *testing.T) {
	for name, end := range map[string]func(s *Store, l *lease) error{
		"released": func(_ *Store, l *lease) error { return l.Release(context.Background()) },
		"broken": func(s *Store, l *lease) error {
			err := s.BreakLease(context.Background(), "k")
			return errors.Join(err, l.Release(context.Background()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := prefixed(t, Options{})
			l := mustLease(t, s, "k", time.Hour)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			woken := make(chan error, 8)
			for range cap(woken) {
				go func() { woken <- s.AwaitLease(ctx, "k") }()
			}
			time.Sleep(20 * time.Millisecond) // most are waiting by now; the others find it gone
			if err := end(s, l.(*lease)); err != nil {
				t.Fatal(err)
			}
			for range cap(woken) {
				if err := <-woken; err != nil {
					t.Errorf("AwaitLease: %v", err)
				}
			}
		})
	}
	t.Run("dead holder", func(t *testing.T) {
		s, ctx := prefixed(t, Options{}), context.Background()
		if err := s.client.Set(ctx, leasePrefix+"{"+s.opts.Prefix+"k}", "of a dead process", 200*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.AwaitLease(ctx, "k"); err != nil {
			t.Errorf("AwaitLease: %v", err)
		}
		release(t, mustLease(t, s, "k", time.Minute))
	})
	t.Run("context", func(t *testing.T) {
		s := prefixed(t, Options{})
		defer release(t, mustLease(t, s, "k", time.Hour))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		if err := s.AwaitLease(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("AwaitLease past its context: %v", err)
		}
	})
}

func TestLeaseNames(t *testing.T) {
	cluster := &Store{}
	for name, want := range map[string]string{
		"p:k":     "__strata:lease:{p:k}",
		"{t}k":    "__strata:lease:{t}:{t}k",
		"a{t}k{u": "__strata:lease:{t}:a{t}k{u",
		"a{}k":    "", // an empty tag is none, and the whole holds a brace
		"a}b":     "",
	} {
		got, ok := cluster.leaseName(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("leaseName(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}
