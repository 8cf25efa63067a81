package storetest

import (
	"fmt"
	"time"

	"github.com/stratacache/strata/store"
)

func batchCases() []testCase {
	return []testCase{
		{"BatchEmpty", "a batch of nothing is no error, and the map of GetMany is never nil", testBatchEmpty},
		{"GetMany", "a batch answers per key: absent and expired keys are not in the map, repeated ones are answered once", testGetMany},
		{"GetEach", "answers are in the order of the keys, those of absent and expired keys are empty", testGetEach},
		{"SetMany", "a batch writes each entry as Set does, deadlines included", testSetMany},
		{"DeleteMany", "a batch removes each key, and absent or repeated ones are no error", testDeleteMany},
		{"BigBatch", "a batch of a thousand keys loses and mixes up nothing", testBigBatch},
	}
}

func testBatchEmpty(h *harness) {
	for _, keys := range [][]string{nil, {}} {
		if m, err := store.GetMany(h.ctx, h.s, keys); err != nil || m == nil || len(m) != 0 {
			h.Errorf("GetMany of no keys: %v, %v; want an empty map and nil", m, err)
		}
		if err := store.DeleteMany(h.ctx, h.s, keys); err != nil {
			h.Errorf("DeleteMany of no keys: %v; want nil", err)
		}
	}
	for _, m := range []map[string]store.Entry{nil, {}} {
		if err := store.SetMany(h.ctx, h.s, m); err != nil {
			h.Errorf("SetMany of nothing: %v; want nil", err)
		}
	}
}

// getMany reads keys and requires that each entry found is the one of want.
func (h *harness) getMany(keys []string, want map[string]store.Entry) {
	h.Helper()
	got, err := store.GetMany(h.ctx, h.s, keys)
	if err != nil {
		h.Fatalf("GetMany of %d keys: %v; want nil", len(keys), err)
	}
	for key, e := range got {
		w, ok := want[key]
		if !ok {
			h.Errorf("GetMany returned %s, which is not there or was not asked for", show(key))
			continue
		}
		h.same(key, e, w)
	}
	missing := 0
	for _, key := range keys {
		_, held := want[key]
		if _, ok := got[key]; held && !ok {
			missing++
		}
	}
	if missing > 0 && !h.opts.Evicts {
		h.Errorf("GetMany of %d keys: %d that are there are not in the map", len(keys), missing)
	}
	if len(got) == 0 && len(want) > 1 {
		h.Error("GetMany found nothing at all")
	}
}

func testGetMany(h *harness) {
	deadline := in(h.shortTTL())
	h.set("dies", store.Entry{Value: []byte("x"), Expires: deadline})
	want := map[string]store.Entry{
		"a":          {Value: []byte("1"), Expires: in(time.Hour), Version: 3, Tags: []string{"t"}, Codec: "text"},
		"empty":      {},
		"price:ü/\n": text("2"),
	}
	for key, e := range want {
		h.put(key, e)
	}
	h.waitPast(deadline, "dies")
	h.getMany([]string{"a", "absent", "empty", "a", "dies", "price:ü/\n", "absent", "a"}, want)
	if m, err := store.GetMany(h.ctx, h.s, []string{"absent", "also absent"}); err != nil || m == nil || len(m) != 0 {
		h.Errorf("GetMany of absent keys: %v, %v; want an empty map and nil", m, err)
	}
	if m, err := store.GetMany(h.ctx, h.s, []string{"absent"}); err != nil || m == nil || len(m) != 0 {
		h.Errorf("GetMany of one absent key: %v, %v; want an empty map and nil", m, err)
	}
}

