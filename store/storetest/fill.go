package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

func fillCases() []testCase {
	return []testCase{
		{"FillAbsent", "a Fill of an absent, deleted or expired key stores the entry with its own deadlines", testFillAbsent},
		{"FillOrder", "a Fill replaces what is older and keeps what is not: a slow load must not undo a newer write", testFillOrder},
		{"FillKeepsDeadline", "a Fill that is not stored changes nothing, deadlines least of all: " +
			"promotion must not extend a life", testFillKeepsDeadline},
		{"FillConcurrent", "of Fills that run at once the newest version stays", testFillConcurrent},
	}
}

func version(v uint64) store.Entry {
	return store.Entry{Value: []byte(fmt.Sprint("v", v)), Version: v, Expires: in(time.Hour)}
}

// fill calls store.Fill and requires the outcome.
func (h *harness) fill(key string, e store.Entry, want bool) {
	h.Helper()
	stored, err := store.Fill(h.ctx, h.s, key, e)
	if err != nil {
		h.Fatalf("Fill(%s) of version %d: %v; want nil", show(key), e.Version, err)
	}
	if stored == want {
		return
	}
	// A store that evicts may have lost what stood against the fill.
	if stored && !want && h.opts.Evicts {
		h.set(key, e)
		return
	}
	h.Errorf("Fill(%s) of version %d: stored = %v; want %v", show(key), e.Version, stored, want)
}

func testFillAbsent(h *harness) {
	e := store.Entry{Value: []byte("v"), Version: 5, Expires: in(time.Hour), Fresh: in(time.Minute), Tags: []string{"t"}, Codec: "json"}
	h.fill("k", e, true)
	h.has("k", e)
	h.del("k")
	again := version(1)
	h.fill("k", again, true)
	h.has("k", again)
	ttl := h.shortTTL()
	deadline := in(ttl)
	h.set("dies", store.Entry{Value: []byte("x"), Version: 9, Expires: deadline})
	h.waitPast(deadline, "dies")
	later := version(2)
	h.fill("dies", later, true)
	h.has("dies", later)
	h.put("gone", version(1))
	if _, err := store.Fill(h.ctx, h.s, "gone", store.Entry{Value: []byte("new"), Version: 2, Expires: in(-time.Second)}); err != nil {
		h.Errorf("Fill of an expired entry: %v; want nil", err)
	}
	if e, err := h.s.Get(h.ctx, "gone"); err == nil && string(e.Value) == "new" {
		h.Error("an expired entry that was filled in is returned")
	}
}

func testFillOrder(h *harness) {
	h.needVersions()
	for _, c := range []struct {
		held, filled uint64
		stored       bool
	}{
		{5, 6, true}, {5, 5, false}, {5, 4, false}, {5, 1 << 63, true}, {1 << 63, 5, false},
		{0, 0, true}, {0, 1, true}, {1, 0, false}, {1<<64 - 1, 1<<64 - 2, false},
	} {
		key := fmt.Sprintf("k:%d:%d", c.held, c.filled)
		held, filled := version(c.held), version(c.filled)
		held.Value, filled.Value = []byte("held"), []byte("filled")
		h.put(key, held)
		h.fill(key, filled, c.stored)
		if c.stored {
			h.has(key, filled)
		} else if e, err := h.s.Get(h.ctx, key); err == nil && string(e.Value) != "held" && !h.opts.Evicts {
			h.Errorf("after a Fill of version %d over %d, which must not be stored: value %s", c.filled, c.held, showBytes(e.Value))
		}
	}
}

func testFillKeepsDeadline(h *harness) {
	h.needVersions()
	held := store.Entry{Value: []byte("held"), Version: 5, Expires: in(time.Minute), Fresh: in(time.Second), Tags: []string{"t"}}
	for _, v := range []uint64{5, 4, 0} {
		for try := 1; ; try++ {
			h.put("k", held)
			stored, err := store.Fill(h.ctx, h.s, "k", store.Entry{Value: []byte("held"), Version: v, Expires: in(24 * time.Hour)})
			if err != nil {
				h.Fatalf("Fill: %v; want nil", err)
			}
			if stored && h.opts.Evicts && try < maxTries {
				continue
			}
			if stored {
				h.Errorf("Fill of version %d over 5: stored", v)
			}
			break
		}
		h.has("k", held)
	}
}

func testFillConcurrent(h *harness) {
	h.needVersions()
	if _, ok := h.s.(store.Filler); !ok {
		h.Skip("the store has no Fill of its own, and the fall-back is not atomic")
	}
	const writers = 16
	for round := range max(h.opts.Rounds/40, 5) {
		key := fmt.Sprint("k", round)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				if _, err := store.Fill(h.ctx, h.s, key, version(uint64(1+(w*7+round)%writers))); err != nil {
					h.Errorf("Fill: %v; want nil", err)
				}
			})
		}
		wg.Wait()
		e, err := h.s.Get(h.ctx, key)
		if h.lost(err) {
			continue
		}
		if err != nil || e.Version != writers {
			h.Fatalf("after concurrent Fills of versions 1 to %d: version %d, %v", writers, e.Version, err)
		}
	}
}
