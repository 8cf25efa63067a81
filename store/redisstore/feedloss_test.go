package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// A failover takes the newest entries of the stream with it: one of this process, and
// one of another which this process has not read yet. That is a gap, although what it
// read last is still there; and it follows on, although what it published itself will
// never come.
func TestFeedAfterItsOwnEntryWasLost(t *testing.T) {
	s := prefixed(t, Options{})
	opts := &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Hour}
	f, other := newFeed(t, s, opts), newFeed(t, s, opts)
	publish(t, other, written(1))
	fo := follow(t, f, "0-1")
	fo.until(t, "the first change", func() bool { return slices.Contains(fo.changes, written(1)) })
	fo.stop()
	<-fo.done
	replicated := dumped(t, s, f)
	publish(t, other, written(2))
	publish(t, f, written(3))
	goesBack(t, s, f, replicated)
	again := follow(t, f, fo.now().cursor)
	if again.now().missed != 1 {
		t.Errorf("%d gaps were reported; a change of another process is lost", again.now().missed)
	}
	// Several reads that bring nothing: it must not take the stream for silent.
	select {
	case err := <-again.done:
		if errors.Is(err, errSilent) {
			t.Error("what was lost is waited for, for ever")
		} else {
			t.Error(err)
		}
	case <-time.After(500 * time.Millisecond):
	}
	publish(t, other, written(4))
	again.until(t, "what came after", func() bool { return slices.Contains(again.changes, written(4)) })
	again.stop()
	if err := <-again.done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// goesBack puts the stream back to what it was when dump was taken.
func goesBack(t *testing.T, s *Store, f *Feed, dump string) {
	t.Helper()
	if err := s.client.RestoreReplace(ctx, f.stream, 0, dump).Err(); err != nil {
		t.Fatal(err)
	}
}

func dumped(t *testing.T, s *Store, f *Feed) string {
	t.Helper()
	dump, err := s.client.Dump(ctx, f.stream).Result()
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

// The stream goes back, and others add to it before anybody looks: it ends later than what
// was read. Whoever has read an entry that is gone knows of the loss all the same; and so
// does, by the one that published it, who had not read it.
func TestFeedNoticesThatTheStreamWentBack(t *testing.T) {
	s := prefixed(t, Options{})
	opts := &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Hour} // one sign of life, at first
	author, reader, late, third := newFeed(t, s, opts), newFeed(t, s, opts), newFeed(t, s, opts), newFeed(t, s, opts)
	has := func(fo *follower, ch store.Change) {
		t.Helper()
		fo.until(t, fmt.Sprint(ch), func() bool { return slices.Contains(fo.changes, ch) })
	}
	publish(t, third, written(1))
	before := map[*Feed]*follower{}
	for _, f := range []*Feed{author, reader, late} {
		fo := follow(t, f, "0-1")
		fo.until(t, "all", func() bool { return slices.Contains(fo.changes, written(1)) && f.last.Load() != nil })
		before[f] = fo
	}
	before[late].stop()
	<-before[late].done
	begun := dumped(t, s, author)
	publish(t, author, written(2))
	has(before[reader], written(2))
	for _, f := range []*Feed{author, reader} {
		before[f].stop()
		<-before[f].done
	}
	goesBack(t, s, author, begun)
	publish(t, third, written(3))
	for _, f := range []*Feed{author, reader} {
		fo := follow(t, f, before[f].now().cursor)
		if fo.now().missed != 1 {
			t.Errorf("%d gaps; an entry that was read, or published, is gone", fo.now().missed)
		}
		publish(t, third, written(4))
		has(fo, written(4))
	}
	fo := follow(t, late, before[late].now().cursor)
	has(fo, store.Change{Kind: store.ChangeUnknown})
	if fo.now().missed > 0 {
		t.Error("who had read nothing of what was lost knows of it by himself")
	}
}

// A server that comes back from a snapshot is noticed, whatever is published and read as
// soon as it is there. A connection that breaks is not taken for that.
func TestFeedNoticesAnotherServer(t *testing.T) {
	t.Parallel()
	for _, clustered := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster=", clustered), func(t *testing.T) {
			t.Parallel()
			var srv *redistest.Server
			cfg := &Config{}
			if clustered {
				c := redistest.StartCluster(t, 1)
				srv, cfg.Addrs, cfg.Cluster = c.Nodes[0], c.Addrs(), true
			} else {
				srv = redistest.Start(t)
				cfg.Addrs = []string{srv.Addr}
			}
			s, err := Connect(cfg, &Options{Prefix: "f:", CloseClient: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			f, third := newFeed(t, s, &quick), newFeed(t, s, nil)
			fo := follow(t, f, "")
			missed := 0
			again := func() {
				select {
				case <-fo.done:
					fo = follow(t, f, fo.now().cursor)
					missed += fo.now().missed
				default:
				}
			}
			hears := func(i int) {
				t.Helper()
				redistest.Eventually(t, 20*time.Second, fmt.Sprint(written(i)), func() bool {
					again()
					_ = third.Publish(ctx, []store.Change{written(i)})
					return slices.Contains(fo.got(), written(i))
				})
			}
			hears(1)
			srv.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			hears(2)
			time.Sleep(3 * quick.Probe)
			hears(3)
			if missed != 0 {
				t.Fatalf("%d gaps where a connection broke", missed)
			}
			srv.Do(t, "SAVE")
			hears(4)
			srv.Restart(t)
			redistest.Eventually(t, 20*time.Second, "the server is ready", func() bool {
				return !clustered || strings.Contains(fmt.Sprint(srv.Do(t, "CLUSTER", "INFO")), "cluster_state:ok")
			})
			hears(5)
			redistest.Eventually(t, 20*time.Second, "the gap is known", func() bool { again(); return missed > 0 })
		})
	}
}

