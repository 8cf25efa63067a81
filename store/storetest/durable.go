package storetest

import (
	"fmt"
	"time"

	"github.com/stratacache/strata/store"
)

func durableCases() []testCase {
	return []testCase{
		{"Reopen", "what was acknowledged is there after Close and reopening: values, deadlines, versions, tags, " +
			"overwrites, deletes and clears", testReopen},
	}
}

// reopen closes the store and opens it again.
func (h *harness) reopen() {
	h.Helper()
	if err := h.s.Close(); err != nil {
		h.Fatalf("Close: %v", err)
	}
	h.s = h.opts.Reopen(h.TB)
	s := h.s
	h.Cleanup(func() { _ = s.Close() })
}

func testReopen(h *harness) {
	if h.opts.Reopen == nil {
		h.Skip("the store is not durable")
	}
	full := store.Entry{
		Value: pattern(5000), Expires: in(time.Hour), Fresh: in(time.Minute), Version: 77, Tags: []string{"a", "b"}, Codec: "cbor",
	}
	deadline := in(h.shortTTL())
	h.put("full", full)
	h.put("empty", store.Entry{})
	h.put("twice", text("old"))
	h.put("twice", text("new"))
	h.put("deleted", text("x"))
	h.del("deleted")
	h.put("back", text("old"))
	h.del("back")
	h.put("back", text("new"))
	h.set("dies", store.Entry{Value: []byte("x"), Expires: deadline})
	for i := range 300 {
		h.set(fmt.Sprint("many:", i), text(fmt.Sprint(i)))
	}
	h.waitPast(deadline, "dies")
	for range 2 {
		h.reopen()
		h.has("full", full)
		h.has("empty", store.Entry{})
		h.has("twice", text("new"))
		h.has("back", text("new"))
		h.absent("deleted", "after reopening")
		h.absent("dies", "after reopening")
		for i := range 300 {
			h.has(fmt.Sprint("many:", i), text(fmt.Sprint(i)))
		}
	}
	h.del("twice")
	h.reopen()
	h.absent("twice", "deleted after reopening, and reopened")
	if err := store.Clear(h.ctx, h.s); err == nil {
		h.put("after", text("clear"))
		h.reopen()
		h.absent("full", "after Clear and reopening")
		h.absent("many:7", "after Clear and reopening")
		h.has("after", text("clear"))
	}
}
