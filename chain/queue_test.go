package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// pending returns the queue's state of the chain's last tier.
func pending(c *chain.Chain) chain.PendingStats {
	tiers := c.Stats().Tiers
	return tiers[len(tiers)-1].Pending
}

// in returns the value that a tier holds, "" without one.
func in(s *mapStore, key string) string {
	e, _ := s.Peek(key)
	return string(e.Value)
}

// backed is a write-back chain of memory that keeps nothing, so that reads show
// what the queue and the tier hold, and one tier behind faults.
func backed(t testing.TB, opts *chain.Options) (*chain.Chain, *chain.Cache[string], *faultstore.Store, *mapStore) {
	m := newMap()
	f := faultstore.New(m)
	c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(0)}, {Name: "disk", Store: f, WriteBack: true}}, "", opts)
	return c, chain.NewCache[string](c, nil), f, m
}

// A batch waits for company until it is full or its oldest entry is old enough.
func TestFlushBySizeOrAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, f, m := backed(t, &chain.Options{Pending: chain.PendingOptions{Batch: 4, Interval: time.Second}})
		noErr(t, cache.Set(t.Context(), "a", "1"))
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if in(m, "a") != "" {
			t.Error("flushed before its time")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if in(m, "a") != "1" {
			t.Error("not flushed when its oldest entry was old enough")
		}
		before := f.Calls(faultstore.OpSetMany)
		for i := range 4 {
			noErr(t, cache.Set(t.Context(), fmt.Sprint(i), "x"))
		}
		synctest.Wait()
		if pending(c).Entries != 0 || f.Calls(faultstore.OpSetMany) != before+1 {
			t.Errorf("a full batch was not sent at once, and as one: %+v", pending(c))
		}
	})
}

// One slot a key: only the last operation reaches the tier.
func TestLastOperationWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, _, m := backed(t, nil)
		for i := range 100 {
			noErr(t, cache.Set(t.Context(), "set", fmt.Sprint(i)))
			noErr(t, cache.Set(t.Context(), "deleted", fmt.Sprint(i)))
			noErr(t, cache.Delete(t.Context(), "deleted"))
			v, err := cache.Get(t.Context(), "set")
			want(t, v, err, fmt.Sprint(i))
			_, err = cache.Get(t.Context(), "deleted")
			missing(t, "", err)
		}
		if p := pending(c); p.Entries != 2 {
			t.Errorf("%d slots; want one a key", p.Entries)
		}
		r, err := cache.GetMany(t.Context(), []string{"set", "deleted"})
		noErr(t, err)
		if r["set"].Value != "99" || !errors.Is(r["deleted"].Err, store.ErrNotFound) {
			t.Errorf("a batch does not see the slots: %v", r)
		}
		flush(t, c)
		if p := pending(c); in(m, "set") != "99" || in(m, "deleted") != "" || p.Flushed != 2 {
			t.Errorf("the tier has %q and %q after %d operations", in(m, "set"), in(m, "deleted"), p.Flushed)
		}
	})
}

// A tier that hangs does not hold up writers: neither of its own queue, nor those
// that write the same keys through to another tier.
func TestStuckTierHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newMap(), faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: far, WriteBack: true}}, "",
			&chain.Options{TierTimeout: time.Hour})
		cache := chain.NewCache[string](c, nil)
		far.Inject(faultstore.Fault{Op: faultstore.OpWrites, Hang: true})
		noErr(t, cache.Set(t.Context(), "k", "1"))
		time.Sleep(time.Second)
		synctest.Wait()
		if far.Hanging() != 1 {
			t.Fatalf("%d calls hang; want the flush", far.Hanging())
		}
		began := time.Now()
		noErr(t, cache.Set(t.Context(), "k", "2"))
		noErr(t, cache.Delete(t.Context(), "k", "other"))
		noErr(t, cache.SetMany(t.Context(), map[string]string{"k": "3", "other": "3"}))
		if d := time.Since(began); d != 0 {
			t.Errorf("writers waited %v for another tier's flush", d)
		}
		if in(near, "k") != "3" {
			t.Errorf("near has %q", in(near, "k"))
		}
		far.Reset()
	})
}

