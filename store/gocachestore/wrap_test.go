package gocachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/marshaler"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// strataRedis returns a strata store on Redis, framed, with a prefix of its own.
func strataRedis(t testing.TB) (*redisstore.Store, string) {
	t.Helper()
	prefix := redistest.Prefix()
	s, err := redisstore.Connect(&redisstore.Config{Addrs: []string{redistest.Shared(t).Addr}}, &redisstore.Options{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, prefix
}

// each runs f over every kind of store below a Wrap.
func each(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Run("map", func(t *testing.T) { f(t, mapstore.New()) })
	t.Run("redis", func(t *testing.T) {
		s, _ := strataRedis(t)
		f(t, s)
	})
}

func TestWrapKeepsTheTypeThatWasSet(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		g := Wrap(s)
		for _, v := range []any{"text", []byte("bytes"), "", []byte{}} {
			if err := g.Set(ctx, "k", v); err != nil {
				t.Fatal(err)
			}
			got, err := g.Get(ctx, "k")
			if err != nil || fmt.Sprintf("%T %s", got, got) != fmt.Sprintf("%T %s", v, v) {
				t.Errorf("%T %q came back as %T %q, %v", v, v, got, got, err)
			}
		}
		for values, want := range map[Values]string{Strings: "string", Bytes: "[]uint8"} {
			got, err := WrapWith(s, &WrapOptions{Values: values}).Get(ctx, "k")
			if err != nil || fmt.Sprintf("%T", got) != want {
				t.Errorf("with Values %d: %T, %v", values, got, err)
			}
		}
	})
}

