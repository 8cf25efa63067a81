package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

func newFeed(t testing.TB, s *Store, opts *FeedOptions) *Feed {
	t.Helper()
	f, err := s.Feed(opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func written(i int) store.Change {
	return store.Change{Kind: store.ChangeWrite, Key: fmt.Sprint("k", i), Version: uint64(i + 1)}
}

func publish(t testing.TB, f store.Feed, changes ...store.Change) {
	t.Helper()
	if err := f.Publish(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
}

// Changes arrive at the others, in order and with all fields, and not at their
// origin.
func TestFeedDelivers(t *testing.T) {
	s := prefixed(t, Options{})
	a, b := newFeed(t, s, nil), newFeed(t, s, nil)
	atA, atB := follow(t, a, ""), follow(t, b, "")
	want := []store.Change{
		{Kind: store.ChangeWrite, Key: "price:BTC/USDT", Version: 1<<63 + 5},
		{Kind: store.ChangeTag, Key: "üñ", Version: 2},
		{Kind: store.ChangeClear, Version: 3},
	}
	publish(t, a, want...)
	publish(t, b, written(0))
	atB.until(t, "three changes", func() bool { return len(atB.changes) == 3 })
	atA.until(t, "one change", func() bool { return len(atA.changes) == 1 })
	if !slices.Equal(atB.now().changes, want) {
		t.Errorf("the other heard %v; want %v", atB.now().changes, want)
	}
	if atA.now().changes[0] != written(0) {
		t.Errorf("the first heard %v; want %v", atA.now().changes[0], written(0))
	}
}

// Feeds of other prefixes are other feeds.
func TestFeedPrefix(t *testing.T) {
	a, b := newFeed(t, prefixed(t, Options{}), nil), newFeed(t, prefixed(t, Options{}), nil)
	atB := follow(t, b, "")
	publish(t, a, written(0))
	c := newFeed(t, b.s, nil)
	publish(t, c, written(1))
	atB.until(t, "a change", func() bool { return len(atB.changes) > 0 })
	if want := []store.Change{written(1)}; !slices.Equal(atB.now().changes, want) {
		t.Errorf("heard %v; want %v only", atB.now().changes, want)
	}
}

// Who comes back with a cursor hears all that it missed; more than one read's
// worth too.
func TestFeedResumes(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	a, b := newFeed(t, s, nil), newFeed(t, s, nil)
	first := follow(t, b, "")
	first.stop()
	<-first.done
	const n = 2500
	var batch []store.Change
	for i := range n {
		batch = append(batch, written(i))
	}
	publish(t, a, batch...)
	again := follow(t, b, first.now().cursor)
	again.until(t, "everything", func() bool { return len(again.changes) == n })
	if again.now().missed != 0 || !slices.Equal(again.now().changes, batch) {
		t.Errorf("missed = %d, or the changes differ", again.now().missed)
	}
	again.until(t, "the end", func() bool { return !again.behind })
	if again.now().knew != n {
		t.Errorf("it was said that nothing more had been published after %d changes of %d", again.now().knew, n)
	}
}

// Who comes back and has missed nothing is told so at once, and who hears nothing
// new is told that now and then.
func TestFeedSaysThatThereIsNothingNew(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	f := newFeed(t, s, &FeedOptions{Block: 10 * time.Millisecond, Probe: time.Hour})
	publish(t, f, written(0))
	first := follow(t, f, "")
	first.stop()
	<-first.done
	heard := make(chan store.News)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- f.Follow(ctx, first.now().cursor, func(n store.News) { heard <- n })
	}()
	timeout := time.After(20 * time.Second)
	for range 5 {
		select {
		case n := <-heard:
			if n.Behind || n.Missed || n.Cursor == "" || len(n.Changes) > 0 {
				t.Errorf("news = %+v; want a cursor and nothing else", n)
			}
		case <-timeout:
			cancel()
			t.Fatal("a process to which nothing is new hears nothing")
		}
	}
	cancel()
	for {
		select {
		case <-heard:
		case <-done:
			return
		}
	}
}

// Who comes back too late is told so, whether entries were trimmed, or the
// stream is gone, or it was lost and begun anew.
func TestFeedTellsOfGaps(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, s *Store, stream string){
		"trimmed": func(t *testing.T, s *Store, stream string) {
			if err := s.client.XTrimMaxLen(context.Background(), stream, 2).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"trimmed to nothing": func(t *testing.T, s *Store, stream string) {
			if err := s.client.XTrimMaxLen(context.Background(), stream, 0).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, s *Store, stream string) {
			if err := s.client.Del(context.Background(), stream).Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prefixed(t, Options{})
			a, b := newFeed(t, s, nil), newFeed(t, s, nil)
			publish(t, a, written(0))
			first := follow(t, b, "")
			first.stop()
			<-first.done
			publish(t, a, written(1), written(2), written(3))
			lose(t, s, b.stream)
			again := follow(t, b, first.now().cursor)
			again.until(t, "word of the gap", func() bool { return again.missed == 1 })
			publish(t, a, written(9))
			again.until(t, "what comes after", func() bool { return slices.Contains(again.changes, written(9)) })
		})
	}
}

// Trimming what was read is no gap.
func TestFeedTrimmedBehindIsNoGap(t *testing.T) {
	t.Parallel()
	s := prefixed(t, Options{})
	a, b := newFeed(t, s, nil), newFeed(t, s, nil)
	publish(t, a, written(0), written(1), written(2))
	first := follow(t, b, "")
	first.stop()
	<-first.done
	publish(t, a, written(3))
	if err := s.client.XTrimMaxLen(context.Background(), b.stream, 2).Err(); err != nil {
		t.Fatal(err)
	}
	again := follow(t, b, first.now().cursor)
	again.until(t, "the last", func() bool { return len(again.changes) == 1 })
	if again.now().missed != 0 {
		t.Errorf("a gap was reported although all entries after the cursor are there")
	}
}

// The stream is bounded.
func TestFeedIsBounded(t *testing.T) {
	s := prefixed(t, Options{})
	f := newFeed(t, s, &FeedOptions{MaxLen: 1000})
	for range 10 {
		var batch []store.Change
		for i := range 1000 {
			batch = append(batch, written(i))
		}
		publish(t, f, batch...)
	}
	n, err := s.client.XLen(context.Background(), f.stream).Result()
	if err != nil || n > 1200 {
		t.Errorf("the stream has %d entries (%v); want about 1,000", n, err)
	}
}

// A connection that is open but silent ends the Follow, by its own sign of life
// that does not come.
func TestFeedNoticesSilence(t *testing.T) {
	s := prefixed(t, Options{})
	f := newFeed(t, s, &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Millisecond})
	fo := follow(t, f, "")
	other := newFeed(t, s, nil)
	other.stream = f.stream
	// The stream is emptied again and again, so that what is published to it
	// does not show: to this reader it is silent.
	silence, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for silence.Err() == nil {
			_ = s.client.XTrimMaxLen(silence, f.stream, 0).Err()
		}
	}()
	f.last.Store(&streamID{ms: 1 << 60}) // published, says the server, but not to be read
	select {
	case err := <-fo.done:
		if err == nil {
			t.Error("Follow ended without an error")
		}
	case <-time.After(20 * time.Second):
		t.Error("Follow did not notice that it hears nothing")
	}
}

