package chain_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// turnstile lets batches in one by one and says which are inside.
type turnstile struct {
	*mapStore
	mu     sync.Mutex
	inside [][]string
	gates  []chan error
	most   int
}

func (s *turnstile) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	keys, gate := slices.Sorted(maps.Keys(entries)), make(chan error)
	if strings.HasPrefix(keys[0], "__strata:") { // the chain's own, of a Clear
		return store.SetMany(ctx, s.mapStore, entries)
	}
	s.mu.Lock()
	s.inside, s.gates = append(s.inside, keys), append(s.gates, gate)
	s.most = max(s.most, len(s.gates))
	s.mu.Unlock()
	if err := <-gate; err != nil {
		return err
	}
	return store.SetMany(ctx, s.mapStore, entries)
}

// batches returns the keys of the batches that are inside.
func (s *turnstile) batches() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.inside)
}

// count returns how many batches are inside.
func (s *turnstile) count() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.gates)
}

// peak returns how many were inside at once since it was called last.
func (s *turnstile) peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.most = 0
	return most
}

// out lets the i-th batch inside end.
func (s *turnstile) out(i int, err error) {
	s.mu.Lock()
	gate := s.gates[i]
	s.inside, s.gates = slices.Delete(s.inside, i, i+1), slices.Delete(s.gates, i, i+1)
	s.mu.Unlock()
	gate <- err
	synctest.Wait()
}

func turned(t *testing.T) (*chain.Chain, *chain.Cache[string], *turnstile) {
	s := &turnstile{mapStore: newMap()}
	c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(0)}, {Name: "remote", Store: s, WriteBack: true}}, "",
		&chain.Options{TierTimeout: time.Hour, Pending: chain.PendingOptions{Batch: 2, Interval: time.Second}})
	return c, chain.NewCache[string](c, nil), s
}

func setAll(t *testing.T, cache *chain.Cache[string], v, keys string) {
	t.Helper()
	for _, key := range strings.Fields(keys) {
		noErr(t, cache.Set(t.Context(), key, v))
	}
}

// While a full batch is on its way a second one is sent, of other keys; never a
// third. A key that is written anew meanwhile waits for the end of its own batch.
func TestTwoBatchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, s := turned(t)
		setAll(t, cache, "1", "a b c d e f g")
		if got := s.batches(); got != "[[a b] [c d]]" {
			t.Errorf("on their way: %s", got)
		}
		setAll(t, cache, "2", "a b c d")
		time.Sleep(time.Minute)
		if got := s.batches(); got != "[[a b] [c d]]" {
			t.Errorf("a key that is on its way was sent again: %s", got)
		}
		s.out(1, nil) // the later one first
		if got := s.batches(); got != "[[a b] [e f]]" {
			t.Errorf("after the second ended: %s", got)
		}
		for s.batches() != "[]" {
			s.out(0, nil)
			time.Sleep(2 * time.Second)
		}
		for _, key := range strings.Fields("a b c d") {
			if got := in(s.mapStore, key); got != "2" {
				t.Errorf("%s: the tier has %q, not the last write", key, got)
			}
		}
		if p, most := pending(c), s.peak(); p.Entries != 0 || p.Flushed != 11 || most != 2 {
			t.Errorf("%+v, up to %d batches at once", p, most)
		}
	})
}

// A tier that fails gets one batch at a time until it has taken one.
func TestOneBatchForATierThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cache, s := turned(t)
		setAll(t, cache, "1", "a b c d e f")
		s.batches()
		s.out(0, errBoom)
		s.out(0, errBoom)
		s.peak()
		for range 3 {
			time.Sleep(30 * time.Second)
			if s.count() > 0 {
				s.out(0, errBoom)
			}
		}
		if most := s.peak(); most != 1 {
			t.Errorf("%d batches at once for a tier that fails", most)
		}
		for time.Sleep(30 * time.Second); s.batches() != "[]"; time.Sleep(30 * time.Second) {
			s.out(0, nil)
		}
		for _, key := range strings.Fields("a b c d e f") {
			if got := in(s.mapStore, key); got != "1" {
				t.Errorf("%s: the tier has %q", key, got)
			}
		}
	})
}

// A Clear waits for both batches, and nothing of them is left.
func TestClearWaitsForTwoBatches(t *testing.T) {
	for _, last := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			c, cache, s := turned(t)
			setAll(t, cache, "1", "a b c d e")
			s.batches()
			done := make(chan error, 1)
			go func() { done <- c.Clear(t.Context()) }()
			s.out(1-last, nil)
			if n := s.count(); n != 1 || len(done) != 0 {
				t.Errorf("%d inside; Clear ended: %v", n, len(done) == 1)
			}
			s.out(0, nil)
			noErr(t, <-done)
			time.Sleep(time.Minute)
			for _, key := range strings.Fields("a b c d e") {
				if got := in(s.mapStore, key); got != "" {
					t.Errorf("after Clear the tier holds %q of %s", got, key)
				}
			}
			if pending(c).Entries != 0 || s.count() != 0 {
				t.Errorf("after Clear %+v waits", pending(c))
			}
		})
	}
}

