package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// A write of a key that is leased takes the lease away before and after, in one round
// trip, whatever form the value has, and wakes who waits.
func TestSetLeased(t *testing.T) {
	for name, c := range map[string]struct {
		opts Options
		trip string
	}{
		"framed":  {Options{}, "del set del "},
		"plain":   {Options{Wire: allPlain{}}, "del set del "},
		"ordered": {Options{NewestWins: true}, "del evalsha del "},
	} {
		t.Run(name, func(t *testing.T) {
			client := redistest.Shared(t).Client(t)
			c.opts.Prefix = redistest.Prefix()
			s, err := New(client, &c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetLeased(ctx, "k", value("first", 3)); err != nil { // the server learns the script
				t.Fatal(err)
			}
			l := mustLease(t, s, "k", time.Hour)
			defer release(t, l)
			within, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			woken := make(chan error, 1)
			go func() { woken <- s.AwaitLease(within, "k") }()
			redistest.Eventually(t, 30*time.Second, "somebody waits", func() bool {
				s.waiters.mu.Lock()
				defer s.waiters.mu.Unlock()
				return s.waiters.n == 1
			})
			log := &commandLog{}
			client.AddHook(log)
			if err := s.SetLeased(ctx, "k", value("written", 5)); err != nil {
				t.Fatal(err)
			}
			if err := <-woken; err != nil {
				t.Errorf("who waited: %v", err)
			}
			if n := strings.Count(strings.Join(log.trips, "|"), "del"); n != 2 || !slices.Contains(log.trips, c.trip) {
				t.Errorf("round trips %q; want one of %q", log.trips, c.trip)
			}
			if stored, err := l.Fill(ctx, value("loaded", 9)); stored || err != nil {
				t.Errorf("Fill under the lease that a write broke: %v, %v", stored, err)
			}
			if e, err := s.Get(ctx, "k"); err != nil || string(e.Value) != "written" {
				t.Errorf("Get = %q, %v", e.Value, err)
			}
		})
	}
}

// What SetLeased cannot do in one round trip it does in several.
func TestSetLeasedOneByOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, err := New(server.Client(t), &Options{NewestWins: true, Prefix: "p:", MaxValue: 1000})
	if err != nil {
		t.Fatal(err)
	}
	l := mustLease(t, s, "k", time.Hour)
	defer release(t, l)
	if err := s.SetLeased(ctx, "k", value("written", 5)); err != nil { // no server knows the script yet
		t.Fatal(err)
	}
	if stored, err := l.Fill(ctx, value("loaded", 9)); stored || err != nil {
		t.Errorf("Fill under the lease that a write broke: %v, %v", stored, err)
	}
	if err := s.SetLeased(ctx, "k", value("older", 4)); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(ctx, "k"); err != nil || string(e.Value) != "written" {
		t.Errorf("after an older write: %q, %v", e.Value, err)
	}
	l = mustLease(t, s, "k", time.Hour)
	defer release(t, l)
	if err := s.SetLeased(ctx, "k", store.Entry{Value: []byte("x"), Expires: time.Now().Add(-time.Second)}); err != nil {
		t.Fatal(err)
	}
	if stored, err := l.Fill(ctx, value("loaded", 9)); stored || err != nil {
		t.Errorf("Fill after a write that had expired: %v, %v", stored, err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what has expired: %v", err)
	}
	if err := s.SetLeased(ctx, "", value("x", 1)); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("the empty key: %v", err)
	}
	if err := s.SetLeased(ctx, "k", store.Entry{Value: make([]byte, 1001)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a value that is too large: %v", err)
	}
	if err := server.Client(t).LPush(ctx, "p:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetLeased(ctx, "list", value("x", 1)); !errors.Is(err, ErrWrongType) {
		t.Errorf("a key of another type: %v", err)
	}
}

func TestBreakLeases(t *testing.T) { testBreakLeases(t, prefixed(t, Options{})) }

func testBreakLeases(t *testing.T, s *Store) {
	var keys []string
	var leases []store.Lease
	for i := range batchKeys + 10 {
		keys = append(keys, fmt.Sprint("k", i))
		if i%100 == 0 {
			leases = append(leases, mustLease(t, s, keys[i], time.Hour))
		}
	}
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	woken := make(chan error, 1)
	go func() { woken <- s.AwaitLease(within, keys[500]) }()
	err := s.BreakLeases(ctx, append(keys, ""))
	if kerr := store.KeyError(err, ""); !errors.Is(kerr, store.ErrInvalidKey) || store.KeyError(err, keys[0]) != nil {
		t.Errorf("BreakLeases with an empty key: %v", err)
	}
	if err := <-woken; err != nil {
		t.Errorf("who waited: %v", err)
	}
	for _, l := range leases {
		if stored, err := l.Fill(ctx, value("loaded", 9)); stored || err != nil {
			t.Errorf("Fill under a broken lease: %v, %v", stored, err)
		}
		release(t, l)
	}
	if err := s.BreakLeases(ctx, nil); err != nil {
		t.Error(err)
	}
	l := mustLease(t, s, "k", time.Hour)
	defer release(t, l)
	if err := s.SetLeased(ctx, "k", value("written", 5)); err != nil {
		t.Fatal(err)
	}
	if stored, err := l.Fill(ctx, value("loaded", 9)); stored || err != nil {
		t.Errorf("Fill under the lease that a write broke: %v, %v", stored, err)
	}
}
