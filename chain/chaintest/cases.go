package chaintest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

func cases() []testCase {
	return []testCase{
		{"ReadYourWrites", "a Get after a Set or Delete that returned sees it, whatever the near tier has dropped", testReadYourWrites},
		{"ReadYourWritesBack", "the same where the store is written later, and fails now and then", testReadYourWritesBack},
		{"DeleteRace", "what a read found before a Delete does not come back after it", testDeleteRace},
		{"SetRace", "what a read found before a Set does not come back after it", testSetRace},
		{"LoadRace", "a load that began before a Delete leaves nothing behind", testLoadRace},
		{"Deadlines", "a value that is promoted keeps the deadline that the store gave it, or none", testDeadlines},
		{"ErrorIsNoMiss", "a store that fails is an error of the call, and not a miss; it answers again when it is back", testErrorIsNoMiss},
		{"Hang", "a store that hangs holds no caller past his deadline", testHang},
		{"OneLoad", "readers of an absent key share one walk and one load, and one who leaves disturbs nobody", testOneLoad},
		{"WriteBackOrder", "of the writes of a key the last one reaches the store, also past failures", testWriteBackOrder},
		{"LostAcknowledgement", "a write that the store took, but could not say so, is not lost and not doubled", testLostAcknowledgement},
		{"Batches", "a batch answers per key: a value, not found, or an error", testBatches},
		{"Tags", "what a tag has invalidated does not come back from the store", testTags},
		{"CloseDrains", "Close writes what is pending", testCloseDrains},
	}
}

func testReadYourWrites(h *harness) {
	h.open(true, false, nil)
	readYourWrites(h)
}

func testReadYourWritesBack(h *harness) {
	h.open(true, true, nil)
	h.flaky(3, false)
	readYourWrites(h)
}

func readYourWrites(h *harness) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range h.opts.Rounds / 4 {
				key, value := fmt.Sprintf("k:%d-%d", w, i%3), fmt.Sprint(i)
				if err := h.cache.Set(context.Background(), key, value); err != nil {
					h.Errorf("Set: %v", err)
					return
				}
				if i%5 == 0 && h.near != nil {
					h.near.forget()
				}
				v, err := h.cache.Get(context.Background(), key)
				if err == nil && v != value || err != nil && (!h.opts.Evicts || !errors.Is(err, store.ErrNotFound)) {
					h.Errorf("Get right after Set of %q: %q, %v", value, v, err)
					return
				}
				if i%4 != 0 {
					continue
				}
				if err := h.cache.Delete(context.Background(), key); err != nil {
					h.Errorf("Delete: %v", err)
					return
				}
				if v, err := h.cache.Get(context.Background(), key); !errors.Is(err, store.ErrNotFound) {
					h.Errorf("Get right after Delete: %q, %v", v, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// race has readers under way while write is called, whose result must stand.
func race(h *harness, write func(key string, round int), check func(key string, round int)) {
	h.open(true, false, nil)
	for round := range h.opts.Rounds {
		key := fmt.Sprint("k:", round%5)
		h.set(key, "old")
		h.near.forget()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _, _ = h.cache.Get(context.Background(), key) })
		}
		write(key, round)
		check(key, round)
		wg.Wait()
		h.flush() // promotions too
		check(key, round)
		h.near.forget()
		check(key, round)
		if h.Failed() {
			return
		}
	}
}

func testDeleteRace(h *harness) {
	race(h, func(key string, _ int) { h.del(key) }, func(key string, round int) { h.absent(key, fmt.Sprint("after Delete, round ", round)) })
}

func testSetRace(h *harness) {
	race(h, func(key string, round int) { h.set(key, fmt.Sprint("new ", round)) },
		func(key string, round int) { h.has(key, fmt.Sprint("new ", round), "after Set") })
}

func testLoadRace(h *harness) {
	h.open(true, false, nil)
	for round := range max(h.opts.Rounds/20, 5) {
		key := fmt.Sprint("k:", round)
		began, goOn := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			_, err := h.cache.GetOrLoad(context.Background(), key, func(context.Context, string) (string, error) {
				close(began)
				<-goOn
				return "loaded", nil
			})
			done <- err
		}()
		select {
		case <-began:
		case err := <-done:
			h.Fatalf("GetOrLoad of an absent key did not load: %v", err)
		}
		h.del(key)
		close(goOn)
		if err := <-done; err != nil {
			h.Errorf("the load: %v", err)
		}
		h.flush()
		h.absent(key, "after a Delete during the load")
	}
}

func testDeadlines(h *harness) {
	h.open(true, false, nil)
	deadline := time.Now().Add(30 * time.Minute).Truncate(time.Millisecond)
	for key, want := range map[string]time.Time{"plain:1": {}, "plain:2": deadline} {
		if err := h.store.Set(context.Background(), key, store.Entry{Value: []byte("v"), Version: 5, Expires: want}); err != nil {
			h.Fatalf("Set: %v", err)
		}
		h.has(key, "v", "as the store has it")
		h.flush()
		e, err := h.near.Get(context.Background(), key)
		if h.opts.Evicts && errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || e.Expires.IsZero() != want.IsZero() || e.Expires.Sub(want).Abs() > time.Second {
			h.Errorf("%s was promoted with the deadline %v, %v; want %v", key, e.Expires, err, want)
		}
	}
}

func testErrorIsNoMiss(h *harness) {
	h.open(true, false, nil)
	h.set("k:1", "v")
	h.near.forget()
	broken := errors.New("injected")
	heal := h.far.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpGetMany, Err: broken})
	if v, err := h.cache.Get(context.Background(), "k:1"); !errors.Is(err, broken) || errors.Is(err, store.ErrNotFound) {
		h.Errorf("Get from a store that fails: %q, %v; want its error", v, err)
	}
	r, _ := h.cache.GetMany(context.Background(), []string{"k:1"})
	if !errors.Is(r["k:1"].Err, broken) {
		h.Errorf("GetMany from a store that fails: %v; want its error", r["k:1"].Err)
	}
	heal()
	h.has("k:1", "v", "when the store is back")
}

