package storetest

import (
	"fmt"
	"time"

	"github.com/stratacache/strata/store"
)

func deadlineCases() []testCase {
	return []testCase{
		{"Never", "a zero deadline means never, and comes back as zero", testNever},
		{"Deadlines", "deadlines are absolute and hold to the millisecond: a store that rounds to seconds " +
			"makes 400 ms either nothing or for ever", testDeadlines},
		{"DistantDeadline", "a deadline beyond the range of a store's clock must not wrap round into the past", testDistantDeadline},
		{"ReadKeepsDeadline", "reading an entry does not extend its life", testReadKeepsDeadline},
		{"SetExpired", "setting an entry that has already expired removes the key, so that nothing older stays", testSetExpired},
		{"Expiry", "an entry is never returned past its deadline, nor lost before it", testExpiry},
		{"ShorterThanBefore", "an overwrite replaces the deadline too, whether by a sooner one, a later one or none", testShorterThanBefore},
	}
}

func testNever(h *harness) {
	h.put("never", text("v"))
	h.put("again", store.Entry{Value: []byte("v"), Expires: in(time.Hour)})
	h.put("again", text("v"))
}

func testDeadlines(h *harness) {
	for _, ttl := range []time.Duration{
		50 * time.Millisecond, 400 * time.Millisecond, 999 * time.Millisecond, time.Second, 1499 * time.Millisecond,
		90 * time.Second, time.Hour + time.Millisecond, 24 * time.Hour, 3653 * 24 * time.Hour,
	} {
		if ttl < h.opts.MinTTL {
			continue
		}
		key := "ttl:" + ttl.String()
		for try := 1; ; try++ {
			e := store.Entry{Value: []byte("v"), Expires: in(ttl), Fresh: in(ttl / 2)}
			h.set(key, e)
			got, err := h.s.Get(h.ctx, key)
			if err == nil {
				h.same(key, got, e)
				break
			}
			// On a slow machine a short deadline may have passed already.
			if slow := !time.Now().Before(e.Expires.Add(-h.opts.DeadlineSlack)); !slow && !h.lost(err) {
				h.Errorf("Get of an entry with a TTL of %v, before its deadline: %v", ttl, err)
				break
			}
			if try == maxTries {
				h.Fatalf("an entry with a TTL of %v was not seen in %d tries", ttl, try)
			}
		}
	}
}

func testDistantDeadline(h *harness) {
	for _, year := range []int{2199, 2200, 2262, 2300, 9999} {
		key := fmt.Sprint("year:", year)
		e := store.Entry{Value: []byte("v"), Expires: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)}
		for try := 1; ; try++ {
			h.set(key, e)
			got, err := h.s.Get(h.ctx, key)
			if h.lost(err) && try < maxTries {
				continue
			}
			if err != nil {
				h.Errorf("Get of an entry that expires in %d: %v", year, err)
			} else if !got.Expires.IsZero() && got.Expires.Year() < 2199 {
				h.Errorf("deadline %s came back as %s; want the same, never, or one after 2199", showTime(e.Expires), showTime(got.Expires))
			}
			break
		}
	}
}

func testReadKeepsDeadline(h *harness) {
	e := store.Entry{Value: []byte("v"), Expires: in(time.Hour)}
	h.put("k", e)
	for range 20 {
		time.Sleep(time.Millisecond)
		h.has("k", e)
	}
}

func testSetExpired(h *harness) {
	for _, ago := range []time.Duration{time.Millisecond, time.Second, 24 * time.Hour, 50 * 365 * 24 * time.Hour, time.Since(time.Unix(0, 1))} {
		h.put("k", text("old"))
		h.set("k", store.Entry{Value: []byte("new"), Expires: in(-ago)})
		h.absent("k", fmt.Sprintf("after setting an entry that expired %v ago", ago))
	}
	h.put("k", text("old"))
	h.set("k", store.Entry{Value: []byte("new"), Expires: time.Unix(-1, 0)})
	h.absent("k", "after setting an entry that expired before 1970")
	h.set("fresh", store.Entry{Value: []byte("new"), Expires: in(-time.Second)})
	h.absent("fresh", "after setting an expired entry of a new key")
}

func testExpiry(h *harness) {
	for _, ttl := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond} {
		if ttl < h.opts.MinTTL {
			continue
		}
		key := "k:" + ttl.String()
		deadline := in(ttl)
		h.set(key, store.Entry{Value: []byte("v"), Expires: deadline})
		for {
			late := passed(deadline)
			_, err := h.s.Get(h.ctx, key)
			if early := deadline.Sub(time.Now().Round(0)) > time.Millisecond+h.opts.DeadlineSlack; err != nil && early && !h.lost(err) {
				h.Fatalf("TTL %v: Get before the deadline: %v; want the entry", ttl, err)
			}
			if late {
				break
			}
			time.Sleep(time.Millisecond)
		}
		h.waitPast(deadline, key)
		h.absent(key, fmt.Sprintf("after its TTL of %v", ttl))
		if m, err := store.GetMany(h.ctx, h.s, []string{key}); err != nil || len(m) != 0 {
			h.Errorf("GetMany of an expired entry: %v, %v; want nothing", m, err)
		}
		h.put(key, text("alive again"))
	}
}

func testShorterThanBefore(h *harness) {
	ttl := h.shortTTL()
	first, second, third := in(ttl), in(ttl), in(time.Hour)
	h.set("longer", store.Entry{Value: []byte("1"), Expires: first})
	h.set("longer", store.Entry{Value: []byte("2"), Expires: third})
	h.set("never", store.Entry{Value: []byte("1"), Expires: first})
	h.set("never", text("2"))
	h.set("shorter", store.Entry{Value: []byte("1"), Expires: third})
	h.set("shorter", store.Entry{Value: []byte("2"), Expires: second})
	h.waitPast(second, "shorter")
	h.has("longer", store.Entry{Value: []byte("2"), Expires: third})
	h.has("never", text("2"))
	h.absent("shorter", "after its shortened deadline")
}
