package chain_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// What this process writes, loads and refreshes itself comes back as a touch. Where the
// shared tier keeps versions, that costs it nothing: no read, and nothing on the disk.
func TestOwnTouchesCostNothing(t *testing.T) {
	for _, modes := range []string{"-", "r", "--", "rd"} {
		synctest.Test(t, func(t *testing.T) {
			v := visited(t, modes, false, false, false)
			noErr(t, v.cache.Set(t.Context(), "set", "v"))
			_, err := v.cache.GetOrLoad(t.Context(), "loaded", loads("v"))
			noErr(t, err)
			flush(t, v.cache.Chain())
			synctest.Wait()
			for _, key := range []string{"set", "loaded"} {
				reads := v.redis.Reads(key)
				got, err := v.cache.Get(t.Context(), key)
				want(t, got, err, "v")
				if n := v.redis.Reads(key) - reads; n != 0 {
					t.Errorf("%s, %s: it cost a read of the shared tier", modes, key)
				}
				if _, ok := v.redis.Peek(key); v.disk != nil && ok && !on(v.disk, key) {
					t.Errorf("%s, %s: it cost what the disk held", modes, key)
				}
			}
			if n := v.cache.Chain().Stats().Feed.Touched; n < 2 {
				t.Errorf("heard of %d touches; want those of both keys", n)
			}
		})
	}
}

// A plain value tells no version: one look into the shared tier, and no second. What the
// disk holds of it stays.
func TestOwnPlainTouchesCostOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visited(t, "--", true, false, false)
		noErr(t, v.cache.Set(t.Context(), "k", "v"))
		synctest.Wait()
		reads := v.redis.Reads("k")
		for range 5 {
			got, err := v.cache.Get(t.Context(), "k")
			want(t, got, err, "v")
			synctest.Wait()
		}
		if n := v.redis.Reads("k") - reads; n > 1 {
			t.Errorf("%d reads of the shared tier; want one at most", n)
		}
		if d, ok := v.disk.Peek("k"); !ok || string(d.Value) != "v" {
			t.Errorf("the disk holds %q, %v", d.Value, ok)
		}
	})
}

// A key that expires in the shared tier, or is evicted, is still on the disk behind it:
// that is what a disk is for. A stranger's write takes it from there.
func TestTouchesAndTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visited(t, "--", false, true, false)
		noErr(t, v.cache.Set(t.Context(), "k", "v"))
		synctest.Wait()
		v.stranger()
		got, err := v.cache.Get(t.Context(), "k")
		want(t, got, err, "v")
		v.deletes = false
		flush(t, v.cache.Chain())
		v.stranger()
		noErr(t, v.redis.mapStore.Delete(t.Context(), "k")) // it expires
		v.redis.feed.touch("k")
		synctest.Wait()
		if got, err := v.cache.Get(t.Context(), "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("older than what was there last: %q, %v", got, err)
		}
	})
}

// Where touches may be lost, memory is compared with the shared tier, each key once, and
// what was on its way is filled in nowhere. Nothing else is touched by that.
func TestUnheardTouches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visited(t, "--", false, false, false)
		for _, key := range []string{"k", "l"} {
			noErr(t, v.cache.Set(t.Context(), key, "v"))
		}
		synctest.Wait()
		v.redis.Plant("k", store.Entry{Value: []byte("theirs")}) // unnoticed
		noErr(t, v.redis.mapStore.Delete(t.Context(), "l"))
		v.redis.feed.tell(store.News{Unheard: true})
		synctest.Wait()
		for range 3 {
			got, err := v.cache.Get(t.Context(), "k")
			want(t, got, err, "theirs")
			got, err = v.cache.Get(t.Context(), "l") // from the disk, which is not in doubt
			want(t, got, err, "v")
		}
		if n := v.redis.Reads("k"); n != 1 {
			t.Errorf("%d reads of the shared tier; want one", n)
		}
		_, err := v.cache.GetOrLoad(t.Context(), "m", func(context.Context, string) (string, error) {
			v.redis.feed.tell(store.News{Unheard: true})
			synctest.Wait()
			return "old", nil
		})
		noErr(t, err)
		flush(t, v.cache.Chain())
		if e, ok := v.redis.Peek("m"); ok {
			t.Errorf("what was loaded before was filled in: %q", e.Value)
		}
		s := v.cache.Chain().Stats().Feed
		if s.Missed != 1 || s.Unheard != 3 || !s.Following {
			t.Errorf("%+v; want one doubt at the start, and two of memory since", s)
		}
	})
}

// A key that was remembered as absent is there once a stranger has written it.
func TestTouchEndsAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, feed := newMap(), newTouchFeed()
		cache := chain.NewCache[string](newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(10)}, {Name: "redis", Store: redis, Shared: true},
		}, "rules: [{keys: 'k:{id}', ttl: 1h, negative_ttl: 1h}]", &chain.Options{Feed: feed}), nil)
		synctest.Wait()
		_, err := cache.GetOrLoad(t.Context(), "k:1", fails[string](store.ErrNotFound))
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		redis.Plant("k:1", store.Entry{Value: []byte("theirs"), Codec: "text"})
		if _, err := cache.GetOrLoad(t.Context(), "k:1", loads("loaded")); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("before it was heard of: %v; the absence was not remembered", err)
		}
		feed.touch("k:1")
		synctest.Wait()
		got, err := cache.GetOrLoad(t.Context(), "k:1", loads("loaded"))
		want(t, got, err, "theirs")
	})
}

// Where the shared tier does not say what it holds, memory believes nothing.
func TestTouchesWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, feed := &muteTier{mapStore: newMap()}, newTouchFeed()
		cache := chain.NewCache[string](newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(10)}, {Name: "redis", Store: redis, Shared: true},
		}, "", &chain.Options{Feed: feed}), nil)
		synctest.Wait()
		noErr(t, cache.Set(t.Context(), "k", "v"))
		redis.Plant("k", store.Entry{Value: []byte("theirs"), Codec: "text"})
		feed.touch("k")
		synctest.Wait()
		got, err := cache.Get(t.Context(), "k")
		want(t, got, err, "theirs")
	})
}

// muteTier does not tell versions.
type muteTier struct{ *mapStore }

func (*muteTier) Versions(context.Context, []string) (map[string]uint64, error) {
	return nil, errors.New("no answer")
}

// Touches move no cursor, and are no word of how much of what is published is known.
func TestTouchesMoveNoCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visited(t, "--", false, false, false)
		v.redis.feed.tell(store.News{Cursor: "7", Behind: true})
		v.redis.feed.touch("k")
		synctest.Wait()
		if v.cache.Chain().Stats().Feed.Following {
			t.Error("a touch was taken for the word that all is known")
		}
		time.Sleep(5 * time.Second) // the cursor is saved
		keys := []string{}
		for key, err := range v.disk.Scan(t.Context(), "__strata:cursor") {
			noErr(t, err)
			e, _ := v.disk.Peek(key)
			keys = append(keys, string(e.Value))
		}
		if !slices.Equal(keys, []string{"7"}) {
			t.Errorf("the cursor is %q; want 7", keys)
		}
	})
}
