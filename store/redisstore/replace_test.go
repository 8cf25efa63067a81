package redisstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// Replace exchanges the entry that was read, and nothing else that it cannot tell
// the age of.
func TestReplace(t *testing.T) {
	for name, opts := range map[string]Options{"plain": {Wire: allPlain{}}, "framed": {}} {
		t.Run(name, func(t *testing.T) {
			s, ctx := prefixed(t, opts), t.Context()
			for i, c := range []struct {
				held, old *store.Entry
				stored    bool
			}{
				{nil, &store.Entry{}, true},
				{&store.Entry{Value: []byte("x")}, &store.Entry{Value: []byte("x")}, true},
				{&store.Entry{Value: []byte("x"), Version: 1 << 40}, &store.Entry{Value: []byte("x"), Version: 1 << 40}, true}, // from the future
				{&store.Entry{Value: []byte("y"), Version: 1 << 40}, &store.Entry{Value: []byte("x"), Version: 1 << 39}, false},
			} {
				key := fmt.Sprint("k", i)
				if c.held != nil {
					c.held.Expires = time.Now().Add(time.Minute).Truncate(time.Microsecond)
					c.old.Expires = c.held.Expires
					if err := s.Set(ctx, key, *c.held); err != nil {
						t.Fatal(err)
					}
				}
				e := store.Entry{Value: []byte("new"), Version: 7, Expires: time.Now().Add(time.Hour)}
				stored, err := s.Replace(ctx, key, *c.old, e)
				if err != nil || stored != c.stored {
					t.Fatalf("case %d: stored %v, %v; want %v", i, stored, err, c.stored)
				}
				got, err := s.Get(ctx, key)
				if err != nil || (string(got.Value) == "new") != c.stored {
					t.Fatalf("case %d: holds %q, %v", i, got.Value, err)
				}
				if left, _ := got.TTL(time.Now()); c.stored && (left > time.Hour || left < 59*time.Minute) {
					t.Errorf("case %d: lives for %v; want an hour", i, left)
				}
			}
		})
	}
}

// Touch renews the deadlines of the entry that is meant, and of no other.
func TestTouch(t *testing.T) {
	for name, opts := range map[string]Options{"plain": {Wire: allPlain{}}, "framed": {}} {
		t.Run(name, func(t *testing.T) {
			s, ctx := prefixed(t, opts), t.Context()
			old := store.Entry{Value: make([]byte, 100_000), Version: 5, Expires: time.Now().Add(time.Minute), Codec: "bytes"}
			if err := s.Set(ctx, "k", old); err != nil {
				t.Fatal(err)
			}
			e := store.Entry{Version: 6, Expires: time.Now().Add(time.Hour)}
			if done, err := s.Touch(ctx, "k", old, e); err != nil || !done {
				t.Fatalf("%v, %v", done, err)
			}
			got, err := s.Get(ctx, "k")
			if left, _ := got.TTL(time.Now()); err != nil || len(got.Value) != 100_000 || left > time.Hour || left < 59*time.Minute {
				t.Fatalf("%d bytes for %v, %v", len(got.Value), left, err)
			}
			if name == "framed" && (got.Version != 6 || got.Codec != "bytes") {
				t.Errorf("version %d, codec %q", got.Version, got.Codec)
			}
			other := store.Entry{Value: []byte("other"), Version: 4, Expires: time.Now().Add(time.Minute)}
			for what, f := range map[string]func() (bool, error){
				"another entry": func() (bool, error) { return s.Touch(ctx, "k", other, e) },
				"an absent key": func() (bool, error) { return s.Touch(ctx, "absent", old, e) },
				"a past deadline": func() (bool, error) {
					return s.Touch(ctx, "k", old, store.Entry{Version: 7, Expires: time.Now().Add(-time.Second)})
				},
			} {
				if done, err := f(); done || err != nil {
					t.Errorf("%s: %v, %v; want false", what, done, err)
				}
			}
			if _, err := s.Touch(ctx, "", old, e); !errors.Is(err, store.ErrInvalidKey) {
				t.Error(err)
			}
		})
	}
}
