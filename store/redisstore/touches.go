package redisstore

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9/push"

	"github.com/stratacache/strata/store"
)

// ownNames begins the names of what strata keeps in Redis beside its entries: leases,
// remembered deletes, streams, and the barriers of a chain (behind the prefix).
const ownNames = "__strata:"

// maxTouches bounds the keys that wait to be told; beyond it, all that is held is suspect.
const maxTouches = 65536

// touches are the keys that Redis said were touched and that are yet to be told, each
// once. It is safe for concurrent use.
type touches struct {
	prefix string
	probe  string // begins the names of probes

	mu      sync.Mutex
	keys    map[string]struct{}
	lost    bool // there were too many
	flushed bool // all keys are gone
	echoes  map[string]uint64
	wake    chan struct{} // of one place
}

func newTouches(prefix, probe string) *touches {
	return &touches{prefix: prefix, probe: probe, keys: make(map[string]struct{}), echoes: make(map[string]uint64), wake: make(chan struct{}, 1)}
}

var _ push.NotificationHandler = (*touches)(nil)

// invalidate is the name of the messages of a server that tracks keys.
const invalidate = "invalidate"

// HandlePushNotification takes one message of the server: the names of keys, or nil for
// all. One that makes no sense could mean any key.
func (t *touches) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, message []any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []any
	ok := len(message) == 2
	if ok && message[1] != nil {
		names, ok = message[1].([]any)
	} else if ok {
		t.flushed = true
	}
	t.lost = t.lost || !ok
	for _, name := range names {
		if name, ok := name.(string); ok {
			t.add(name)
		} else {
			t.lost = true
		}
	}
	if t.lost || t.flushed || len(t.keys) > 0 {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// add notes that the key of that name was touched. mu is held.
func (t *touches) add(name string) {
	if strings.HasPrefix(name, t.probe) {
		t.echoes[name]++
		return
	}
	key, ours := strings.CutPrefix(name, t.prefix)
	switch {
	case !ours, key == "", strings.HasPrefix(key, ownNames):
	case strings.HasPrefix(name, ownNames) && !strings.HasPrefix(t.prefix, ownNames):
	case len(t.keys) < maxTouches:
		t.keys[key] = struct{}{}
	default:
		t.lost = true
	}
}

// echo returns how often the probe of that name was heard.
func (t *touches) echo(name string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.echoes[name]
}

// take returns what is to be told, as news beside the feed's own.
func (t *touches) take() store.News {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := store.News{Missed: t.flushed, Unheard: t.lost || t.flushed}
	if !news.Unheard {
		news.Changes = make([]store.Change, 0, len(t.keys))
		for key := range t.keys {
			news.Changes = append(news.Changes, store.Change{Kind: store.ChangeTouch, Key: key})
		}
	}
	clear(t.keys)
	t.lost, t.flushed = false, false
	return news
}
