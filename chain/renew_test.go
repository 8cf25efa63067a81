package chain_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// plainStore is a tier without versions, as Redis is for plain values: a Fill keeps
// what is there, and only who has read a value can replace it.
type plainStore struct {
	*mapStore
	touches atomic.Int64
}

func (s *plainStore) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.mapStore.Get(ctx, key)
	e.Version, e.Tags, e.Codec = 0, nil, ""
	return e, err
}

func (s *plainStore) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	m, err := s.mapStore.GetMany(ctx, keys)
	for key, e := range m {
		e.Version, e.Tags, e.Codec = 0, nil, ""
		m[key] = e
	}
	return m, err
}

func (s *plainStore) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	if _, err := s.Get(ctx, key); err == nil {
		return false, nil
	}
	return true, s.Set(ctx, key, e)
}

func (s *plainStore) Replace(ctx context.Context, key string, old, e store.Entry) (bool, error) {
	if now, err := s.Get(ctx, key); err == nil && !bytes.Equal(now.Value, old.Value) {
		return false, nil
	}
	return true, s.Set(ctx, key, e)
}

func (s *plainStore) Touch(ctx context.Context, key string, old, e store.Entry) (bool, error) {
	now, err := s.Get(ctx, key)
	if err != nil || !bytes.Equal(now.Value, old.Value) {
		return false, nil
	}
	s.touches.Add(1)
	now.Expires, now.Fresh = e.Expires, e.Fresh
	s.Plant(key, now)
	return true, nil
}

// A refresh takes the place of the value that it began after, also in a tier that
// cannot tell how old its values are; what somebody else wrote there
// meanwhile stays.
func TestRefreshReplacesPlainValues(t *testing.T) {
	for name, rule := range map[string]string{
		"stale-while-revalidate": `{keys: "k:{id}", ttl: 10s, stale_while_revalidate: 5m, wire: plain}`,
		"refresh-ahead":          `{keys: "k:{id}", ttl: 20s, refresh_ahead: 0.5, wire: plain}`,
	} {
		for _, many := range []bool{false, true} {
			for _, foreign := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/many=%v/foreign=%v", name, many, foreign), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						redis := &plainStore{mapStore: newMap()}
						c := newChain(t, two(newObjects(10), redis), "rules: ["+rule+"]", nil)
						cache := chain.NewCache[string](c, nil)
						noErr(t, cache.Set(t.Context(), "k:1", "old"))
						time.Sleep(12 * time.Second)
						load := func() string {
							if foreign {
								redis.Plant("k:1", store.Entry{Value: []byte("foreign"), Expires: time.Now().Add(time.Minute)})
							}
							return "new"
						}
						if many {
							r, err := cache.GetOrLoadMany(t.Context(), []string{"k:1"}, func(context.Context, []string) (map[string]string, error) {
								return map[string]string{"k:1": load()}, nil
							})
							want(t, r["k:1"].Value, err, "old")
						} else {
							v, err := cache.GetOrLoad(t.Context(), "k:1", func(context.Context, string) (string, error) { return load(), nil })
							want(t, v, err, "old")
						}
						flush(t, c)
						e, _ := redis.Peek("k:1")
						wanted := "new"
						if foreign {
							wanted = "foreign"
						}
						want(t, string(e.Value), nil, wanted)
					})
				})
			}
		}
	}
}

// touchStore is a tier with versions that can renew deadlines.
type touchStore struct {
	*mapStore
	touches atomic.Int64
}

func (s *touchStore) Touch(ctx context.Context, key string, old, e store.Entry) (bool, error) {
	now, err := s.Get(ctx, key)
	if err != nil || now.Version != old.Version {
		return false, nil
	}
	s.touches.Add(1)
	now.Expires, now.Fresh, now.Version = e.Expires, e.Fresh, e.Version
	s.Plant(key, now)
	return true, nil
}

// "Not modified" renews the deadlines without moving the value, where the tier can;
// the others are filled anew.
func TestNotModifiedTouches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, plain, disk := &touchStore{mapStore: newMap()}, &plainStore{mapStore: newMap()}, newMap()
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(10)}, {Name: "redis", Store: redis}, {Name: "plain", Store: plain}, {Name: "disk", Store: disk},
		}, `rules: [{keys: "k:{id}", ttl: 10s, stale_while_revalidate: 1h, wire: plain}]`, nil)
		cache := chain.NewCache[string](c, nil)
		noErr(t, cache.Set(t.Context(), "k:1", "v"))
		written := redis.Writes("k:1")
		for round := range 3 {
			time.Sleep(12 * time.Second)
			v, err := cache.Fetch(t.Context(), "k:1", func(context.Context, chain.Request[string]) (chain.Loaded[string], error) {
				return chain.Loaded[string]{NotModified: true}, nil
			})
			want(t, v, err, "v")
			flush(t, c)
			for name, s := range map[string]*mapStore{"redis": redis.mapStore, "plain": plain.mapStore, "disk": disk} {
				e, ok := s.Peek("k:1")
				if left := time.Until(e.FreshUntil()); !ok || string(e.Value) != "v" || left != 10*time.Second {
					t.Errorf("round %d: %s holds %q, fresh for %v; want 10 s", round, name, e.Value, left)
				}
			}
		}
		if redis.touches.Load() != 3 || plain.touches.Load() != 3 || redis.Writes("k:1") != written {
			t.Errorf("%d and %d touches, %d writes; want 3 and 3, and none after the first",
				redis.touches.Load(), plain.touches.Load(), redis.Writes("k:1"))
		}
	})
}

