package chain_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// table is a database table as a sink. Writes of keys that begin with "bad" fail.
type table struct {
	mu     sync.Mutex
	rows   map[string]string
	orders [][]uint64 // versions of each call
	err    error
	closed bool
}

func newTable() *table { return &table{rows: map[string]string{}} }

func (s *table) WriteMany(_ context.Context, writes []chain.Write) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	var be *store.BatchError
	var versions []uint64
	for _, w := range writes {
		versions = append(versions, w.Entry.Version)
		switch {
		case strings.HasPrefix(w.Key, "bad"):
			be = be.Add(w.Key, errBoom)
		case w.Delete:
			delete(s.rows, w.Key)
		default:
			s.rows[w.Key] = string(w.Entry.Value)
		}
	}
	s.orders = append(s.orders, versions)
	return be.ErrOrNil()
}

func (s *table) Get(_ context.Context, key string) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.rows[key]
	if !ok {
		return store.Entry{}, store.ErrNotFound
	}
	return store.Entry{Value: []byte(v)}, nil
}

func (s *table) Close() error {
	s.closed = true
	return nil
}

func (s *table) row(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key]
}

func sunk(t testing.TB, s chain.Sink, back bool, opts *chain.Options) (*chain.Chain, *chain.Cache[string], *mapStore) {
	m := newMap()
	c := newChain(t, []chain.Tier{
		{Name: "memory", Store: newObjects(0)}, {Name: "disk", Store: m}, {Name: "db", Store: chain.FromSink(s), WriteBack: back},
	}, "", opts)
	return c, chain.NewCache[string](c, nil), m
}

// Writes and deletes reach the sink in the order of their versions, in batches,
// and those that fail by themselves do not hold up the others.
func TestSinkGetsWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable()
		var letters []chain.DeadLetter
		c, cache, _ := sunk(t, db, true, &chain.Options{Pending: chain.PendingOptions{
			MaxAttempts: 3, OnDeadLetter: func(l chain.DeadLetter) { letters = append(letters, l) },
		}})
		db.rows["deleted"], db.rows["bad"] = "x", "kept"
		for i := range 50 {
			noErr(t, cache.Set(t.Context(), fmt.Sprint(i), "v"))
		}
		noErr(t, cache.Delete(t.Context(), "deleted"))
		noErr(t, cache.Set(t.Context(), "bad", "refused"))
		for range 5 { // a sink that takes others is what counts attempts
			noErr(t, cache.SetMany(t.Context(), map[string]string{"a": "1", "b": "2"}))
			time.Sleep(10 * time.Second)
		}
		flush(t, c)
		if db.row("7") != "v" || db.row("deleted") != "" || db.row("b") != "2" {
			t.Errorf("the sink has %v", db.rows)
		}
		for _, versions := range db.orders {
			if !slices.IsSorted(versions) {
				t.Errorf("a call with versions %v", versions)
			}
		}
		if len(letters) != 1 || letters[0].Key != "bad" || db.row("bad") != "kept" {
			t.Errorf("dead letters %+v; the sink has %q", letters, db.row("bad"))
		}
	})
}

// A system of record is not a cache: what expired in the queue is written all the
// same, what was loaded is not, a loader's word deletes nothing, and Clear leaves
// it alone.
func TestSinkIsNoCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newTable()
		c, cache, m := sunk(t, db, true, nil)
		db.err = errBoom
		noErr(t, cache.Set(t.Context(), "k", "v", chain.WriteOptions{TTL: time.Second}))
		time.Sleep(time.Minute)
		if _, err := cache.Get(t.Context(), "k"); err == nil {
			t.Error("an expired entry is served from the queue")
		}
		noErr(t, c.Clear(t.Context()))
		db.mu.Lock()
		db.err = nil
		db.mu.Unlock()
		flush(t, c)
		if db.row("k") != "v" {
			t.Errorf("the sink has %q", db.row("k"))
		}
		_, err := cache.GetOrLoad(t.Context(), "loaded", loads("x"))
		noErr(t, err)
		db.rows["there"] = "undecodable"
		flush(t, c)
		if db.row("loaded") != "" || in(m, "loaded") != "x" {
			t.Errorf("a load reached the sink (%q), or not the cache before it (%q)", db.row("loaded"), in(m, "loaded"))
		}
		_, _ = cache.GetOrLoad(t.Context(), "there", fails[string](store.ErrNotFound))
		noErr(t, c.Clear(t.Context()))
		flush(t, c)
		if db.row("k") != "v" || db.row("there") == "" {
			t.Errorf("after Clear the sink has %v", db.rows)
		}
	})
}

