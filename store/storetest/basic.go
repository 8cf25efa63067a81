package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

func basicCases() []testCase {
	return []testCase{
		{"Miss", "an absent key is store.ErrNotFound itself, so that callers can compare it cheaply, " +
			"and comes with the zero Entry", testMiss},
		{"RoundTrip", "what was set is what a Get returns", testRoundTrip},
		{"Fields", "deadlines, version, tags and codec travel with the value", testFields},
		{"EmptyValue", "an empty value is a value, not a miss", testEmptyValue},
		{"ValueSizes", "values come back whole at every size, or are refused as store.ErrTooLarge", testValueSizes},
		{"BinaryValue", "values are bytes, not text", testBinaryValue},
		{"Overwrite", "after a Set the older value is gone, with its deadlines, version and tags", testOverwrite},
		{"Delete", "after a Delete the key is absent, and may be set again; deleting an absent key is no error", testDelete},
		{"Ownership", "bytes handed over or received never change: a store must not reuse a buffer " +
			"that a reader may still hold, nor write to the caller's", testOwnership},
		{"Cancelled", "every method honours its context; a call that could not be made is an error, never a miss", testCancelled},
		{"Objects", "objects and entries share one key space: Delete removes an object, Set replaces it", testObjects},
	}
}

func testMiss(h *harness) {
	h.absent("absent", "on an empty store")
	e, err := h.s.Get(h.ctx, "absent")
	if err == nil || e.Value != nil || !e.Expires.IsZero() || e.Version != 0 {
		h.Errorf("Get of an absent key: %+v, %v; want the zero Entry and store.ErrNotFound", e, err)
	}
}

func testRoundTrip(h *harness) {
	h.put("a", text("1"))
	h.put("b", text("2"))
	h.has("a", text("1"))
	for i := range 200 {
		h.put(fmt.Sprintf("key:%d", i), text(fmt.Sprint("value ", i)))
	}
	for i := range 200 {
		h.has(fmt.Sprintf("key:%d", i), text(fmt.Sprint("value ", i)))
	}
}

func testFields(h *harness) {
	full := store.Entry{
		Value:   []byte(`{"close":101.5}`),
		Expires: in(time.Hour),
		Fresh:   in(30 * time.Minute),
		Version: 1<<63 | 12345,
		Tags:    []string{"market:nyse", "t/2", "ü"},
		Codec:   "json",
	}
	h.put("full", full)
	h.put("bare", text("bare"))
	h.has("full", full)
	noFresh := full
	noFresh.Fresh = time.Time{}
	h.put("nofresh", noFresh)
	never := full
	never.Expires = time.Time{}
	h.put("never", never)
}

func testEmptyValue(h *harness) {
	h.put("empty", store.Entry{Value: []byte{}})
	h.put("nil", store.Entry{})
	h.put("empty", text("no longer"))
	h.put("empty", store.Entry{})
}

func testValueSizes(h *harness) {
	for _, size := range []int{1, 7, 63, 64, 65, 255, 256, 4095, 4096, 4097, 65535, 65536, 1 << 20} {
		key := fmt.Sprintf("size:%d", size)
		e := store.Entry{Value: pattern(size)}
		if err := h.s.Set(h.ctx, key, e); errors.Is(err, store.ErrTooLarge) {
			h.absent(key, "after its Set was refused as too large")
			continue
		}
		h.put(key, e)
	}
}

// pattern returns n bytes that no shift of them equals.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func testBinaryValue(h *harness) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, v := range [][]byte{all, {0}, {0, 0, 0}, {0xff}, []byte("\r\n"), []byte("nil"), []byte("$-1\r\n"), []byte("PAR1"), {0x1f, 0x8b}} {
		h.put(fmt.Sprint("binary:", i), store.Entry{Value: v})
	}
}

func testOverwrite(h *harness) {
	first := store.Entry{Value: bytes.Repeat([]byte("long "), 100), Expires: in(time.Hour), Version: 7, Tags: []string{"t"}, Codec: "json"}
	h.put("k", first)
	h.put("k", text("short"))
	h.put("k", first)
	for i := range 500 {
		h.put("k", text(fmt.Sprint(i)))
	}
	// A Set is not conditional: version order is Fill's business.
	h.put("k", store.Entry{Value: []byte("9"), Version: 9})
	h.put("k", store.Entry{Value: []byte("5"), Version: 5})
}