func testGetEach(h *harness) {
	deadline := in(h.shortTTL())
	h.set("dies", store.Entry{Value: []byte("x"), Expires: deadline})
	want := map[string]store.Entry{
		"a":     {Value: []byte("1"), Expires: in(time.Hour), Version: 3, Tags: []string{"t"}, Codec: "text"},
		"empty": {},
	}
	for i := range 600 { // more than one round trip
		want[fmt.Sprint("k", i)] = text(fmt.Sprint("v", i))
	}
	keys := []string{"absent", "a", "dies", "empty", "absent", "a"}
	for key, e := range want {
		h.put(key, e)
		keys = append(keys, key)
	}
	h.waitPast(deadline, "dies")
	answers := make([]store.Answer, len(keys)+1)
	for i := range answers {
		answers[i] = store.Answer{Entry: text("of before"), Found: true}
	}
	if err := store.GetEach(h.ctx, h.s, keys, answers); err != nil {
		h.Fatalf("GetEach of %d keys: %v; want nil", len(keys), err)
	}
	found := 0
	for i, key := range keys {
		e, held := want[key]
		switch a := answers[i]; {
		case a.Found && held:
			h.same(key, a.Entry, e)
			found++
		case a.Found || len(a.Entry.Value) > 0:
			h.Errorf("GetEach: the answer to key %d, %s, which is not there, is %q, found %v", i, show(key), a.Entry.Value, a.Found)
		case held && !h.opts.Evicts:
			h.Errorf("GetEach: %s, which is there, was not found", show(key))
		}
	}
	if found == 0 {
		h.Error("GetEach found nothing at all")
	}
	err := store.GetEach(h.ctx, h.s, []string{"", "a"}, answers)
	if kerr := store.KeyError(err, "a"); kerr != nil || answers[0].Found || !answers[1].Found && !h.opts.Evicts {
		h.Errorf("GetEach with an empty key among others: %v, found %v and %v; want the good key alone", err, answers[0].Found, answers[1].Found)
	}
}

func testSetMany(h *harness) {
	h.put("expired", text("old"))
	h.put("a", text("old"))
	batch := map[string]store.Entry{
		"a":       {Value: []byte("1"), Expires: in(time.Hour), Fresh: in(time.Minute), Version: 3, Tags: []string{"t"}, Codec: "text"},
		"never":   text("2"),
		"empty":   {},
		"expired": {Value: []byte("new"), Expires: in(-time.Second)},
	}
	if err := store.SetMany(h.ctx, h.s, batch); err != nil {
		h.Fatalf("SetMany: %v; want nil", err)
	}
	h.absent("expired", "after SetMany with an expired entry of it")
	for _, key := range []string{"a", "never", "empty"} {
		h.has(key, batch[key])
	}
	ttl := h.shortTTL()
	deadline := in(ttl)
	if err := store.SetMany(h.ctx, h.s, map[string]store.Entry{"a": {Value: []byte("3"), Expires: deadline}}); err != nil {
		h.Fatalf("SetMany of one entry: %v; want nil", err)
	}
	h.waitPast(deadline, "a")
	h.absent("a", "after the deadline given to SetMany")
}

func testDeleteMany(h *harness) {
	for _, key := range []string{"a", "b", "keep"} {
		h.put(key, text(key))
	}
	if err := store.DeleteMany(h.ctx, h.s, []string{"a", "absent", "b", "a"}); err != nil {
		h.Fatalf("DeleteMany: %v; want nil", err)
	}
	h.absent("a", "after DeleteMany")
	h.absent("b", "after DeleteMany")
	h.has("keep", text("keep"))
	h.put("a", text("again"))
	if err := store.DeleteMany(h.ctx, h.s, []string{"a"}); err != nil {
		h.Fatalf("DeleteMany of one key: %v; want nil", err)
	}
	h.absent("a", "after DeleteMany of it alone")
}

func testBigBatch(h *harness) {
	const n = 1000
	entries := make(map[string]store.Entry, n)
	keys := make([]string, 0, n)
	for i := range n {
		key := fmt.Sprintf("batch:%04d", i)
		keys = append(keys, key)
		entries[key] = store.Entry{Value: pattern(i % 300), Version: uint64(i + 1)}
	}
	if err := store.SetMany(h.ctx, h.s, entries); err != nil {
		h.Fatalf("SetMany of %d entries: %v; want nil", n, err)
	}
	h.getMany(keys, entries)
	for i := range 20 {
		h.has(keys[i*50], entries[keys[i*50]])
	}
	if err := store.DeleteMany(h.ctx, h.s, keys[:n/2]); err != nil {
		h.Fatalf("DeleteMany of %d keys: %v; want nil", n/2, err)
	}
	for _, key := range keys[:n/2] {
		delete(entries, key)
	}
	h.getMany(keys, entries)
}