// A sink that reads serves as the last tier, and its entries fill those before it.
func TestSinkReads(t *testing.T) {
	db := newTable()
	db.rows["k"] = "v"
	c, cache, m := sunk(t, db, false, nil)
	v, err := cache.Get(t.Context(), "k")
	want(t, v, err, "v")
	r, err := cache.GetMany(t.Context(), []string{"k", "none"})
	noErr(t, err)
	if r["k"].Value != "v" {
		t.Errorf("a batch reads %+v", r)
	}
	noErr(t, cache.Set(t.Context(), "k", "w")) // written through
	noErr(t, cache.SetMany(t.Context(), map[string]string{"m": "1", "n": "2"}))
	noErr(t, cache.Delete(t.Context(), "n"))
	if db.row("k") != "w" || db.row("m") != "1" || db.row("n") != "" {
		t.Errorf("written through: %v", db.rows)
	}
	flush(t, c)
	if in(m, "k") != "w" {
		t.Errorf("the tier before it has %q", in(m, "k"))
	}
}

// A sink is the last tier, or New says so.
func TestSinkIsLast(t *testing.T) {
	_, err := chain.New([]chain.Tier{{Name: "db", Store: chain.FromSink(newTable())}, {Name: "disk", Store: newMap()}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), `tier "db" is a sink`) {
		t.Errorf("New: %v", err)
	}
	db := newTable()
	c, err := chain.New([]chain.Tier{{Name: "db", Store: chain.FromSink(db)}}, nil, nil)
	noErr(t, err)
	noErr(t, c.Close(context.Background()))
	if !db.closed {
		t.Error("the sink was not closed")
	}
}

// A bulk load around the caches reaches the system of record and removes what the
// nearer tiers hold.
func TestWriteAroundToSink(t *testing.T) {
	db, m := newTable(), newMap()
	c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(10)}, {Name: "disk", Store: m}, {Name: "db", Store: chain.FromSink(db)}},
		"rules:\n  - {keys: 'bulk:{id}', ttl: 1h, write: around}\n", nil)
	cache := chain.NewCache[string](c, nil)
	m.Plant("bulk:1", store.Entry{Value: []byte("old"), Version: 1, Codec: "text"})
	_, err := cache.Get(t.Context(), "bulk:1")
	noErr(t, err)
	noErr(t, cache.SetMany(t.Context(), map[string]string{"bulk:1": "new", "bulk:2": "new"}))
	if in(m, "bulk:1") != "" || in(m, "bulk:2") != "" || db.row("bulk:1") != "new" {
		t.Errorf("disk %q, %q; db %q", in(m, "bulk:1"), in(m, "bulk:2"), db.row("bulk:1"))
	}
	v, err := cache.Get(t.Context(), "bulk:1")
	want(t, v, err, "new")
}

// Orders go into the cache at once and into the database in batches.
func ExampleFromSink() {
	ctx := context.Background()
	database := chain.SinkFunc(func(_ context.Context, writes []chain.Write) error {
		for _, w := range writes { // one transaction of a real database
			fmt.Println("write", w.Key, string(w.Entry.Value), "delete:", w.Delete)
		}
		return nil
	})
	c, err := chain.New([]chain.Tier{
		{Name: "disk", Store: newMap()},
		{Name: "db", Store: chain.FromSink(database), WriteBack: true},
	}, nil, nil)
	if err != nil {
		panic(err)
	}
	orders := chain.NewCache[int](c, nil)
	_ = orders.Set(ctx, "order:1", 100)
	_ = orders.Set(ctx, "order:2", 250)
	_ = orders.Set(ctx, "order:1", 120)  // replaces what has not been written yet
	if err := c.Close(ctx); err != nil { // writes what waits
		panic(err)
	}
	// Output:
	// write order:2 250 delete: false
	// write order:1 120 delete: false
}