// A Clear that has to end before the batches do leaves the queue sound: what was on
// its way does not come to life again, nor does it block what comes later.
func TestClearGivesUpDuringAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, s := turned(t)
		setAll(t, cache, "1", "a b c d e")
		s.batches()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Clear(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Clear beside a stuck tier: %v", err)
		}
		s.out(0, nil)
		s.out(0, errBoom)
		time.Sleep(time.Minute)
		if p := pending(c); p.Entries != 0 {
			t.Errorf("%+v is left of what was cleared", p)
		}
		setAll(t, cache, "2", "a b")
		s.batches()
		s.out(0, nil)
		v, err := cache.Get(t.Context(), "a")
		want(t, v, err, "2")
	})
}

// Flush and Close wait for both batches, and count those of both that are left.
func TestDrainOfTwoBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, s := turned(t)
		setAll(t, cache, "1", "a b c d")
		s.batches()
		flushed := make(chan error, 1)
		go func() { flushed <- c.Flush(t.Context()) }()
		s.out(1, nil)
		if len(flushed) != 0 {
			t.Error("Flush did not wait for the first batch")
		}
		s.out(0, nil)
		noErr(t, <-flushed)
		setAll(t, cache, "1", "a b c d")
		s.batches()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		closed := make(chan error, 1)
		go func() { closed <- c.Close(ctx) }()
		time.Sleep(2 * time.Second)
		s.out(0, errBoom)
		s.out(0, errBoom)
		pe := (*chain.PendingError)(nil)
		if err := <-closed; !errors.As(err, &pe) || pe.Left != 4 {
			t.Errorf("Close with two batches under way: %v", err)
		}
	})
}

// A sink gets one batch at a time.
func TestSinkGetsOneBatchAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowSink{}
		c, cache, _ := sunk(t, s, true, &chain.Options{Pending: chain.PendingOptions{Batch: 2}})
		setAll(t, cache, "1", "a b c d e f g h")
		flush(t, c)
		if s.most != 1 || s.writes != 8 {
			t.Errorf("%d writes, up to %d batches at once", s.writes, s.most)
		}
	})
}

type slowSink struct {
	mu                   sync.Mutex
	inside, most, writes int
}

func (s *slowSink) WriteMany(_ context.Context, writes []chain.Write) error {
	s.mu.Lock()
	s.inside++
	s.most = max(s.most, s.inside)
	s.writes += len(writes)
	s.mu.Unlock()
	time.Sleep(time.Second)
	s.mu.Lock()
	s.inside--
	s.mu.Unlock()
	return nil
}

// Many writers, two batches at once, and a tier that fails now and then: the tier
// ends with the last write of each key.
func TestLastWritesOfTwoLanes(t *testing.T) {
	c, cache, f, m := backed(t, &chain.Options{Pending: chain.PendingOptions{
		Batch: 5, Interval: time.Microsecond, RetryMin: time.Microsecond, RetryMax: time.Millisecond,
	}, Breaker: chain.BreakerOptions{Disabled: true}})
	f.Inject(faultstore.Fault{Op: faultstore.OpSetMany, Delay: 200 * time.Microsecond})
	const writers, rounds = 4, 300
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				for k := range 8 {
					key := fmt.Sprint("k", w, "-", k)
					if err := cache.Set(t.Context(), key, fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				}
				if i%100 == 50 {
					f.Inject(faultstore.Fault{Op: faultstore.OpSetMany, Err: errBoom, Times: 3, AfterOp: i%200 == 50})
				}
			}
		})
	}
	wg.Wait()
	flush(t, c)
	for w := range writers {
		for k := range 8 {
			if got := in(m, fmt.Sprint("k", w, "-", k)); got != fmt.Sprint(rounds-1) {
				t.Errorf("k%d-%d: the tier has %q, not the last write", w, k, got)
			}
		}
	}
}

// What is written while only the second of two batches is on its way is sent when
// that has ended, though nothing else is written.
func TestWrittenDuringTheSecondBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cache, s := turned(t)
		setAll(t, cache, "1", "a b c d")
		s.batches()
		s.out(0, nil)
		setAll(t, cache, "2", "c d")
		s.out(0, nil)
		time.Sleep(time.Minute)
		if got := s.batches(); got != "[[c d]]" {
			t.Fatalf("on their way: %s, want what was written meanwhile", got)
		}
		s.out(0, nil)
	})
}
