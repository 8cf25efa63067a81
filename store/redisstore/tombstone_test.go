package redisstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// ms is a millisecond's worth of versions.
const ms = 1 << 16

func mustDelete(t testing.TB, s *Store, versions map[string]uint64) {
	t.Helper()
	if err := s.DeleteVersions(ctx, versions); err != nil {
		t.Fatal(err)
	}
}

// isAbsent fails the test unless no read finds key.
func isAbsent(t testing.TB, s *Store, key string) {
	t.Helper()
	if e, err := s.Get(ctx, key); err != store.ErrNotFound { //nolint:errorlint // it must be bare
		t.Errorf("Get(%s) = %q, %v; want it absent", key, e.Value, err)
	}
	if m, err := s.GetMany(ctx, []string{key, "another"}); err != nil || len(m) != 0 {
		t.Errorf("GetMany(%s) = %v, %v; want it absent", key, m, err)
	}
	for k, err := range s.Scan(ctx, "") {
		if err != nil || k == key {
			t.Errorf("Scan yields %s, %v", k, err)
		}
	}
}

// After a delete of version 10 nothing that is not newer can be filled in, in
// either form; what is newer can, and Set can in any case.
func TestTombstones(t *testing.T) {
	for name, opts := range map[string]Options{"framed": {}, "plain": {Wire: allPlain{}}} {
		t.Run(name, func(t *testing.T) {
			s := prefixed(t, opts)
			for _, held := range []bool{true, false} {
				key := fmt.Sprint("k", held)
				if held {
					mustSet(t, s, key, value("old", 9*ms))
				}
				mustDelete(t, s, map[string]uint64{key: 10 * ms})
				isAbsent(t, s, key)
				for _, version := range []uint64{0, 9 * ms, 10 * ms} {
					if stored, err := s.Fill(ctx, key, value("older", version)); stored || err != nil {
						t.Errorf("Fill of version %d: %v, %v; want it refused", version, stored, err)
					}
				}
				isAbsent(t, s, key)
				if stored, err := s.Fill(ctx, key, value("newer", 11*ms)); !stored || err != nil {
					t.Errorf("Fill of version 11: %v, %v; want it stored", stored, err)
				}
				if e := mustGet(t, s, key); string(e.Value) != "newer" {
					t.Errorf("Get = %q", e.Value)
				}
				mustDelete(t, s, map[string]uint64{key: 12 * ms})
				mustSet(t, s, key, value("set", 13*ms))
				if e := mustGet(t, s, key); string(e.Value) != "set" {
					t.Errorf("Get after Set = %q", e.Value)
				}
			}
		})
	}
}

// A delete that was held up does not remove what is newer, nor does it make the
// memory of a later delete shorter.
func TestLateDeleteLeavesTheNewer(t *testing.T) {
	s := prefixed(t, Options{})
	mustSet(t, s, "k", value("new", 20*ms))
	mustDelete(t, s, map[string]uint64{"k": 10 * ms})
	if e := mustGet(t, s, "k"); string(e.Value) != "new" {
		t.Errorf("Get = %q", e.Value)
	}
	for name, s := range map[string]*Store{"framed": s, "plain": prefixed(t, Options{Wire: allPlain{}})} {
		mustDelete(t, s, map[string]uint64{"gone": 20 * ms})
		mustDelete(t, s, map[string]uint64{"gone": 10 * ms})
		if stored, err := s.Fill(ctx, "gone", value("between", 15*ms)); stored || err != nil {
			t.Errorf("%s: Fill between two deletes: %v, %v; want it refused", name, stored, err)
		}
	}
}

// With a feed, or with NewestWins, a Set from before a delete does not undo it.
func TestLateSetDoesNotUndoADelete(t *testing.T) {
	ordered, fed := prefixed(t, Options{NewestWins: true}), prefixed(t, Options{})
	newFeed(t, fed, nil)
	for _, s := range []*Store{ordered, fed} {
		mustDelete(t, s, map[string]uint64{"k": 10 * ms})
		mustSet(t, s, "k", value("late", 9*ms))
		isAbsent(t, s, "k")
		mustSet(t, s, "l", value("new", 9*ms))
		mustSet(t, s, "l", value("late", 8*ms))
		if e := mustGet(t, s, "l"); string(e.Value) != "new" {
			t.Errorf("a late Set replaced a newer one: %q", e.Value)
		}
	}
}