// gocache's Redis store takes a number, returns a string, and its Cache then
// returns 0 and nil.
func TestWrapCuresTheSilentTypeMismatch(t *testing.T) {
	_, c := gocacheRedis(t)
	key := redistest.Prefix() + "n"
	peer := cache.New[int](redis_store.NewRedis(c))
	if err := peer.Set(ctx, key, 42); err != nil {
		t.Fatal(err)
	}
	if n, err := peer.Get(ctx, key); n != 0 || err != nil {
		t.Errorf("gocache returned %d, %v: this test needs no more to be", n, err)
	}
	ours := cache.New[int](Wrap(mapstore.New()))
	var serr *store.Error
	if err := ours.Set(ctx, key, 42); !errors.Is(err, ErrValueType) || !errors.As(err, &serr) {
		t.Errorf("Set of an int: %v, want ErrValueType", err)
	}
	if _, err := ours.Get(ctx, key); err == nil {
		t.Error("Get of what could not be set: no error")
	}
	// []byte set, []byte read: "" and nil in gocache, the value here.
	peerBytes := cache.New[[]byte](redis_store.NewRedis(c))
	oursBytes := cache.New[[]byte](Wrap(mapstore.New()))
	for _, c := range []*cache.Cache[[]byte]{peerBytes, oursBytes} {
		if err := c.Set(ctx, key, []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := peerBytes.Get(ctx, key); v != nil || err != nil {
		t.Errorf("gocache returned %q, %v: this test needs no more to be", v, err)
	}
	if v, err := oursBytes.Get(ctx, key); string(v) != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

func TestWrapNotFoundIsBothKinds(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		_, err := Wrap(s).Get(ctx, "absent")
		var notFound *lib_store.NotFound
		if !errors.As(err, &notFound) || !errors.Is(err, lib_store.NotFound{}) || !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v is not both errors", err)
		}
		if _, _, err := Wrap(s).GetWithTTL(ctx, "absent"); !errors.As(err, &notFound) {
			t.Errorf("GetWithTTL: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Wrap(s).Get(ctx, "absent"); !errors.Is(err, store.ErrClosed) || errors.As(err, &notFound) {
			t.Errorf("a failure is taken for a miss: %v", err)
		}
	})
}

type pointer struct{ name string }

func (p *pointer) String() string { return p.name }

type generator struct{}

func (generator) GetCacheKey() string { return "generated" }

func TestWrapKeys(t *testing.T) {
	g := Wrap(mapstore.New())
	u := &url.URL{Scheme: "https", Host: "example.org"}
	for key, want := range map[any]string{"k": "k", u: "https://example.org", generator{}: "generated"} {
		if err := g.Set(ctx, key, want); err != nil {
			t.Errorf("%v: %v", key, err)
		}
		if got, err := g.Get(ctx, want); err != nil || got != want {
			t.Errorf("%v is not stored as %q: %v, %v", key, want, got, err)
		}
		if err := g.Delete(ctx, key); err != nil {
			t.Error(err)
		}
	}
	var none *pointer
	for _, key := range []any{42, nil, struct{ A, B string }{"a", "b"}, []byte("k"), none, ""} {
		if err := g.Set(ctx, key, "v"); !errors.Is(err, store.ErrInvalidKey) {
			t.Errorf("Set with key %T: %v", key, err)
		}
		if _, err := g.Get(ctx, key); !errors.Is(err, store.ErrInvalidKey) {
			t.Errorf("Get with key %T: %v", key, err)
		}
		if err := g.Delete(ctx, key); !errors.Is(err, store.ErrInvalidKey) {
			t.Errorf("Delete with key %T: %v", key, err)
		}
	}
}

func TestWrapTimesToLive(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		g := Wrap(s)
		for _, ttl := range []time.Duration{400 * time.Millisecond, 1700 * time.Millisecond, time.Hour} {
			if err := g.Set(ctx, "k", "v", lib_store.WithExpiration(ttl)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := g.GetWithTTL(ctx, "k"); err != nil || got > ttl || got < ttl-300*time.Millisecond {
				t.Errorf("TTL %v came back as %v, %v", ttl, got, err)
			}
		}
		// -1 is what gocache's chain passes for a persistent key of Redis.
		for _, ttl := range []time.Duration{0, -1} {
			if err := g.Set(ctx, "k", "v", lib_store.WithExpiration(ttl)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := g.GetWithTTL(ctx, "k"); err != nil || got != 0 {
				t.Errorf("expiration %v came back as %v, %v; want 0, for never", ttl, got, err)
			}
		}
		if err := g.Set(ctx, "k", "v", lib_store.WithExpiration(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an expired value: %v", err)
		}
		defaulted := WrapWith(s, &WrapOptions{Expiration: time.Minute})
		if err := defaulted.Set(ctx, "k", "v"); err != nil {
			t.Fatal(err)
		}
		if _, got, err := g.GetWithTTL(ctx, "k"); err != nil || got <= 0 || got > time.Minute {
			t.Errorf("the default expiration came back as %v, %v", got, err)
		}
	})
}

func TestWrapClearKeepsToThePrefix(t *testing.T) {
	s, _ := strataRedis(t)
	_, c := gocacheRedis(t)
	other := redistest.Prefix() + "other"
	if err := c.Set(ctx, other, "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	g := Wrap(s)
	if err := g.Set(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := g.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after Clear: %v", err)
	}
	if n := c.Exists(ctx, other).Val(); n != 1 {
		t.Error("Clear removed the key of another program")
	}
}

// On gocache's ristretto store 99 of 100 tagged keys survived an invalidation.
func TestWrapTagsAreNotLost(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		g := Wrap(s)
		for i := range 300 {
			tags := []string{"all", fmt.Sprint("market:", i%3)}
			if err := g.Set(ctx, fmt.Sprint("k", i), "v", lib_store.WithTags(tags)); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Set(ctx, "untagged", "v"); err != nil {
			t.Fatal(err)
		}
		if err := g.Invalidate(ctx); err != nil {
			t.Fatal(err)
		}
		left := func() (n int) {
			for i := range 300 {
				if _, err := g.Get(ctx, fmt.Sprint("k", i)); err == nil {
					n++
				}
			}
			return n
		}
		if n := left(); n != 300 {
			t.Fatalf("an invalidation without tags left %d of 300", n)
		}
		if err := g.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"market:1", "none"})); err != nil {
			t.Fatal(err)
		}
		if n := left(); n != 200 {
			t.Errorf("%d of 200 other keys survive", n)
		}
		if err := g.Invalidate(ctx, lib_store.WithInvalidateTags([]string{"all"})); err != nil {
			t.Fatal(err)
		}
		if n := left(); n != 0 {
			t.Errorf("%d tagged keys survive", n)
		}
		if _, err := g.Get(ctx, "untagged"); err != nil {
			t.Errorf("an untagged key is gone: %v", err)
		}
	})
}

// tagged is a store that invalidates tags itself, as a chain does.
type tagged struct {
	store.Store
	got []string
}

func (s *tagged) InvalidateTags(_ context.Context, tags ...string) error {
	s.got = append(s.got, tags...)
	return nil
}