// A flush that read its slot before a direct write of the key does not carry out
// the older operation after it.
func TestFlushDoesNotUndoADirectWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newMap(), newMap()
		f := faultstore.New(far)
		c := newChain(t, []chain.Tier{{Name: "near", Store: near}, {Name: "far", Store: f}}, "", nil)
		cache := chain.NewCache[string](c, nil)
		f.Inject(faultstore.Fault{Op: faultstore.OpSet, Times: 1, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "old")) // far is owed it
		second := make(chan error, 1)
		f.Inject(faultstore.Fault{Op: faultstore.OpSetMany, Times: 1, Do: func(faultstore.Op, string) {
			go func() { second <- cache.Set(t.Context(), "k", "new") }()
			synctest.Wait() // it waits for the flush of its key, or has written
		}})
		time.Sleep(time.Second)
		noErr(t, <-second)
		flush(t, c)
		if in(far, "k") != "new" {
			t.Errorf("far has %q after a later write", in(far, "k"))
		}
	})
}

// A promotion that has read an old value does not bring it back after a delete
// that was queued and flushed meanwhile.
func TestFlushedDeleteIsNotUndoneByAFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newMap(), newMap()
		f := faultstore.New(near)
		c := newChain(t, []chain.Tier{
			{Name: "near", Store: f, WriteBack: true}, {Name: "far", Store: far, WriteBack: true},
		}, "", nil)
		cache := chain.NewCache[string](c, nil)
		far.Plant("k", store.Entry{Value: []byte("old"), Version: 1, Codec: "text"})
		f.Inject(faultstore.Fault{Op: faultstore.OpFill, Times: 1, Do: func(faultstore.Op, string) {
			noErr(t, cache.Delete(t.Context(), "k"))
			time.Sleep(time.Minute) // every flush that can, has run
		}})
		_, err := cache.Get(t.Context(), "k")
		noErr(t, err)
		time.Sleep(2 * time.Minute)
		flush(t, c)
		if in(near, "k") != "" || in(far, "k") != "" {
			t.Errorf("near has %q, far %q after the delete", in(near, "k"), in(far, "k"))
		}
		_, err = cache.Get(t.Context(), "k")
		missing(t, "", err)
	})
}

// choosy is a tier whose batches fail as a whole, without saying why, if they
// contain a poisonous key.
type choosy struct{ *mapStore }

func (s choosy) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	for key := range entries {
		if strings.HasPrefix(key, "poison") {
			return errors.New("something in there I do not like")
		}
	}
	for key, e := range entries {
		if err := s.Set(ctx, key, e); err != nil {
			return err
		}
	}
	return nil
}