// What remembers a delete goes away by itself, and Clear removes it.
func TestTombstonesEnd(t *testing.T) {
	for name, opts := range map[string]Options{"framed": {}, "plain": {Wire: allPlain{}}} {
		t.Run(name, func(t *testing.T) {
			opts.Tombstone = 20 * time.Millisecond
			s := prefixed(t, opts)
			mustDelete(t, s, map[string]uint64{"k": 10 * ms})
			redistest.Eventually(t, 10*time.Second, "the delete is forgotten", func() bool {
				stored, err := s.Fill(ctx, "k", value("v", 9*ms))
				if err != nil {
					t.Fatal(err)
				}
				return stored
			})
		})
	}
	s := prefixed(t, Options{})
	mustDelete(t, s, map[string]uint64{"a": 10 * ms, "b": 10 * ms})
	if err := s.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.client.Keys(ctx, s.opts.Prefix+"*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("Clear left %v, %v", keys, err)
	}
	if got := prefixed(t, Options{Tombstone: -1}); got.TombstoneTTL() != 0 {
		t.Errorf("TombstoneTTL without tombstones: %v", got.TombstoneTTL())
	}
}

// A delete removes what another program put there, of whatever type, and works
// where the server does not know the script.
func TestTombstoneOverForeignValues(t *testing.T) {
	server := redistest.Start(t)
	for name, opts := range map[string]Options{"framed": {}, "plain": {Wire: allPlain{}}} {
		t.Run(name, func(t *testing.T) {
			s := single(t, server.Addr, opts)
			client := server.Client(t)
			server.Do(t, "FLUSHALL")
			for key, put := range map[string]error{
				"hash":   client.HSet(ctx, "f:hash", "a", "b").Err(),
				"bare":   client.Set(ctx, "f:bare", "x", 0).Err(),
				"empty":  client.Set(ctx, "f:empty", "", 0).Err(),
				"short":  client.Set(ctx, "f:short", "\xc1st", 0).Err(),
				"absent": nil,
			} {
				if put != nil {
					t.Fatal(put)
				}
				server.Do(t, "SCRIPT", "FLUSH")
				mustDelete(t, s, map[string]uint64{key: 5 * ms})
				isAbsent(t, s, key)
				if stored, err := s.Fill(ctx, key, value("late", 5*ms)); stored || err != nil {
					t.Errorf("%s: Fill: %v, %v", key, stored, err)
				}
			}
		})
	}
}

// Deletes of many keys, with some that cannot be.
func TestDeleteVersionsOfMany(t *testing.T) {
	s := prefixed(t, Options{Wire: pricesPlain{}})
	versions, keys := map[string]uint64{"": 1}, []string{}
	for i := range 1100 {
		key := fmt.Sprintf("info:%d", i)
		if i%2 == 0 {
			key = fmt.Sprintf("price:%d", i)
		}
		mustSet(t, s, key, value("v", 1*ms))
		versions[key] = uint64(i+2) * ms
		keys = append(keys, key)
	}
	err := s.DeleteVersions(ctx, versions)
	var be *store.BatchError
	if !errors.As(err, &be) || len(be.Errs) != 1 || !errors.Is(be.Errs[""], store.ErrInvalidKey) {
		t.Errorf("DeleteVersions: %v; want an error for the empty key only", err)
	}
	if m, err := s.GetMany(ctx, keys); err != nil || len(m) != 0 {
		t.Errorf("%d keys are left, %v", len(m), err)
	}
	for _, key := range keys {
		if stored, err := s.Fill(ctx, key, value("late", versions[key])); stored || err != nil {
			t.Fatalf("Fill(%s): %v, %v", key, stored, err)
		}
	}
}

// While a slot moves, deletes and what follows them find their key.
func testTombstonesInCluster(t *testing.T, c *redistest.Cluster) {
	framed, plain := clustered(t, c, Options{}), clustered(t, c, Options{Wire: allPlain{}})
	check := func() {
		for i, s := range []*Store{framed, plain} {
			mustSet(t, s, "{grave}k", value("v", 1*ms))
			mustDelete(t, s, map[string]uint64{"{grave}k": 2 * ms})
			isAbsent(t, s, "{grave}k")
			stored, err := s.Fill(ctx, "{grave}k", value("late", 1*ms))
			// The fill of a plain key looks at two keys, which a Cluster refuses
			// while their slot moves.
			if stored || err != nil && (i == 0 || !redis.HasErrorPrefix(err, "TRYAGAIN")) {
				t.Errorf("Fill: %v, %v", stored, err)
			}
		}
	}
	check()
	c.MoveSlot(t, framed.opts.Prefix+"{grave}", check)
	check()
	for _, s := range []*Store{framed, plain} { // no hash tag can stand for this name
		mustDelete(t, s, map[string]uint64{"a}b": 2 * ms})
		isAbsent(t, s, "a}b")
	}
}

func TestTombstoneFrame(t *testing.T) {
	b := frame.Tombstone("k", 7, time.Now().Add(time.Minute))
	if !frame.Deleted(b) {
		t.Error("a tombstone is not known by its header")
	}
	if _, err := frame.Decode("k", b); err != store.ErrNotFound { //nolint:errorlint // it must be bare
		t.Errorf("Decode: %v", err)
	}
	if _, err := frame.Decode("other", b); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Decode under another key: %v", err)
	}
}
