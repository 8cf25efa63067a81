package memstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/stratacache/strata/internal/index"
)

// TestShiftingReads: where what is read changes steadily, what is not read any more
// makes room, however often it was read. By frequency alone it would stay.
func TestShiftingReads(t *testing.T) {
	const room, set, step, days, perDay = 1000, 600, 30, 60, 2
	var reads []string
	for day := range days {
		for range perDay {
			for i := range set {
				reads = append(reads, fmt.Sprint("day:", day*step+i))
			}
		}
	}
	const least = set + (days-1)*step // each key once

	raw, err := ristretto.NewCache(&ristretto.Config[string, any]{NumCounters: 10 * room, MaxCost: room, BufferItems: 64, IgnoreInternalCost: true})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	alone := 0
	for _, key := range reads {
		if _, ok := raw.Get(key); !ok {
			alone++
			raw.Set(key, 1, 1)
			raw.Wait()
		}
	}

	s, err := newSized(sized(room, perEntry+16), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	misses := 0
	for _, key := range reads {
		if _, ok := s.GetObject(key); ok {
			continue
		}
		misses++
		if err := s.SetObject(key, new(indexed), 0, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d reads: %d misses, at least %d; the engine alone %d", len(reads), misses, least, alone)
	if misses > 2*least {
		t.Errorf("%d misses of %d keys", misses, least)
	}
}

// TestRemoveIdle: an idle entry goes as an evicted one does; not if it has been written
// since, nor if somebody else is about to write it.
func TestRemoveIdle(t *testing.T) {
	var gone []any
	s, err := New(&Options{OnEvict: func(obj any) { gone = append(gone, obj) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k, sh := s.index.Key("k"), s.shard("k")
	own := &s.shards[0]
	if own == sh {
		own = &s.shards[1]
	}
	c := s.give("k", "first", 100)
	older := header(t, s, c, k)
	s.index.Put(k, older, 1)
	sh.mu.Lock()
	if s.removeIdle(own, c, older) || s.inEngine(k) == nil {
		t.Error("an entry went while another writer had its shard")
	}
	s.index.Withdraw(k)
	newer := s.header("k", "second")
	if !c.Exchange(newer) {
		t.Fatal("not exchanged")
	}
	s.index.Put(k, newer, 1)
	sh.mu.Unlock()
	if s.removeIdle(own, c, older) || s.inEngine(k) == nil || s.index.Peek(k) == nil {
		t.Error("an entry went that had been written since")
	}
	if !s.removeIdle(own, c, newer) || !c.Gone() || s.inEngine(k) != nil || s.index.Peek(k) != nil {
		t.Error("an idle entry stays")
	}
	s.cache.Wait()
	if n := s.live.Load(); n != 0 || len(gone) != 1 || gone[0] != "second" || s.evictions.Load() != 1 {
		t.Errorf("%d entries are left, evicted %v", n, gone)
	}
	if s.removeIdle(own, c, newer) {
		t.Error("it went twice")
	}
}

func header(t *testing.T, s *Store, c *index.Cell, k index.Key) *index.Header {
	t.Helper()
	o, ok := c.Object(k).(index.Object)
	if !ok {
		t.Fatal("the cell is empty")
	}
	return o.IndexHeader()
}

// TestSweepTells: the policy is told of reads by who writes, once the store is filling
// up, and of no read twice.
func TestSweepTells(t *testing.T) {
	s, err := newSized(sizing{counters: 1000, main: 100_000, window: 1000, windowItems: 64, maxEntry: 1000, index: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k, sh := s.index.Key("k"), s.shard("k")
	h := header(t, s, s.give("k", "v", 100), k)
	s.index.Put(k, h, 1)
	if _, ok := s.GetObject("k"); !ok {
		t.Fatal("not found")
	}
	sweep := func() {
		s.sweep(&shard{flight: make([]*slot, 8), maxItems: sh.maxItems}, s.adjust())
	}
	if sweep(); !h.Untold() {
		t.Error("the policy was told although there is room for all")
	}
	s.index.NextEpoch()
	s.GetObject("k")
	s.give("other", "v", 99_000)
	if sweep(); h.Untold() {
		t.Error("the policy was not told of a read")
	}
}

// TestKeysOfOneHash: the engine knows keys by one hash. Of two that share it, it has
// one, which never passes for the other, and nothing stays in the index that the engine
// does not have.
func TestKeysOfOneHash(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := s.index.Key("a")
	b := index.Key{Hash: a.Hash, Check: a.Check + 1}
	sh := s.shardOf(a)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	store := func(key string, k index.Key) {
		s.write(sh, key, k, key, 100, false)
		sh.fly(sh.slots[key])
		s.send(sh)
		s.land(sh)
	}
	for range 2 {
		store("a", a)
		if obj := s.inEngine(a); public(obj) != "a" || s.inEngine(b) != nil || public(s.index.Peek(a)) != "a" {
			t.Fatalf("after a was written the engine has %v, for b %v", public(obj), s.inEngine(b))
		}
		store("b", b)
		if obj := s.inEngine(b); public(obj) != "b" || s.inEngine(a) != nil || s.index.Peek(a) != nil {
			t.Fatalf("after b was written the engine has %v, for a %v, the index for a %v", public(obj), s.inEngine(a), s.index.Peek(a))
		}
	}
	if n := s.live.Load(); n != 1 {
		t.Errorf("%d cells are alive", n)
	}
}