// The same where other processes write, and what was loaded or renewed has another version
// in the tiers than in memory.
func TestNotModifiedTouchesWithAFeed(t *testing.T) {
	for _, feed := range []store.Feed{new(wire).port(1), nil} {
		synctest.Test(t, func(t *testing.T) { renewsThrice(t, feed) })
	}
}

func renewsThrice(t *testing.T, feed store.Feed) {
	redis, disk := &touchStore{mapStore: newMap()}, &touchStore{mapStore: newMap()}
	c := newChain(t, []chain.Tier{
		{Name: "memory", Store: newObjects(10)}, {Name: "redis", Store: redis, Shared: true}, {Name: "disk", Store: disk},
	}, `rules: [{keys: "k:{id}", ttl: 10s, stale_while_revalidate: 1h}]`, &chain.Options{Feed: feed})
	cache := chain.NewCache[string](c, nil)
	synctest.Wait()
	load := func(_ context.Context, r chain.Request[string]) (chain.Loaded[string], error) {
		return chain.Loaded[string]{Value: "v", NotModified: r.HasStale}, nil
	}
	for range 4 { // one load, and three that renew
		v, err := cache.Fetch(t.Context(), "k:1", load)
		want(t, v, err, "v")
		flush(t, c)
		time.Sleep(12 * time.Second)
	}
	if r, d := redis.touches.Load(), disk.touches.Load(); r != 3 || d != 3 {
		t.Errorf("%d and %d touches; want 3 of each tier, and no value sent again", r, d)
	}
}

// A nearer tier that other processes write answers before the slot of a farther
// one: it has taken that operation already, and perhaps a later one of somebody
// else's. A slot is still newer than an older version there.
func TestSharedTierAnswersBeforeAFartherSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, disk := newMap(), newMap()
		c := newChain(t, []chain.Tier{
			{Name: "redis", Store: redis, Shared: true}, {Name: "disk", Store: disk, WriteBack: true},
		}, "", &chain.Options{Pending: chain.PendingOptions{Interval: time.Hour}})
		cache := chain.NewCache[string](c, nil)
		read := func(wanted string) {
			t.Helper()
			v, err := cache.Get(t.Context(), "k")
			want(t, v, err, wanted)
			r, err := cache.GetMany(t.Context(), []string{"k"})
			want(t, r["k"].Value, err, wanted)
		}
		noErr(t, cache.Set(t.Context(), "k", "ours"))
		read("ours")
		e, _ := redis.Peek("k")
		ours := e.Version
		e.Value, e.Version = []byte("theirs"), ours+10
		redis.Plant("k", e)
		read("theirs")
		e.Value, e.Version = []byte("older"), ours-10
		redis.Plant("k", e)
		read("ours")
		noErr(t, redis.Delete(t.Context(), "k"))
		read("ours")
		noErr(t, cache.Delete(t.Context(), "k"))
		v, err := cache.Get(t.Context(), "k")
		missing(t, v, err)
	})
}

// Of Fills and Sets of a key through a view that run at once, a Fill never replaces
// what was set after it had looked.
func TestViewFillIsOneStep(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("back=", back), func(t *testing.T) {
			c := newChain(t, []chain.Tier{{Name: "disk", Store: newMap(), WriteBack: back}}, "", nil)
			v, ctx := c.Store(), t.Context()
			for round := range 500 {
				key := fmt.Sprint("k", round)
				var wg sync.WaitGroup
				var stored atomic.Int64
				for i := range 4 {
					wg.Go(func() {
						ok, err := store.Fill(ctx, v, key, store.Entry{Value: []byte{byte(i)}, Version: 1})
						if err != nil {
							t.Error(err)
						}
						if ok {
							stored.Add(1)
						}
					})
				}
				wg.Wait()
				if n := stored.Load(); n != 1 {
					t.Fatalf("round %d: %d of 4 Fills of an absent key were stored; want 1", round, n)
				}
			}
		})
	}
}
