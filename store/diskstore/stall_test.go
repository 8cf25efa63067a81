package diskstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// stall is a disk that stops to answer while it is shut.
type stall struct {
	mu   sync.RWMutex
	open chan struct{} // closed: the disk answers
}

func (s *stall) inject(vfs.Call) error {
	s.mu.RLock()
	open := s.open
	s.mu.RUnlock()
	<-open
	return nil
}

func (s *stall) shut() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = make(chan struct{})
	return sync.OnceFunc(func() { close(s.open) })
}

// TestStalledDiskHoldsNobody is a chain over a disk on which no call returns any more:
// reads, writes and syncs. Each caller has his answer while it stands still, by the
// tier's timeout or his own; what another tier has is served and taken; and the breaker
// keeps later calls away. When the disk goes on, it gets what it is owed.
func TestStalledDiskHoldsNobody(t *testing.T) {
	fsys := &stall{}
	fsys.shut()() // it answers
	s := open(t, vfs.Faulty(vfs.Mem(), fsys.inject), Options{Sync: SyncAlways, SegmentSize: 16 << 10})
	near := mapstore.New()
	c, err := chain.New([]chain.Tier{{Name: "near", Store: near}, {Name: "disk", Store: s, Timeout: 200 * time.Millisecond}}, nil,
		&chain.Options{Breaker: chain.BreakerOptions{Delay: 100 * time.Millisecond}, Pending: chain.PendingOptions{RetryMax: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	cache := chain.NewCache[string](c, nil)
	const n = 200
	for i := range n {
		if err := cache.Set(ctx, fmt.Sprint("k", i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 { // which only the disk has
		mustSet(t, s, fmt.Sprint("far", i), store.Entry{Value: []byte("v"), Codec: "text", Version: 1})
	}
	release := fsys.shut()
	defer release()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		whileStalled(t, c, cache, n)
	}()
	select {
	case <-answered:
	case <-time.After(time.Minute):
		release()
		t.Fatal("the disk stands still, and so does a caller")
	}
	release()
	for deadline := time.Now().Add(time.Minute); c.Flush(ctx) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the disk does not get what it is owed")
		}
	}
	for i := range n {
		wantValue(t, s, fmt.Sprint("k", i), fmt.Append(nil, "new", i))
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// whileStalled works with a chain whose disk does not answer.
func whileStalled(t *testing.T, c *chain.Chain, cache *chain.Cache[string], n int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 8 { // callers with a deadline of their own
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			v, err := cache.Get(ctx, fmt.Sprint("far", i)) // a value at hand needs no call
			if err == nil && v != "v" || errors.Is(err, store.ErrNotFound) {
				t.Errorf("what only the disk has: %q, %v; want the value or an error", v, err)
			}
		})
	}
	for i := range n {
		key := fmt.Sprint("k", i)
		if v, err := cache.Get(ctx, key); err != nil || v != fmt.Sprint(i) {
			t.Errorf("the nearer tier's %s: %q, %v", key, v, err)
		}
		if err := cache.Set(ctx, key, fmt.Sprint("new", i)); err != nil {
			t.Errorf("Set: %v", err)
		}
		if v, err := cache.Get(ctx, key); err != nil || v != fmt.Sprint("new", i) {
			t.Errorf("after a Set: %q, %v", v, err)
		}
	}
	if disk := c.Stats().Tiers[1]; disk.Errors < 5 || disk.Skipped == 0 || disk.Pending.Entries == 0 {
		t.Errorf("%+v; want errors, calls that were spared, and writes that are owed", disk)
	}
}
