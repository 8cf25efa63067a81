package redisstore

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// follower follows a feed and keeps what it hears.
type follower struct {
	mu sync.Mutex
	tidings
	heard chan struct{} // a note for each piece of news
	stop  context.CancelFunc
	done  chan error
}

// tidings are what a follower has heard.
type tidings struct {
	changes []store.Change
	cursor  string
	missed  int
	unheard int
	behind  bool // the last news had more to come
	knew    int  // how many changes had come when for the first time there were no more; -1: not yet
}

// now returns what was heard until now: news may come at any time.
func (fo *follower) now() tidings {
	fo.mu.Lock()
	defer fo.mu.Unlock()
	n := fo.tidings
	n.changes = slices.Clone(n.changes)
	return n
}

func follow(t testing.TB, f store.Feed, cursor string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	fo := &follower{tidings: tidings{knew: -1}, stop: cancel, done: make(chan error, 1), heard: make(chan struct{}, 1)}
	go func() {
		fo.done <- f.Follow(ctx, cursor, func(n store.News) {
			fo.mu.Lock()
			fo.changes = append(fo.changes, n.Changes...)
			if n.Cursor != "" {
				fo.cursor, fo.behind = n.Cursor, n.Behind
			}
			if !n.Behind && fo.knew < 0 {
				fo.knew = len(fo.changes)
			}
			if n.Missed {
				fo.missed++
			}
			if n.Unheard {
				fo.unheard++
			}
			fo.mu.Unlock()
			select {
			case fo.heard <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() { cancel() })
	fo.until(t, "a position", func() bool { return fo.cursor != "" })
	return fo
}

// until waits for a condition on what was heard.
func (fo *follower) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		fo.mu.Lock()
		good := ok()
		fo.mu.Unlock()
		if good {
			return
		}
		select {
		case <-fo.heard:
		case err := <-fo.done:
			t.Fatalf("Follow ended: %v; waiting for %s", err, what)
		case <-timeout:
			t.Fatalf("waited in vain for %s; heard %v", what, fo.now().changes)
		}
	}
}
