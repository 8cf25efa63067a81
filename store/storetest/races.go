package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

func raceCases() []testCase {
	return []testCase{
		{"ReadYourWrites", "in one goroutine a Get after a Set or Delete sees it, whatever others do to other keys", testReadYourWrites},
		{"Linearizable", "every operation on a key takes effect at one moment between its call and its return: " +
			"a Get returns the last completed write or one that runs at the same time", testLinearizable},
		{"DeleteRace", "once Delete has returned, no reader that raced with it brings the value back", testDeleteRace},
		{"FillRace", "a Fill of an older version that races with a Set never survives it", testFillRace},
		{"ClearRace", "a Set that begins after Clear returned survives, one that returned before Clear began does not", testClearRace},
	}
}

func testReadYourWrites(h *harness) {
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range max(h.opts.Rounds/workers, 20) {
				key := fmt.Sprintf("w%d:%d", w, rng.IntN(3))
				value := fmt.Sprint(key, "#", i)
				if err := h.s.Set(h.ctx, key, text(value)); err != nil {
					h.Errorf("Set: %v", err)
					return
				}
				if e, err := h.s.Get(h.ctx, key); err != nil && !h.lost(err) || err == nil && string(e.Value) != value {
					h.Errorf("Get right after Set of %q: %q, %v", value, e.Value, err)
					return
				}
				if rng.IntN(3) > 0 {
					continue
				}
				if err := h.s.Delete(h.ctx, key); err != nil {
					h.Errorf("Delete: %v", err)
					return
				}
				if e, err := h.s.Get(h.ctx, key); !errors.Is(err, store.ErrNotFound) {
					h.Errorf("Get right after Delete: %q, %v", e.Value, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func testDeleteRace(h *harness) {
	for round := range h.opts.Rounds {
		key := fmt.Sprint("k", round%7)
		h.set(key, text(fmt.Sprint("round ", round)))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if e, err := h.s.Get(h.ctx, key); err == nil && string(e.Value) != fmt.Sprint("round ", round) {
					h.Errorf("round %d: a Get read %q of an earlier round", round, e.Value)
				}
			})
		}
		h.del(key)
		h.absent(key, "after Delete raced with readers")
		wg.Wait()
		h.absent(key, "after Delete and its readers returned")
		if h.Failed() {
			return
		}
	}
}

func testFillRace(h *harness) {
	h.needVersions()
	if _, ok := h.s.(store.Filler); !ok {
		h.Skip("the store has no Fill of its own, and the fall-back is not atomic")
	}
	for round := range h.opts.Rounds {
		key := fmt.Sprint("k", round%7)
		base := uint64(round*10 + 1)
		h.set(key, store.Entry{Value: []byte("base"), Version: base})
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				e := store.Entry{Value: []byte("late fill"), Version: base + uint64(i) + 1}
				if _, err := store.Fill(h.ctx, h.s, key, e); err != nil {
					h.Errorf("Fill: %v", err)
				}
			})
		}
		if round%2 == 0 {
			runtime.Gosched() // on one processor, let the Fills begin first
		}
		newest := store.Entry{Value: []byte("newest"), Version: base + 9}
		h.set(key, newest)
		h.has(key, newest)
		wg.Wait()
		got, err := h.s.Get(h.ctx, key)
		// On a store that evicts, the Set may be dropped before the Fill comes.
		if err == nil && string(got.Value) != "newest" && !h.opts.Evicts || err != nil && !h.lost(err) {
			h.Fatalf("round %d: after a Set raced with older Fills: %q version %d, %v", round, got.Value, got.Version, err)
		}
		if h.Failed() {
			return
		}
	}
}

func testClearRace(h *harness) {
	if err := store.Clear(h.ctx, h.s); errors.Is(err, errors.ErrUnsupported) {
		h.Skip("the store cannot be cleared")
	}
	for round := range max(h.opts.Rounds/50, 5) {
		for i := range 20 {
			h.set(fmt.Sprint("before:", i), text("v"))
		}
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := range 20 {
					if err := h.s.Set(h.ctx, fmt.Sprintf("during:%d:%d", w, i), text(fmt.Sprint(round))); err != nil {
						h.Errorf("Set while Clear runs: %v", err)
					}
				}
			})
		}
		if err := store.Clear(h.ctx, h.s); err != nil {
			h.Fatalf("Clear: %v", err)
		}
		h.put("after", text(fmt.Sprint(round)))
		for i := range 20 {
			h.absent(fmt.Sprint("before:", i), "set before Clear")
		}
		wg.Wait()
		h.has("after", text(fmt.Sprint(round)))
		if h.Failed() {
			return
		}
	}
}

// testLinearizable records histories of a few clients on few keys and has
// porcupine look for an order that explains every answer.
func testLinearizable(h *harness) {
	histories := max(h.opts.Rounds/100, 3)
	for i := range histories {
		rec := &recorder{h: h, start: time.Now(), keys: []string{fmt.Sprint("x", i), fmt.Sprint("y", i)}}
		_, rec.fills = h.s.(store.Filler)
		rec.fills = rec.fills && !h.opts.NoVersion
		var wg sync.WaitGroup
		for client := range 4 {
			wg.Go(func() { rec.run(client, 60) })
		}
		wg.Wait()
		if !rec.check() || h.Failed() {
			return
		}
	}
}
