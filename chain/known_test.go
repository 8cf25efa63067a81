package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// A shared tier that loses what it has acknowledged: a Redis that has failed over to a
// replica, or come back from an old snapshot.

// loss is two processes, of which one has written "k", and deleted "gone", before the
// shared tier went back to what it held before that, and the feed with it.
func loss(t *testing.T, a, b process, redis *mapStore, w *wire) {
	t.Helper()
	ctx := t.Context()
	synctest.Wait() // both follow
	for _, key := range []string{"k", "gone", "same"} {
		must(t, a.Set(ctx, key, "before"))
	}
	time.Sleep(time.Second)
	for _, key := range []string{"k", "gone"} {
		b.want(t, key, "before")
	}
	flush(t, b.Chain())
	kept := map[string]store.Entry{}
	for _, key := range []string{"k", "gone", "same"} {
		kept[key], _ = redis.Peek(key)
	}
	must(t, a.Set(ctx, "k", "after"))
	must(t, a.Delete(ctx, "gone"))
	flush(t, a.Chain())
	time.Sleep(time.Second)
	for _, p := range []process{a, b} {
		p.port.cut(true)
	}
	time.Sleep(time.Second)
	redis.Wipe()
	for key, e := range kept {
		redis.Plant(key, e)
	}
	must(t, w.port(9).Publish(ctx, []store.Change{{Kind: store.ChangeWrite, Key: "elsewhere", Version: 1}}))
	w.trim()
	for _, p := range []process{a, b} {
		p.port.cut(false)
	}
	time.Sleep(10 * time.Second)
	for _, p := range []process{a, b} {
		if n := p.Chain().Stats().Feed.Missed; n != 2 {
			t.Fatalf("%d gaps, want one when it began, and one now", n)
		}
	}
}

// The process that wrote has what it wrote, from memory or from its disk, and puts it
// back; nobody gets what was before it, or what was deleted.
func TestLostWriteIsKnown(t *testing.T) {
	for _, holder := range []string{"memory", "disk", "both", "nobody"} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/batch=%v", holder, batch), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, redis := &wire{}, newMap()
					a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
					loss(t, a, b, redis, w)
					after := "after"
					if holder == "disk" || holder == "nobody" {
						must(t, a.memory.Delete(t.Context(), "k"))
					}
					if holder == "memory" || holder == "nobody" {
						must(t, a.disk.Delete(t.Context(), "k"))
					}
					if holder == "nobody" {
						after = ""
					}
					read := func(p process, want map[string]string) {
						t.Helper()
						if !batch {
							for key, v := range want {
								p.want(t, key, v)
							}
							return
						}
						got, err := p.GetMany(t.Context(), []string{"k", "gone", "same"})
						must(t, err)
						for key, v := range want {
							if r := got[key]; r.Value != v || v == "" != errors.Is(r.Err, store.ErrNotFound) {
								t.Errorf("process %d: GetMany has %s = %q, %v; want %q", p.port.origin, key, r.Value, r.Err, v)
							}
						}
					}
					read(b, map[string]string{"k": "", "gone": "", "same": "before"})
					read(a, map[string]string{"k": after, "gone": "", "same": "before"})
					flush(t, a.Chain())
					read(b, map[string]string{"k": after, "gone": "", "same": "before"}) // it was put back
					if n := a.Chain().Stats().Feed.Lost; n == 0 {
						t.Error("no loss was counted")
					}
					v, err := b.GetOrLoad(t.Context(), "gone", loads("anew"))
					want(t, v, err, "anew")
					flush(t, b.Chain())
					read(b, map[string]string{"gone": "anew"})
					read(a, map[string]string{"gone": "anew"})
				})
			})
		}
	}
}

// A write of another process, which is gone and has not put it back: the key is a miss,
// the others are told once, however often it is read, and after a minute what was before the
// write is removed.
func TestLostWriteOfAProcessThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := t.Context(), &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		b := w.port(2)
		c := newChain(t, []chain.Tier{{Name: "redis", Store: newest{redis}, Shared: true}}, "", &chain.Options{Feed: b})
		reader := process{Cache: chain.NewCache[string](c, nil), port: b}
		loss(t, a, reader, redis, w)
		must(t, a.Chain().Close(ctx))
		time.Sleep(time.Second)
		published := w.published()
		for range 1000 {
			reader.want(t, "k", "")
		}
		time.Sleep(time.Second)
		if n := w.published() - published; n > 1 {
			t.Errorf("the others were told %d times", n)
		}
		if _, ok := redis.Peek("k"); !ok {
			t.Error("the older entry is gone; the process that wrote might have found and replaced it")
		}
		time.Sleep(time.Minute)
		reader.want(t, "k", "")
		flush(t, c)
		if e, ok := redis.Peek("k"); ok {
			t.Errorf("the tier still holds %q", e.Value)
		}
	})
}

// What others have written since is newer than what is known.
func TestWriteAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, redis := &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		loss(t, a, b, redis, w)
		must(t, b.Set(t.Context(), "k", "again"))
		time.Sleep(time.Second)
		a.want(t, "k", "again")
		b.want(t, "k", "again")
	})
}

// Keys beyond those that are remembered are read as the tier has them: an older state,
// but no error, and never one that was not written.
func TestMoreWritesThanAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := t.Context(), &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		loss(t, a, b, redis, w)
		const n = 40_000 // of 16,384
		for i := range n {
			must(t, a.Set(ctx, fmt.Sprint("other", i), "v"))
		}
		must(t, a.memory.Delete(ctx, "k"))
		v, err := a.Get(ctx, "k")
		if err != nil || v != "before" && v != "after" {
			t.Errorf("read %q, %v", v, err)
		}
	})
}

// A chain without a feed hears of no loss, and remembers nothing.
func TestNoFeedNoKnowledge(t *testing.T) {
	ctx, redis := context.Background(), newMap()
	c := newChain(t, []chain.Tier{{Name: "redis", Store: shared{redis}, Shared: true}}, "", nil)
	cache := chain.NewCache[string](c, nil)
	must(t, cache.Set(ctx, "k", "before"))
	e, _ := redis.Peek("k")
	time.Sleep(2 * time.Millisecond)
	must(t, cache.Set(ctx, "k", "after"))
	redis.Plant("k", e)
	v, err := cache.Get(ctx, "k")
	want(t, v, err, "before")
}