func testDelete(h *harness) {
	h.del("never there")
	h.put("k", text("1"))
	h.put("other", text("other"))
	h.del("k")
	h.absent("k", "after Delete")
	h.del("k")
	h.absent("k", "after a second Delete")
	h.put("k", text("2"))
	for i := range 200 {
		h.put("k", text(fmt.Sprint(i)))
		h.del("k")
		h.absent("k", "after Set and Delete")
	}
	h.has("other", text("other"))
}

func testOwnership(h *harness) {
	mine := pattern(300)
	h.put("k", store.Entry{Value: mine})
	got := h.put("k", store.Entry{Value: mine}).Value
	for i := range 300 {
		h.put("k", store.Entry{Value: bytes.Repeat([]byte{byte(i)}, 300)})
		h.put(fmt.Sprint("other:", i), store.Entry{Value: bytes.Repeat([]byte{byte(i)}, 300)})
	}
	h.del("k")
	if !bytes.Equal(mine, pattern(300)) {
		h.Error("the store changed the bytes that it was given")
	}
	if !bytes.Equal(got, pattern(300)) {
		h.Error("bytes that Get returned changed when the key was set again")
	}
}

func testCancelled(h *harness) {
	h.put("k", text("v"))
	cancelled, cancel := context.WithCancel(h.ctx)
	cancel()
	late, cancel2 := context.WithDeadline(h.ctx, time.Now().Add(-time.Second))
	defer cancel2()
	for _, ctx := range []context.Context{cancelled, late} {
		for _, op := range operations(h.s) {
			err := op.do(ctx, "k")
			if errors.Is(err, errors.ErrUnsupported) {
				continue
			}
			what := op.name + " with an ended context"
			// The fall-backs of batches give up before they ask the store.
			if strings.HasSuffix(op.name, "Many") && errors.Is(err, ctx.Err()) {
				continue
			}
			h.failure(what, err, ctx.Err())
		}
	}
}

// operation is one call on a store, reduced to its error.
type operation struct {
	name string
	do   func(ctx context.Context, key string) error
}

// operations lists every operation, capabilities included.
func operations(s store.Store) []operation {
	return append(keyOperations(s),
		operation{"Scan", func(ctx context.Context, key string) error {
			for _, err := range store.Scan(ctx, s, key) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		operation{"Clear", func(ctx context.Context, _ string) error { return store.Clear(ctx, s) }},
	)
}

// keyOperations lists the operations that take keys.
func keyOperations(s store.Store) []operation {
	return []operation{
		{"Get", func(ctx context.Context, key string) error { _, err := s.Get(ctx, key); return err }},
		{"Set", func(ctx context.Context, key string) error { return s.Set(ctx, key, text("v")) }},
		{"Set of an expired entry", func(ctx context.Context, key string) error {
			return s.Set(ctx, key, store.Entry{Value: []byte("v"), Expires: time.Now().Add(-time.Hour)})
		}},
		{"Delete", s.Delete},
		{"Fill", func(ctx context.Context, key string) error {
			_, err := store.Fill(ctx, s, key, store.Entry{Value: []byte("v"), Version: 1})
			return err
		}},
		{"GetMany", func(ctx context.Context, key string) error {
			_, err := store.GetMany(ctx, s, []string{key, "another"})
			return store.KeyError(err, key)
		}},
		{"SetMany", func(ctx context.Context, key string) error {
			return store.KeyError(store.SetMany(ctx, s, map[string]store.Entry{key: text("v"), "another": text("w")}), key)
		}},
		{"DeleteMany", func(ctx context.Context, key string) error {
			return store.KeyError(store.DeleteMany(ctx, s, []string{key, "another"}), key)
		}},
	}
}

func testObjects(h *harness) {
	o, ok := h.s.(store.Objects)
	if !ok {
		h.Skip("the store holds no objects")
	}
	type thing struct{ n int }
	for i := range 200 {
		t := &thing{i}
		if err := o.SetObject("k", t, 64, time.Time{}); err != nil {
			h.Fatalf("SetObject: %v", err)
		}
		if got, ok := o.GetObject("k"); ok && got != any(t) || !ok && !h.opts.Evicts {
			h.Fatalf("GetObject right after SetObject: %v, %v; want the same pointer", got, ok)
		}
	}
	h.del("k")
	if got, ok := o.GetObject("k"); ok {
		h.Errorf("GetObject after Delete: %v; want none", got)
	}
	if err := o.SetObject("k", &thing{1}, 64, time.Time{}); err != nil {
		h.Fatalf("SetObject: %v", err)
	}
	h.put("k", text("bytes"))
	if got, _ := o.GetObject("k"); got != nil {
		if _, old := got.(*thing); old {
			h.Error("GetObject after Set: returned the older object")
		}
	}
}
