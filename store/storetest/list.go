package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

func listCases() []testCase {
	return []testCase{
		{"Scan", "Scan yields every live key under the prefix, and no other", testScan},
		{"ScanPrefix", "a prefix is bytes: *, ?, [ and \\ in it are themselves", testScanPrefix},
		{"ScanBreak", "a caller may stop a Scan at any key, and use the store inside the loop", testScanBreak},
		{"Clear", "after Clear nothing that was there is, and the store works on", testClear},
		{"Stats", "counters count, and only grow", testStats},
	}
}

// scan collects the keys under prefix, and skips the case where the store
// cannot list them.
func (h *harness) scan(prefix string) map[string]bool {
	h.Helper()
	keys := map[string]bool{}
	for key, err := range store.Scan(h.ctx, h.s, prefix) {
		if errors.Is(err, errors.ErrUnsupported) {
			h.Skip("the store cannot list its keys")
		}
		if err != nil {
			h.Fatalf("Scan(%q): %v", prefix, err)
		}
		if !strings.HasPrefix(key, prefix) {
			h.Errorf("Scan(%q) yielded %s", prefix, show(key))
		}
		keys[key] = true
	}
	return keys
}

// listed requires that Scan of prefix yields just want.
func (h *harness) listed(prefix string, want ...string) {
	h.Helper()
	got := h.scan(prefix)
	for _, key := range want {
		if !got[key] && !h.opts.Evicts {
			h.Errorf("Scan(%q) did not yield %s", prefix, show(key))
		}
		delete(got, key)
	}
	for key := range got {
		h.Errorf("Scan(%q) yielded %s, which is not there", prefix, show(key))
	}
}

func testScan(h *harness) {
	h.listed("")
	deadline := in(h.shortTTL())
	h.set("a:dies", store.Entry{Value: []byte("x"), Expires: deadline})
	for _, key := range []string{"a:1", "a:2", "a:deleted", "ab:1", "b:1", "a", "ü:1"} {
		h.put(key, text(key))
	}
	h.put("a:1", text("again"))
	h.del("a:deleted")
	h.waitPast(deadline, "a:dies")
	// A key may be listed until the store itself forgets it, Get or not.
	time.Sleep(time.Until(deadline.Add(h.opts.DeadlineSlack)))
	h.listed("a:", "a:1", "a:2")
	h.listed("a", "a", "a:1", "a:2", "ab:1")
	h.listed("ü", "ü:1")
	h.listed("a:1", "a:1")
	h.listed("none")
	h.listed("", "a", "a:1", "a:2", "ab:1", "b:1", "ü:1")
	const n = 1200
	for i := range n {
		h.set(fmt.Sprintf("many:%d", i), text("v"))
	}
	if got := len(h.scan("many:")); got != n && !h.opts.Evicts || got == 0 {
		h.Errorf("Scan of %d keys yielded %d", n, got)
	}
}

func testScanPrefix(h *harness) {
	groups := map[string][]string{}
	for _, prefix := range []string{"x*", "x?", "x[ab]", "x[^a]", `x\*`, `x\`, "x%", "x_", "x{", "x\x00", "x\xff", "x/", "x:"} {
		for i := range 3 {
			key := fmt.Sprint(prefix, "key", i)
			if err := h.s.Set(h.ctx, key, text(key)); errors.Is(err, store.ErrInvalidKey) {
				continue
			}
			h.put(key, text(key))
			groups[prefix] = append(groups[prefix], key)
		}
	}
	groups[`x\`] = append(groups[`x\`], groups[`x\*`]...)
	h.put("xa", text("matched by every careless pattern"))
	h.put("xb", text("matched by every careless pattern"))
	for prefix, want := range groups {
		h.listed(prefix, want...)
	}
}

func testScanBreak(h *harness) {
	h.scan("")
	const n = 50
	for i := range n {
		h.put(fmt.Sprintf("k:%d", i), text("v"))
	}
	for stop := range 3 {
		seen := 0
		for _, err := range store.Scan(h.ctx, h.s, "k:") {
			if err != nil {
				h.Fatalf("Scan: %v", err)
			}
			if seen++; seen > stop {
				break
			}
		}
	}
	// Deleting what it yields is what Clear's fall-back does.
	for key, err := range store.Scan(h.ctx, h.s, "k:") {
		if err != nil {
			h.Fatalf("Scan: %v", err)
		}
		h.del(key)
		h.set("other", text("v"))
	}
	h.put("k:after", text("v"))
}

func testClear(h *harness) {
	if err := store.Clear(h.ctx, h.s); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			h.Skip("the store cannot be cleared")
		}
		h.Fatalf("Clear of an empty store: %v", err)
	}
	const n = 700
	for round := range 2 {
		for i := range n {
			h.set(fmt.Sprintf("k:%d", i), text(fmt.Sprint(round)))
		}
		if err := store.Clear(h.ctx, h.s); err != nil {
			h.Fatalf("Clear: %v", err)
		}
		for i := range n {
			h.absent(fmt.Sprintf("k:%d", i), "after Clear")
		}
		h.put("k:0", text("after"))
		h.put("k:0", text("after that"))
	}
}

func testStats(h *harness) {
	before, ok := store.StatsOf(h.s)
	if !ok {
		h.Skip("the store keeps no counters")
	}
	grows := func(when string) store.Stats {
		h.Helper()
		now, _ := store.StatsOf(h.s)
		if now.Hits < before.Hits || now.Misses < before.Misses || now.Sets < before.Sets || now.Deletes < before.Deletes ||
			now.Evictions < before.Evictions || now.Rejections < before.Rejections || now.Expired < before.Expired ||
			now.Corrupt < before.Corrupt || now.Errors < before.Errors {
			h.Errorf("a counter shrank %s: %+v, before %+v", when, now, before)
		}
		before = now
		return now
	}
	start := grows("at rest")
	h.put("k", text("v"))
	h.put("k", text("w"))
	for range 3 {
		h.has("k", text("w"))
	}
	h.absent("absent", "in the case")
	if _, err := store.GetMany(h.ctx, h.s, []string{"k", "absent", "absent too"}); err != nil {
		h.Fatalf("GetMany: %v", err)
	}
	h.del("k")
	now := grows("with use")
	hits, misses := now.Hits-start.Hits, now.Misses-start.Misses
	if now.Hits+now.Misses > 0 && !h.opts.Evicts && (hits != 6 || misses != 3) {
		h.Errorf("6 hits and 3 misses were counted as %d and %d", hits, misses)
	}
	if err := store.Clear(h.ctx, h.s); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		h.Fatalf("Clear: %v", err)
	}
	grows("with Clear")
}