// A poisonous entry does not keep the others from the tier, and is given up after
// the declared number of attempts, loudly; the tier then forgets what it had.
func TestPoisonIsIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap()
		var mu sync.Mutex
		var letters []chain.DeadLetter
		c := newChain(t, []chain.Tier{{Name: "disk", Store: choosy{m}, WriteBack: true}}, "", &chain.Options{
			Pending: chain.PendingOptions{MaxAttempts: 4, OnDeadLetter: func(l chain.DeadLetter) {
				mu.Lock()
				defer mu.Unlock()
				letters = append(letters, l)
			}},
		})
		cache := chain.NewCache[string](c, nil)
		m.Plant("poison1", store.Entry{Value: []byte("before"), Version: 1, Codec: "text"})
		for i := range 300 {
			noErr(t, cache.Set(t.Context(), fmt.Sprint("good", i), "x"))
			if i%100 == 0 {
				noErr(t, cache.Set(t.Context(), fmt.Sprint("poison", i/100), "y"))
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if p := pending(c); p.Flushed < 300 || p.Entries > 3 {
			t.Errorf("after ten seconds: %+v", p)
		}
		for i := 0; i < 100; i++ { // a tier that works is what counts attempts
			noErr(t, cache.Set(t.Context(), "good", fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		flush(t, c)
		mu.Lock()
		defer mu.Unlock()
		if len(letters) != 3 || pending(c).Lost != 3 {
			t.Fatalf("%d dead letters, %d counted; want 3", len(letters), pending(c).Lost)
		}
		l := letters[0]
		if l.Tier != "disk" || !strings.HasPrefix(l.Key, "poison") || string(l.Entry.Value) != "y" || l.Attempts != 4 || l.Err == nil || l.Age <= 0 {
			t.Errorf("dead letter %+v", l)
		}
		if in(m, "poison1") != "" {
			t.Errorf("the tier still answers with %q, which is older than what was given up", in(m, "poison1"))
		}
	})
}

// An outage, however long, uses up no attempts, and the backlog drains after it.
func TestOutageLosesNothing(t *testing.T) {
	for name, fault := range map[string]faultstore.Fault{
		"refused":   {Op: faultstore.OpWrites, Err: errBoom},
		"hangs":     {Op: faultstore.OpWrites, Hang: true},
		"each key":  {Op: faultstore.OpWrites, Key: func(string) bool { return true }, Err: errBoom},
		"lost acks": {Op: faultstore.OpWrites, Err: errBoom, AfterOp: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, cache, f, m := backed(t, &chain.Options{DefaultTTL: -1, Pending: chain.PendingOptions{MaxAttempts: 3}})
			f.Inject(fault)
			for i := range 2000 {
				noErr(t, cache.Set(t.Context(), fmt.Sprint(i), fmt.Sprint(i)))
			}
			noErr(t, cache.Delete(t.Context(), "7"))
			time.Sleep(time.Hour)
			calls := f.Calls(faultstore.OpWrites)
			if calls > 3600 {
				t.Errorf("%s: %d calls in an hour of outage", name, calls)
			}
			f.Reset()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if p := pending(c); p.Entries != 0 || p.Lost != 0 {
				t.Errorf("%s: twenty seconds after the outage: %+v", name, p)
			}
			if m.Len() != 1999 || in(m, "8") != "8" || in(m, "7") != "" {
				t.Errorf("%s: the tier has %d entries", name, m.Len())
			}
		})
	}
}

// MaxAge gives up what an outage has kept too long.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []chain.DeadLetter
		c, cache, f, m := backed(t, &chain.Options{Pending: chain.PendingOptions{
			MaxAge: time.Minute, OnDeadLetter: func(l chain.DeadLetter) { letters = append(letters, l) },
		}})
		m.Plant("old", store.Entry{Value: []byte("before"), Version: 1, Codec: "text"})
		f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "old", "1"))
		time.Sleep(2 * time.Minute)
		noErr(t, cache.Set(t.Context(), "young", "2"))
		time.Sleep(10 * time.Second)
		f.Reset()
		flush(t, c)
		if len(letters) != 1 || letters[0].Key != "old" || letters[0].Age < time.Minute {
			t.Errorf("dead letters: %+v", letters)
		}
		if in(m, "young") != "2" || in(m, "old") != "" {
			t.Errorf("the tier has old=%q young=%q", in(m, "old"), in(m, "young"))
		}
	})
}

// An entry that expires in the queue removes what the tier holds, and is not read.
func TestExpiryInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, f, m := backed(t, nil)
		noErr(t, cache.Set(t.Context(), "k", "old", chain.WriteOptions{TTL: time.Hour}))
		flush(t, c)
		f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "short", chain.WriteOptions{TTL: time.Second}))
		time.Sleep(2 * time.Second)
		_, err := cache.Get(t.Context(), "k")
		missing(t, "", err)
		f.Reset()
		flush(t, c)
		if in(m, "k") != "" {
			t.Errorf("the tier still has %q", in(m, "k"))
		}
	})
}

// A Clear waits for a flush under way, and what that wrote is gone too.
func TestClearAndFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cache, f, m := backed(t, nil)
		f.Inject(faultstore.Fault{Op: faultstore.OpSetMany, Times: 1, Delay: 500 * time.Millisecond})
		noErr(t, cache.Set(t.Context(), "k", "1"))
		time.Sleep(100 * time.Millisecond) // the flush is under way
		noErr(t, cache.Set(t.Context(), "later", "1"))
		noErr(t, c.Clear(t.Context()))
		time.Sleep(time.Minute)
		synctest.Wait()
		if in(m, "k") != "" || in(m, "later") != "" || pending(c).Entries != 0 {
			t.Errorf("after Clear the tier has %q, %q, and %d slots wait", in(m, "k"), in(m, "later"), pending(c).Entries)
		}
		noErr(t, cache.Set(t.Context(), "k", "2"))
		v, err := cache.Get(t.Context(), "k")
		want(t, v, err, "2")
	})
}

