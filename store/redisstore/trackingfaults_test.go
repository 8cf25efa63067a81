package redisstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// ends returns the error with which a Follow ends.
func (fo *follower) ends(t testing.TB, why string) error {
	t.Helper()
	select {
	case err := <-fo.done:
		if err == nil {
			t.Errorf("%s: Follow ended without an error", why)
		}
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("Follow did not notice: %s", why)
		return nil
	}
}

// The server forgets what it tracks with the connection: a cut ends the Follow. The next
// one says that touches are lost, and what was published is replayed.
func TestTrackingConnectionKilled(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := single(t, srv.Addr, Options{})
	f, other := newTracking(t, s, nil), newFeed(t, s, nil)
	fo := follow(t, f, "")
	srv.Do(t, "CLIENT", "KILL", "TYPE", "pubsub")
	_ = fo.ends(t, "the connection was killed")
	publish(t, other, written(1))
	srv.Do(t, "DEL", "f:k")
	again := follow(t, f, fo.now().cursor)
	again.hears(t, written(1))
	if again.now().unheard != 1 || again.now().missed != 0 {
		t.Errorf("unheard %d, missed %d; want 1 and 0", again.now().unheard, again.now().missed)
	}
	srv.Do(t, "SET", "f:k", "v")
	again.hears(t, touch("k"))
}

// A connection that is open and brings nothing at all ends the Follow.
func TestTrackingWithoutAnswers(t *testing.T) {
	t.Parallel()
	s, proxy := proxied(t, Options{})
	fo := follow(t, newTracking(t, s, &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Hour}), "")
	up := proxy.Toxic(t, `{"name": "up", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`)
	down := proxy.Toxic(t, `{"name": "down", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	_ = fo.ends(t, "nothing answers")
	up()
	down()
	again := follow(t, newTracking(t, s, nil), fo.now().cursor)
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	again.hears(t, touch("k"))
}

// The connection of a watch alone is mute: the stream's goes on, and does not hide it.
func TestTrackingWatchAloneIsMute(t *testing.T) {
	t.Parallel()
	s, proxy := proxied(t, Options{})
	f := newTracking(t, s, &quick)
	ts := newTouches(s.opts.Prefix, f.probes())
	w, err := f.openWatch(ctx, s.client.(*redis.Client), ts, f.probes())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	defer proxy.Toxic(t, `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it ended without an error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the silence was not noticed")
	}
}

// The server goes away, and comes back as another that knows nothing.
func TestTrackingServerRestart(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := single(t, srv.Addr, Options{})
	f := newTracking(t, s, &quick)
	fo := follow(t, f, "")
	srv.Stop(t)
	_ = fo.ends(t, "the server is gone")
	srv.Restart(t)
	again := follow(t, f, fo.now().cursor)
	srv.Do(t, "SET", "f:k", "v")
	again.hears(t, touch("k"))
	if again.now().unheard != 1 {
		t.Errorf("it was said %d times that touches are lost; want once", again.now().unheard)
	}
}

// A server that answers, but tells of nothing, as one that has lost what it tracks, is
// noticed by the probe that does not come back.
func TestTrackingNoticesDeafness(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	f := newTracking(t, s, &quick)
	ts := newTouches(s.opts.Prefix, f.probes())
	node := s.client.(*redis.Client)
	if _, err := f.openWatch(ctx, node, ts, "untracked:"+f.probes()); !errors.Is(err, errDeaf) {
		t.Errorf("at the start: %v; want %v", err, errDeaf)
	}
	w, err := f.openWatch(ctx, node, ts, f.probes())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	w.probe = "untracked:" + f.probes()
	patient, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := w.run(patient); !errors.Is(err, errDeaf) {
		t.Errorf("later: %v; want %v", err, errDeaf)
	}
}

// A master that has been demoted takes no probe.
func TestTrackingNoticesDemotion(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := single(t, srv.Addr, Options{})
	f := newTracking(t, s, &quick)
	fo := follow(t, f, "")
	srv.Do(t, "REPLICAOF", "127.0.0.1", "1")
	_ = fo.ends(t, "its server is no master any more")
	srv.Do(t, "REPLICAOF", "NO", "ONE")
	again := follow(t, f, fo.now().cursor)
	srv.Do(t, "SET", "f:k", "v")
	again.hears(t, touch("k"))
}

// A master dies, and Sentinel has another: the Follow ends, and the next one watches the
// new master.
func TestTrackingAfterAFailover(t *testing.T) {
	t.Parallel()
	g, s := watched(t)
	f := newTracking(t, s, &quick)
	fo := follow(t, f, "")
	g.Master.Do(t, "SET", "f:k", "before")
	fo.hears(t, touch("k"))
	g.Master.Stop(t)
	_ = fo.ends(t, "the master is gone")
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stranger := g.Replica.Client(t)
	for heard := false; !heard; {
		watching, stop := context.WithCancel(bound)
		began := false
		err := f.Follow(watching, fo.now().cursor, func(n store.News) {
			if !began {
				if began = true; !n.Unheard {
					t.Error("the first news does not say that touches were lost")
				}
				go func() {
					for watching.Err() == nil {
						_ = stranger.Set(watching, "f:k", "after", 0).Err() // once it is a master
						time.Sleep(50 * time.Millisecond)
					}
				}()
			}
			if heard = slices.Contains(n.Changes, touch("k")); heard {
				stop()
			}
		})
		stop()
		if bound.Err() != nil {
			t.Fatalf("nothing was heard from the new master; the last Follow ended with %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Servers, and what is between, that do not track keys are told apart from those that are
// away, with what is to be done. Nothing is told as if all were well.
func TestTrackingUnsupported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		do   [][]string
		user string
		want []string
	}{
		"no RESP3":    {args: []string{"--rename-command", "HELLO", ""}, want: []string{"Redis 6", "tiers.redis.tracking", "HELLO"}},
		"no tracking": {args: []string{"--rename-command", "CLIENT", ""}, want: []string{"Redis 6", "tiers.redis.tracking", "CLIENT TRACKING"}},
		"forbidden": {
			do:   [][]string{{"ACL", "SETUSER", "bot", "on", "nopass", "~*", "&*", "+@all", "-client|tracking"}},
			user: "bot", want: []string{"NOPERM", "CLIENT TRACKING"},
		},
		"forbidden channel": {
			do:   [][]string{{"ACL", "SETUSER", "bot", "on", "nopass", "~*", "resetchannels", "+@all"}},
			user: "bot", want: []string{"NOPERM"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t, c.args...)
			for _, words := range c.do {
				srv.Do(t, words...)
			}
			cfg := &Config{Addrs: []string{srv.Addr}, Username: c.user}
			if c.user != "" {
				cfg.Password = "any"
			}
			s, err := Connect(cfg, &Options{Prefix: "f:"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			heard := 0
			err = newTracking(t, s, nil).Follow(ctx, "", func(store.News) { heard++ })
			for _, word := range c.want {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("Follow: %v; want %q in it", err, word)
				}
			}
			if heard != 0 {
				t.Errorf("it told of something %d times", heard)
			}
		})
	}
}