// What was trimmed is not lost, however fast: nobody is told that he has missed what he
// has read, or published.
func TestTrimmedIsNotLost(t *testing.T) {
	s := prefixed(t, Options{})
	opts := &FeedOptions{Block: 10 * time.Millisecond, Probe: 20 * time.Millisecond, MaxLen: 1}
	f, other := newFeed(t, s, opts), newFeed(t, s, opts)
	fo := follow(t, f, "")
	const n = 5000
	for i := range n {
		publish(t, other, written(i))
		if i%100 == 0 {
			publish(t, f, written(i))
		}
	}
	fo.until(t, "the last", func() bool { return slices.Contains(fo.changes, written(n-1)) })
	fo.stop()
	if err := <-fo.done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if slices.Contains(fo.got(), store.Change{Kind: store.ChangeUnknown}) || fo.now().missed > 0 {
		t.Errorf("%d gaps; or somebody thinks that there was one", fo.now().missed)
	}
}

// Users who may not ask for entries, or which server it is, follow all the same.
func TestFeedOfAUserWhoMayDoLittle(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do(t, "ACL", "SETUSER", "bot", "on", "nopass", "~*", "&*", "+@all", "-xrange", "-info")
	s, err := Connect(&Config{Addrs: []string{srv.Addr}, Username: "bot", Password: "any"}, &Options{Prefix: "f:", CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f, other := newFeed(t, s, &quick), newFeed(t, s, nil)
	publish(t, other, written(1))
	fo := follow(t, f, "")
	publish(t, f, written(2))
	publish(t, other, written(3))
	fo.until(t, "a change", func() bool { return slices.Contains(fo.changes, written(3)) })
	fo.stop()
	<-fo.done
	publish(t, other, written(4))
	again := follow(t, f, fo.now().cursor)
	again.until(t, "what came meanwhile", func() bool { return slices.Contains(again.changes, written(4)) })
	if again.now().missed != 0 {
		t.Errorf("%d gaps", again.now().missed)
	}
}

// In a Cluster the client may come to another server within a call: the next probe finds
// out, and it is a gap, for what was read there may be later than what was lost.
func TestFeedInAClusterNoticesAnotherServer(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1)
	s, err := Connect(&Config{Addrs: c.Addrs(), Cluster: true}, &Options{Prefix: "f:", CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f := newFeed(t, s, &quick)
	fo := follow(t, f, "")
	time.Sleep(3 * quick.Probe)
	select {
	case err := <-fo.done:
		t.Fatalf("Follow ended: %v", err)
	default:
	}
	before := "of the server before"
	f.server.Store(&before)
	if err := fo.ends(t, "the server is another one"); !errors.Is(err, errChanged) {
		t.Errorf("Follow ended with %v; want errChanged", err)
	}
	if again := follow(t, f, fo.now().cursor); again.now().missed != 1 {
		t.Errorf("%d gaps; want 1", again.now().missed)
	}
	if again := follow(t, f, fo.now().cursor); again.now().missed != 0 {
		t.Errorf("%d gaps with the same server; want none", again.now().missed)
	}
}

// A client of one connection, which a feed shares with everything else, still publishes and
// follows.
func TestFeedOnOneConnection(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s, err := Connect(&Config{Addrs: []string{srv.Addr}, PoolSize: 1}, &Options{Prefix: "f:", CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	other := newFeed(t, single(t, srv.Addr, Options{}), nil)
	fo := follow(t, newFeed(t, s, &quick), "")
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	publish(t, other, written(1))
	fo.until(t, "a change", func() bool { return slices.Contains(fo.changes, written(1)) })
}

// A stream that was deleted, and to which others add before anybody looks, is another
// stream: whoever has read the one before has a gap, and need not be told by others.
func TestFeedNoticesAnotherStream(t *testing.T) {
	s := prefixed(t, Options{})
	opts := &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Hour}
	f, third := newFeed(t, s, opts), newFeed(t, s, opts)
	publish(t, third, written(1))
	fo := follow(t, f, "0-1")
	fo.until(t, "all", func() bool { return slices.Contains(fo.changes, written(1)) && f.last.Load() != nil })
	fo.stop()
	<-fo.done
	if err := s.client.Del(ctx, f.stream).Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, third, written(2))
	watch := follow(t, newFeed(t, s, opts), "0-1")
	again := follow(t, f, fo.now().cursor)
	if again.now().missed != 1 {
		t.Errorf("%d gaps; want one", again.now().missed)
	}
	publish(t, third, written(3))
	for _, fo := range []*follower{again, watch} {
		fo.until(t, "what comes", func() bool { return slices.Contains(fo.changes, written(3)) })
	}
	if slices.Contains(watch.got(), store.Change{Kind: store.ChangeUnknown}) {
		t.Error("others were told of a loss that they could not miss")
	}
}