func testHang(h *harness) {
	h.open(true, false, nil)
	h.far.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpGetMany, Hang: true})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		_, err := h.cache.Get(ctx, "k:1")
		got <- err
	}()
	select {
	case err := <-got:
		if !errors.Is(err, context.DeadlineExceeded) {
			h.Errorf("Get from a store that hangs: %v; want the deadline", err)
		}
	case <-time.After(time.Minute): // not a measure of time: the call never ends
		h.Fatal("Get from a store that hangs does not return")
	}
	h.far.Reset()
}

func testOneLoad(h *harness) {
	h.open(true, false, nil)
	var loads atomic.Int64
	goOn := make(chan struct{})
	began := make(chan struct{})
	load := func(context.Context, string) (string, error) {
		if loads.Add(1) == 1 {
			close(began)
		}
		<-goOn
		return "v", nil
	}
	gone, leave := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 50 {
		ctx := context.Background()
		if i%5 == 0 {
			ctx = gone
		}
		wg.Go(func() {
			v, err := h.cache.GetOrLoad(ctx, "k:1", load)
			if ctx == gone && errors.Is(err, context.Canceled) {
				return
			}
			if err != nil || v != "v" {
				h.Errorf("GetOrLoad: %q, %v", v, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-began:
	case <-done:
	}
	leave()
	close(goOn)
	<-done
	if n := loads.Load(); n != 1 {
		h.Errorf("%d loads; want one", n)
	}
	h.flush()
	h.near.forget()
	h.has("k:1", "v", "from the store, after the load")
}

func testWriteBackOrder(h *harness) {
	h.open(false, true, nil)
	h.flaky(2, false)
	for i := range max(h.opts.Rounds/5, 20) {
		h.set("k:1", fmt.Sprint(i))
		h.set("k:2", fmt.Sprint(i))
		if i%10 == 0 {
			h.flush() // else the store would see the last of each only
		}
		h.del("k:2")
	}
	h.set("k:1", "last")
	h.far.Reset()
	h.flush()
	e, err := h.store.Get(context.Background(), "k:1")
	if !(h.opts.Evicts && errors.Is(err, store.ErrNotFound)) && (err != nil || string(e.Value) != "last") {
		h.Errorf("the store holds %q, %v; want the last write", e.Value, err)
	}
	if e, err := h.store.Get(context.Background(), "k:2"); !errors.Is(err, store.ErrNotFound) {
		h.Errorf("the store holds %q, %v; want nothing, for it was deleted", e.Value, err)
	}
}

func testLostAcknowledgement(h *harness) {
	h.open(false, true, nil)
	h.flaky(2, true)
	for i := range 20 {
		h.set(fmt.Sprint("k:", i), fmt.Sprint(i))
	}
	h.far.Reset()
	h.flush()
	for i := range 20 {
		h.has(fmt.Sprint("k:", i), fmt.Sprint(i), "after its acknowledgement was lost")
	}
}

func testBatches(h *harness) {
	h.open(true, false, nil)
	for i := range 10 {
		h.set(fmt.Sprint("k:", i), fmt.Sprint(i))
	}
	h.near.forget()
	broken := errors.New("injected")
	h.far.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpGetMany, Key: func(key string) bool { return key == "k:3" }, Err: broken})
	keys := []string{"k:0", "k:1", "k:2", "k:3", "k:none"}
	r, _ := h.cache.GetMany(context.Background(), keys)
	for i, key := range keys {
		switch got := r[key]; {
		case i < 3 && !(h.opts.Evicts && errors.Is(got.Err, store.ErrNotFound)) && (got.Err != nil || got.Value != fmt.Sprint(i)):
			h.Errorf("%s: %q, %v; want its value", key, got.Value, got.Err)
		case i == 3 && !errors.Is(got.Err, broken):
			h.Errorf("%s: %q, %v; want its error", key, got.Value, got.Err)
		case i == 4 && !errors.Is(got.Err, store.ErrNotFound):
			h.Errorf("%s: %q, %v; want not found", key, got.Value, got.Err)
		}
	}
}

func testTags(h *harness) {
	h.open(true, false, nil)
	for i := range 100 {
		key := fmt.Sprint("k:", i)
		if err := h.cache.Set(context.Background(), key, "v", chain.WriteOptions{Tags: []string{"t"}}); err != nil {
			h.Fatalf("Set: %v", err)
		}
	}
	if err := h.chain.InvalidateTags(context.Background(), "t"); err != nil {
		h.Fatalf("InvalidateTags: %v", err)
	}
	h.near.forget()
	for i := range 100 {
		h.absent(fmt.Sprint("k:", i), "after its tag was invalidated")
	}
}

func testCloseDrains(h *harness) {
	h.open(false, true, nil)
	for i := range 50 {
		h.set(fmt.Sprint("k:", i), "v")
	}
	hits := 0
	h.far.Inject(faultstore.Fault{Op: faultstore.OpClose, Do: func(faultstore.Op, string) {
		for i := range 50 {
			if _, err := h.store.Get(context.Background(), fmt.Sprint("k:", i)); err == nil {
				hits++
			}
		}
	}})
	if err := h.chain.Close(context.Background()); err != nil {
		h.Errorf("Close: %v", err)
	}
	if hits < 50 && !h.opts.Evicts || hits == 0 {
		h.Errorf("%d of 50 pending writes were in the store when it was closed", hits)
	}
}