// The bounds hold under concurrent writers, under each policy, and nothing that
// was acknowledged is lost.
func TestBoundsUnderRace(t *testing.T) {
	for _, policy := range []chain.FullPolicy{chain.FullBlock, chain.FullThrough, chain.FullReject} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			c, cache, _, m := backed(t, &chain.Options{Pending: chain.PendingOptions{
				MaxEntries: 50, MaxBytes: 30 << 10, Batch: 10, Interval: time.Millisecond, WhenFull: policy,
			}})
			const writers, ops = 8, 400
			last := make([]map[string]string, writers)
			var wg sync.WaitGroup
			for w := range writers {
				last[w] = map[string]string{}
				wg.Go(func() {
					for i := range ops {
						key := fmt.Sprintf("%d:%d", w, i%97)
						value := strings.Repeat("x", i%200) + fmt.Sprint(i)
						var err error
						if i%5 == 0 {
							value = ""
							err = cache.Delete(context.Background(), key)
						} else {
							err = cache.Set(context.Background(), key, value)
						}
						switch {
						case err == nil:
							last[w][key] = value
						case policy == chain.FullReject && errors.Is(err, chain.ErrBusy):
						default:
							t.Error(err)
						}
						if p := pending(c); p.Entries > 50+writers || p.Bytes > 30<<10+writers*1024 {
							t.Errorf("beyond its bounds: %+v", p)
						}
					}
				})
			}
			wg.Wait()
			flush(t, c)
			full := c.Stats().QueueFull
			for _, keys := range last {
				for key, value := range keys {
					if in(m, key) != value {
						t.Errorf("%s is %q in the tier; %q was acknowledged last", key, in(m, key), value)
					}
				}
			}
			t.Logf("%d writes found the queue full", full)
		})
	}
}

// A blocked writer leaves when its context ends, and others when the chain closes.
func TestBlockedWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := faultstore.New(newMap())
		c, err := chain.New([]chain.Tier{{Name: "disk", Store: m, WriteBack: true}}, nil,
			&chain.Options{Pending: chain.PendingOptions{MaxEntries: 1}})
		noErr(t, err)
		cache := chain.NewCache[string](c, nil)
		m.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := cache.Set(ctx, "other", "2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a blocked Set: %v", err)
		}
		noErr(t, cache.Set(ctxOf(t), "k", "3")) // its key has a slot
		blocked := make(chan error)
		go func() { blocked <- cache.Set(context.Background(), "other", "4") }()
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = c.Close(ctx)
		if err := <-blocked; !errors.Is(err, store.ErrClosed) {
			t.Errorf("a Set blocked over Close: %v", err)
		}
		var pe *chain.PendingError
		if !errors.As(err, &pe) || pe.Left != 1 || pe.Tier != "disk" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
	})
}

func ctxOf(t testing.TB) context.Context { return t.Context() }

// depths is an observer of queues.
type depths struct {
	chain.NopObserver
	mu      sync.Mutex
	entries []int
	flushed int
}

func (d *depths) Pending(_ string, entries int, _ int64, _ time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entries)
}

func (d *depths) Flush(_ string, n int, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushed += n
}

// The observer learns depth and flushes; Explain says what waits and why.
func TestQueueIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &depths{}
		c, cache, f, _ := backed(t, &chain.Options{Observer: d})
		f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Times: 1, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "1"))
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		x, err := c.Explain(t.Context(), "k")
		noErr(t, err)
		tx := x.Tiers[1]
		if tx.Pending != "write" || !errors.Is(tx.PendingErr, errBoom) || tx.PendingFor != 60*time.Millisecond || !strings.Contains(x.String(), "write for 60ms") {
			t.Errorf("Explain: %+v\n%s", tx, x)
		}
		flush(t, c)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.flushed != 1 || len(d.entries) != 2 || d.entries[0] != 1 || d.entries[1] != 0 {
			t.Errorf("observed %d flushed, depths %v", d.flushed, d.entries)
		}
	})
}
