package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/push"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// quick looks often whether all is well.
var quick = FeedOptions{Block: 20 * time.Millisecond, Probe: 20 * time.Millisecond}

func newTracking(t testing.TB, s *Store, opts *FeedOptions) *TrackingFeed {
	t.Helper()
	f, err := s.TrackingFeed(opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var noContext push.NotificationHandlerContext

func touch(key string) store.Change { return store.Change{Kind: store.ChangeTouch, Key: key} }

// got returns what was heard until now.
func (fo *follower) got() []store.Change {
	return fo.now().changes
}

// hears waits for a change, and forgets what was heard until then.
func (fo *follower) hears(t testing.TB, ch store.Change) {
	t.Helper()
	fo.until(t, fmt.Sprint(ch), func() bool {
		ok := slices.Contains(fo.changes, ch)
		if ok {
			fo.changes = nil
		}
		return ok
	})
}

// What any program does to a key is told: it is written, many are, it is deleted, its
// deadline is moved, it is of another type. The store's own writes are told as well.
func TestTrackingTellsOfForeignWrites(t *testing.T) {
	s := prefixed(t, Options{})
	fo := follow(t, newTracking(t, s, nil), "")
	raw := redistest.Shared(t).Client(t)
	name := func(key string) string { return s.opts.Prefix + key }
	for what, do := range map[string]func(key string) error{
		"SET":    func(key string) error { return raw.Set(ctx, name(key), "101.5", time.Minute).Err() },
		"MSET":   func(key string) error { return raw.MSet(ctx, "elsewhere", 1, name(key), 2).Err() },
		"HSET":   func(key string) error { return raw.HSet(ctx, name(key), "a", 1).Err() },
		"EXPIRE": func(key string) error { return raw.Expire(ctx, name(key), time.Hour).Err() },
		"store":  func(key string) error { return s.Set(ctx, key, store.Entry{Value: []byte("v"), Version: 7}) },
		"script": func(key string) error {
			return raw.Eval(ctx, "return redis.call('SET', KEYS[1], 1)", []string{name(key)}).Err()
		},
	} {
		key := "price:" + what
		if what == "EXPIRE" {
			mustSet(t, s, key, store.Entry{Value: []byte("v")})
			fo.hears(t, touch(key))
		}
		if err := do(key); err != nil {
			t.Fatal(what, err)
		}
		fo.hears(t, touch(key))
		if err := raw.Del(ctx, name(key)).Err(); err != nil {
			t.Fatal(err)
		}
		fo.hears(t, touch(key))
	}
}

// An expiry is told. A server tells once of a key that is written and expires within one
// turn of its loop, so it expires nothing here until its write was heard.
func TestTrackingTellsOfExpiry(t *testing.T) {
	srv := redistest.Start(t, "--enable-debug-command", "local")
	s, err := Connect(&Config{Addrs: []string{srv.Addr}}, &Options{Prefix: "p:", CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	fo := follow(t, newTracking(t, s, nil), "")
	srv.Do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	srv.Do(t, "SET", "p:brief", "v", "PX", "1")
	fo.hears(t, touch("brief"))
	srv.Do(t, "DEBUG", "SET-ACTIVE-EXPIRE", "1")
	fo.hears(t, touch("brief"))
}

// Keys of other prefixes are not told, nor what strata keeps beside its entries.
func TestTrackingLeavesOutWhatIsNobodysBusiness(t *testing.T) {
	for _, prefix := range []string{"", "p:", "__strata:probe"} {
		t.Run("prefix="+prefix, func(t *testing.T) {
			srv := redistest.Start(t)
			s, err := Connect(&Config{Addrs: []string{srv.Addr}}, &Options{Prefix: prefix, CloseClient: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			f := newTracking(t, s, &quick) // probes all the time
			fo := follow(t, f, "")
			if l, err := s.Lease(ctx, "k", time.Minute); err != nil {
				t.Fatal(err)
			} else if err := l.Release(ctx); err != nil {
				t.Fatal(err)
			}
			mustSet(t, s, ownNames+"tag:a", store.Entry{Value: []byte("barrier"), Version: 1})
			publish(t, newFeed(t, s, nil), written(3))
			fo.until(t, "what is published", func() bool { return slices.Contains(fo.changes, written(3)) })
			raw := srv.Client(t)
			if err := raw.Set(ctx, gravePrefix+"{"+prefix+"k}", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if prefix == "p:" {
				if err := raw.Set(ctx, "q:k", "v", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := raw.Set(ctx, prefix+"last", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			fo.until(t, "the last", func() bool { return slices.Contains(fo.changes, touch("last")) })
			if got, want := fo.got(), []store.Change{written(3), touch("last")}; !slices.Equal(got, want) {
				t.Errorf("heard %v; want %v only", got, want)
			}
		})
	}
}

// What is published goes over the stream, to the others only, and a cursor leads on in
// it. The first news says that nobody watched until then; what is touched moves no cursor.
func TestTrackingFollowsTheStreamToo(t *testing.T) {
	s := prefixed(t, Options{})
	a, b := newTracking(t, s, nil), newTracking(t, s, nil)
	first := follow(t, b, "")
	atA := follow(t, a, "")
	change := store.Change{Kind: store.ChangeTag, Key: "t", Version: 1<<63 + 5}
	publish(t, a, change)
	first.until(t, "a change", func() bool { return slices.Contains(first.changes, change) })
	if first.now().unheard != 1 || first.now().missed != 0 {
		t.Errorf("what is held was said to be suspect %d times, and %d times in full; want once in memory", first.now().unheard, first.now().missed)
	}
	first.stop()
	<-first.done
	publish(t, a, written(1))
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	publish(t, a, written(2))
	again := follow(t, b, first.now().cursor)
	again.until(t, "what was missed", func() bool { return slices.Contains(again.changes, written(2)) })
	got := again.got()
	if want := []store.Change{written(1), written(2)}; !slices.Equal(got, want) || again.now().missed != 0 || again.now().unheard != 1 {
		t.Errorf("heard %v, missed %d, unheard %d; want %v and to be told that touches are lost", got, again.now().missed, again.now().unheard, want)
	}
	if slices.ContainsFunc(atA.got(), func(ch store.Change) bool { return ch.Kind != store.ChangeTouch }) {
		t.Errorf("it heard its own: %v", atA.got())
	}
}

// FLUSHALL is news of everything, the stream's loss included.
func TestTrackingTellsOfFlushAll(t *testing.T) {
	srv := redistest.Start(t)
	s := single(t, srv.Addr, Options{})
	fo := follow(t, newTracking(t, s, nil), "")
	for i, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		srv.Do(t, flush)
		fo.until(t, flush, func() bool { return fo.missed == i+1 })
	}
	srv.Do(t, "SET", "f:k", "v")
	fo.hears(t, touch("k"))
}

// A message of very many keys arrives whole; of too many to keep, it is said that what is
// in memory is suspect, and what comes later arrives again.
func TestTrackingOfHugeMessages(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	fo := follow(t, newTracking(t, s, nil), "")
	raw := redistest.Shared(t).Client(t)
	many := func(n int) {
		words := make([]any, 0, 2*n)
		for i := range n {
			words = append(words, fmt.Sprint(s.opts.Prefix, "k", i), "v")
		}
		if err := raw.MSet(ctx, words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	const n = 50_000
	many(n)
	fo.until(t, "all", func() bool { return len(fo.changes) >= n })
	many(maxTouches + 1)
	fo.until(t, "word of the loss", func() bool { return fo.unheard == 2 })
	if err := raw.Set(ctx, s.opts.Prefix+"last", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	fo.hears(t, touch("last"))
}

// Messages of whatever form make nothing panic; what cannot be understood may have been
// any key.
func TestTouchesOfNonsense(t *testing.T) {
	for _, message := range [][]any{
		{}, {"invalidate"}, {"invalidate", "k"}, {"invalidate", int64(1)}, {"invalidate", []any{nil}},
		{"invalidate", []any{"p:a", int64(3)}}, {"invalidate", []any{[]any{"p:a"}}}, {nil, nil, nil}, nil,
	} {
		ts := newTouches("p:", "probe:")
		if err := ts.HandlePushNotification(ctx, noContext, message); err != nil {
			t.Errorf("%v: %v", message, err)
		}
		if n := ts.take(); !n.Unheard || n.Missed {
			t.Errorf("%v: %+v; want a doubt", message, n)
		}
	}
	ts := newTouches("p:", "probe:")
	for _, message := range [][]any{{"invalidate", []any{"p:", "q:a", "p", ""}}, {"invalidate", []any{}}} {
		_ = ts.HandlePushNotification(ctx, noContext, message)
	}
	if n := ts.take(); n.Unheard || n.Missed || len(n.Changes) > 0 || len(ts.wake) > 0 {
		t.Errorf("names that are nobody's: %+v", n)
	}
}

func FuzzTouches(f *testing.F) {
	f.Add("p:a", true)
	f.Add(ownNames+"lease:{p:a}", false)
	f.Fuzz(func(t *testing.T, name string, whole bool) {
		ts := newTouches("p:", "probe:")
		message := []any{"invalidate", []any{name}}
		if !whole {
			message = []any{"invalidate", name}
		}
		if err := ts.HandlePushNotification(ctx, noContext, message); err != nil {
			t.Fatal(err)
		}
		for _, ch := range ts.take().Changes {
			if "p:"+ch.Key != name || ch.Key == "" || strings.HasPrefix(ch.Key, ownNames) {
				t.Errorf("%q became %v", name, ch)
			}
		}
	})
}

// Every master of a Cluster tells of its keys.
func TestTrackingCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	s := clustered(t, c, Options{})
	f := newTracking(t, s, &quick)
	fo := follow(t, f, "")
	for i := range 60 {
		key := fmt.Sprint("k", i)
		if err := s.client.Set(ctx, s.opts.Prefix+key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		fo.hears(t, touch(key))
	}
	for i, node := range c.Nodes {
		watching := strings.Count(fmt.Sprint(node.Do(t, "CLIENT", "LIST", "TYPE", "pubsub")), "flags=")
		if n, _ := node.Do(t, "DBSIZE").(int64); n == 0 || watching != 1 {
			t.Errorf("node %d has %d keys and %d watches", i, n, watching)
		}
	}
	cluster := s.client.(*redis.ClusterClient)
	nodes, err := f.masters(ctx, cluster)
	if err != nil || len(nodes) != 3 {
		t.Fatalf("%d masters, %v", len(nodes), err)
	}
	var some []*watch
	for node, probe := range nodes {
		if probe == "" {
			t.Errorf("no probe for %v", node)
		}
		some = append(some, &watch{node: node})
	}
	if err := f.compareMasters(ctx, cluster, some[:2]); err != errMasters { //nolint:errorlint // never wrapped
		t.Errorf("a master that is not watched: %v", err)
	}
	c.Nodes[1].Do(t, "CLIENT", "KILL", "TYPE", "pubsub")
	if err := <-fo.done; err == nil {
		t.Error("Follow did not notice that one of three is not heard any more")
	}
}

// A Ring, and options that make no sense, are refused.
func TestTrackingRefuses(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "localhost:1"}, ContextTimeoutEnabled: true})
	defer ring.Close()
	s, err := New(ring, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TrackingFeed(nil); err == nil || !strings.Contains(err.Error(), "Ring") {
		t.Errorf("a Ring: %v", err)
	}
	if _, err := prefixed(t, Options{}).TrackingFeed(&FeedOptions{Probe: -1}); err == nil {
		t.Error("a negative Probe was taken")
	}
}

// What is held in Redis tells its version without its value.
func TestVersions(t *testing.T) {
	s := prefixed(t, Options{Wire: pricesPlain{}})
	for key, version := range map[string]uint64{"info:a": 1<<63 + 9, "price:a": 5, "info:b": 0} {
		mustSet(t, s, key, store.Entry{Value: []byte("some value"), Version: version})
	}
	if err := s.DeleteVersions(ctx, map[string]uint64{"info:gone": 12}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.HSet(ctx, s.opts.Prefix+"hash", "a", 1).Err(); err != nil {
		t.Fatal(err)
	}
	keys := []string{"info:a", "price:a", "info:b", "info:gone", "hash", "absent"}
	for i := range 600 {
		keys = append(keys, fmt.Sprint("absent", i))
	}
	got, err := s.Versions(ctx, keys)
	want := map[string]uint64{"info:a": 1<<63 + 9, "price:a": 0, "info:b": 0, "info:gone": 12, "hash": 0}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("versions %v, %v; want %v", got, err, want)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := s.Versions(over, keys); err == nil || len(got) > 0 {
		t.Errorf("a context that has ended: %v, %v", got, err)
	}
}