func TestWrapLetsAChainInvalidate(t *testing.T) {
	s := &tagged{Store: mapstore.New()}
	if err := Wrap(s).Invalidate(ctx, lib_store.WithInvalidateTags([]string{"a", "b"})); err != nil || fmt.Sprint(s.got) != "[a b]" {
		t.Errorf("%v, %v", s.got, err)
	}
}

func TestWrapOwnsItsBytes(t *testing.T) {
	g := Wrap(mapstore.New())
	mine := []byte("value")
	if err := g.Set(ctx, "k", mine); err != nil {
		t.Fatal(err)
	}
	copy(mine, "XXXXX")
	got, err := g.Get(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	copy(got.([]byte), "YYYYY")
	if again, err := g.Get(ctx, "k"); err != nil || !bytes.Equal(again.([]byte), []byte("value")) {
		t.Errorf("the stored bytes became %q, %v", again, err)
	}
}

// A slow load of a strata program must not undo what a gocache program has set.
func TestWrapStampsVersions(t *testing.T) {
	s, _ := strataRedis(t)
	if err := Wrap(s).Set(ctx, "k", "set"); err != nil {
		t.Fatal(err)
	}
	if stored, err := s.Fill(ctx, "k", store.Entry{Value: []byte("old load"), Version: 1}); err != nil || stored {
		t.Errorf("an old load replaced a Set: %v, %v", stored, err)
	}
}

func TestWrapUnderGocachesCaches(t *testing.T) {
	type quote struct {
		Symbol string
		Price  float64
	}
	each(t, func(t *testing.T, s store.Store) {
		g := Wrap(s)
		t.Run("marshaler", func(t *testing.T) {
			m := marshaler.New(cache.New[any](g))
			if err := m.Set(ctx, "q", quote{"AAPL", 123.45}, lib_store.WithExpiration(time.Minute)); err != nil {
				t.Fatal(err)
			}
			var got quote
			if _, err := m.Get(ctx, "q", &got); err != nil || got != (quote{"AAPL", 123.45}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
		t.Run("loadable", func(t *testing.T) {
			loads := 0
			l := cache.NewLoadable(func(_ context.Context, key any) (string, []lib_store.Option, error) {
				loads++
				return fmt.Sprint("loaded ", key), []lib_store.Option{lib_store.WithExpiration(time.Minute)}, nil
			}, cache.New[string](g))
			if v, err := l.Get(ctx, "l"); err != nil || v != "loaded l" {
				t.Errorf("%q, %v", v, err)
			}
			if err := l.Close(); err != nil { // waits for the write
				t.Fatal(err)
			}
			if v, err := g.Get(ctx, "l"); err != nil || v != "loaded l" || loads != 1 {
				t.Errorf("stored: %v, %v, after %d loads", v, err, loads)
			}
		})
		t.Run("codec", func(t *testing.T) {
			c := cache.New[string](g)
			if err := c.Set(ctx, "c", "v"); err != nil {
				t.Fatal(err)
			}
			_, _ = c.Get(ctx, "c")
			_, _ = c.Get(ctx, "absent")
			if st := c.GetCodec().GetStats(); st.Hits != 1 || st.Miss != 1 || c.GetCodec().GetStore().GetType() != StrataType {
				t.Errorf("%+v", st)
			}
		})
	})
}

// gocache's chain, with strata stores on both levels: a time to live of 400 ms,
// and none at all, survive the way from the lower to the upper.
func TestWrapUnderGocachesChain(t *testing.T) {
	upper, lower := Wrap(mapstore.New()), Wrap(mapstore.New())
	chain := cache.NewChain[string](cache.New[string](upper), cache.New[string](lower))
	for key, ttl := range map[string]time.Duration{"short": 400 * time.Millisecond, "never": 0} {
		if err := lower.Set(ctx, key, "v", lib_store.WithExpiration(ttl)); err != nil {
			t.Fatal(err)
		}
		if v, err := chain.Get(ctx, key); err != nil || v != "v" {
			t.Fatalf("%q, %v", v, err)
		}
		_, got, err := upper.GetWithTTL(ctx, key)
		for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // the chain fills in the background
			_, got, err = upper.GetWithTTL(ctx, key)
		}
		if ttl == 0 && (err != nil || got != 0) || ttl > 0 && (errors.Is(err, nil) && (got <= 0 || got > ttl)) {
			t.Errorf("%s: TTL %v was promoted as %v, %v", key, ttl, got, err)
		}
	}
}
