package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func clustered(t testing.TB, c *redistest.Cluster, opts Options) *Store {
	t.Helper()
	opts.Prefix = redistest.Prefix()
	s, err := Connect(&Config{Addrs: c.Addrs(), Cluster: true}, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	t.Run("Conformance", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) store.Store { return clustered(t, c, Options{}) }, &storetest.Options{Rounds: 20, DeadlineSlack: arrival})
	})
	t.Run("Batches", func(t *testing.T) { testClusterBatches(t, c) })
	t.Run("LeasedWrites", func(t *testing.T) { testBreakLeases(t, clustered(t, c, Options{})) })
	t.Run("Reshard", func(t *testing.T) { testReshard(t, c) })
	t.Run("Tombstones", func(t *testing.T) { testTombstonesInCluster(t, c) })
	t.Run("NodeDown", func(t *testing.T) { testNodeDown(t, c) })
}

// Batches, Scan and Clear reach every node, and Clear nobody else's keys.
func testClusterBatches(t *testing.T, c *redistest.Cluster) {
	s, other := clustered(t, c, Options{Wire: pricesPlain{}}), clustered(t, c, Options{})
	entries, keys := map[string]store.Entry{}, []string{}
	for i := range 900 {
		key := fmt.Sprintf("info:%d", i)
		if i%3 == 0 {
			key = fmt.Sprintf("price:%d", i)
		}
		keys = append(keys, key)
		entries[key] = store.Entry{Value: fmt.Append(nil, i), Expires: time.Now().Add(time.Hour)}
	}
	for _, s := range []*Store{s, other} {
		if err := s.SetMany(ctx, entries); err != nil {
			t.Fatal(err)
		}
	}
	for i, node := range c.Nodes {
		if n, ok := node.Do(t, "DBSIZE").(int64); !ok || n < 100 {
			t.Errorf("node %d has %d keys: the batch was not spread", i, n)
		}
	}
	got, err := s.GetMany(ctx, append([]string{"absent"}, keys...))
	if err != nil || len(got) != len(keys) {
		t.Fatalf("GetMany: %d entries, %v", len(got), err)
	}
	seen := map[string]bool{}
	for key, err := range s.Scan(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		seen[key] = true
	}
	if len(seen) != len(keys) {
		t.Errorf("Scan saw %d of %d keys", len(seen), len(keys))
	}
	if err := s.DeleteMany(ctx, keys[:300]); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetMany(ctx, keys); err != nil || len(got) != 0 {
		t.Errorf("after Clear: %d entries, %v", len(got), err)
	}
	if got, err := other.GetMany(ctx, keys); err != nil || len(got) != len(keys) {
		t.Errorf("Clear left %d of %d entries of another prefix, %v", len(got), len(keys), err)
	}
	if err := other.Clear(ctx); err != nil {
		t.Error(err)
	}
}

// While a slot moves (ASK) and after it has (MOVED), every call finds its key.
func testReshard(t *testing.T, c *redistest.Cluster) {
	s := clustered(t, c, Options{})
	const tag = "{moving}"
	check := func(when string) {
		for i := range 5 {
			key := fmt.Sprint(tag, i)
			if e, err := s.Get(ctx, key); err != nil || string(e.Value) != key {
				t.Errorf("%s: Get(%s) = %q, %v", when, key, e.Value, err)
			}
		}
		m, err := s.GetMany(ctx, []string{tag + "0", tag + "1", tag + "absent"})
		if err != nil || len(m) != 2 {
			t.Errorf("%s: GetMany = %v, %v", when, m, err)
		}
		mustSet(t, s, tag+"new", store.Entry{Value: []byte(when), Version: 1})
		if e, err := s.Get(ctx, tag+"new"); err != nil || string(e.Value) != when {
			t.Errorf("%s: a new key: %q, %v", when, e.Value, err)
		}
		if stored, err := s.Fill(ctx, tag+"new", store.Entry{Version: 2, Value: []byte("filled")}); !stored || err != nil {
			t.Errorf("%s: Fill: %v, %v", when, stored, err)
		}
		if err := s.Delete(ctx, tag+"new"); err != nil {
			t.Errorf("%s: Delete: %v", when, err)
		}
	}
	for i := range 5 {
		key := fmt.Sprint(tag, i)
		mustSet(t, s, key, store.Entry{Value: []byte(key), Version: 1})
	}
	check("before")
	c.MoveSlot(t, s.opts.Prefix+tag, func() { check("meanwhile") })
	check("after")
}

// A node that is gone is an error for its keys, never a miss.
func testNodeDown(t *testing.T, c *redistest.Cluster) {
	s := clustered(t, c, Options{})
	entries, keys := map[string]store.Entry{}, []string{}
	for i := range 60 {
		key := fmt.Sprint("k", i)
		keys = append(keys, key)
		entries[key] = store.Entry{Value: []byte(key)}
	}
	if err := s.SetMany(ctx, entries); err != nil {
		t.Fatal(err)
	}
	c.Nodes[2].Stop(t)
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	got, err := s.GetMany(bound, keys)
	for _, key := range keys {
		e, found := got[key]
		kerr := store.KeyError(err, key)
		if found == (kerr != nil) || found && string(e.Value) != key || errors.Is(kerr, store.ErrNotFound) {
			t.Errorf("%s: %q, found %v, error %v", key, e.Value, found, kerr)
		}
	}
	if err == nil {
		t.Error("a third of the keys has no node, and no error")
	}
	redistest.Eventually(t, 30*time.Second, "the cluster is down", func() bool {
		return strings.Contains(fmt.Sprint(c.Nodes[0].Do(t, "CLUSTER", "INFO")), "cluster_state:fail")
	})
	bound, cancel = context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	down := 0
	for _, key := range keys[:12] { // the keys of nodes that live are refused too
		_, err := s.Get(bound, key)
		isTyped(t, key, err)
		if err != nil && strings.Contains(err.Error(), "CLUSTERDOWN") {
			down++
		}
	}
	if down == 0 {
		t.Error("no call was refused with CLUSTERDOWN")
	}
}

// watched is a store on a master that a Sentinel watches.
func watched(t *testing.T) (*redistest.Sentinel, *Store) {
	t.Helper()
	g := redistest.StartSentinel(t)
	s, err := Connect(&Config{
		Addrs: []string{g.Addr}, MasterName: redistest.MasterName, ReadTimeout: 300 * time.Millisecond,
	}, &Options{Prefix: "f:"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return g, s
}

// A failover under writes: errors for a while, then everything goes on, and no
// read gives a value that was never written.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	g, s := watched(t)
	mustSet(t, s, "kept", store.Entry{Value: []byte("v"), Version: 1})
	redistest.Eventually(t, 10*time.Second, "the write is replicated", func() bool {
		n, ok := g.Replica.Do(t, "EXISTS", "f:kept").(int64)
		return ok && n == 1
	})
	g.Master.Stop(t)
	failed := 0
	redistest.Eventually(t, 60*time.Second, "writes work again", func() bool {
		bound, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := s.Set(bound, "after", store.Entry{Value: []byte("w")})
		if err != nil {
			isTyped(t, "Set", err)
			failed++
		}
		return err == nil
	})
	if failed == 0 {
		t.Error("the master was gone, and nothing failed: no failover was tested")
	}
	if e := mustGet(t, s, "kept"); string(e.Value) != "v" || e.Version != 1 {
		t.Errorf("%q version %d", e.Value, e.Version)
	}
}