// A connection that is open and brings nothing at all, as through a firewall that has
// forgotten it, ends the Follow, long before the client itself would give it up; the
// cursor works on, and nothing that came meanwhile is lost.
func TestFeedNoticesAConnectionWithoutAnswers(t *testing.T) {
	t.Parallel()
	s, proxy := proxied(t, Options{})
	direct := open(t, Options{Prefix: s.opts.Prefix})
	f := newFeed(t, s, &FeedOptions{Block: 20 * time.Millisecond, Probe: time.Hour})
	publish(t, f, written(9)) // a sign of life: it need not send another
	fo := follow(t, f, "")
	publish(t, newFeed(t, direct, nil), written(0))
	fo.until(t, "a change", func() bool { return len(fo.changes) == 1 })
	up := proxy.Toxic(t, `{"name": "up", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`)
	down := proxy.Toxic(t, `{"name": "down", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	select {
	case err := <-fo.done:
		if !errors.Is(err, errMute) {
			t.Errorf("Follow ended with %v; want %v", err, errMute)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Follow did not notice that nothing answers")
	}
	publish(t, newFeed(t, direct, nil), written(1))
	up()
	down()
	again := follow(t, f, fo.now().cursor)
	again.until(t, "what came meanwhile", func() bool { return slices.Contains(again.changes, written(1)) })
	if again.now().missed != 0 {
		t.Error("a gap was reported, and nothing was lost")
	}
}

// A server that goes away is an error of Publish and ends Follow; after it is
// back, the cursor works on.
func TestFeedServerRestart(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s, err := Connect(&Config{Addrs: []string{srv.Addr}, MaxRetries: -1}, &Options{Prefix: "p:"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := newFeed(t, s, nil), newFeed(t, s, nil)
	publish(t, a, written(0))
	fo := follow(t, b, "")
	srv.Stop(t)
	if err := <-fo.done; err == nil {
		t.Error("Follow did not notice that the server is gone")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := a.Publish(ctx, []store.Change{written(1)}); err == nil {
		t.Error("Publish to a server that is gone returned nil")
	}
	srv.Restart(t)
	publish(t, a, written(2))
	again := follow(t, b, fo.now().cursor)
	again.until(t, "what came after", func() bool { return slices.Contains(again.changes, written(2)) })
	if again.now().missed != 0 {
		t.Error("a gap was reported although the server kept everything")
	}
}

// A master that has been demoted answers, and brings no news: the sign of life that
// it refuses ends the Follow, which is then made anew with the cursor.
func TestFeedNoticesDemotion(t *testing.T) {
	srv := redistest.Start(t)
	s := single(t, srv.Addr, Options{})
	f := newFeed(t, s, &FeedOptions{Block: 20 * time.Millisecond, Probe: 20 * time.Millisecond})
	fo := follow(t, f, "")
	srv.Do(t, "REPLICAOF", "127.0.0.1", "1")
	select {
	case err := <-fo.done:
		if err == nil {
			t.Error("Follow ended without an error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Follow did not notice that its server is no master any more")
	}
	srv.Do(t, "REPLICAOF", "NO", "ONE")
	again := follow(t, f, fo.now().cursor)
	publish(t, newFeed(t, s, nil), written(1))
	again.until(t, "what came after", func() bool { return slices.Contains(again.changes, written(1)) })
	if again.now().missed != 0 {
		t.Error("a gap was reported, and nothing was lost")
	}
}
