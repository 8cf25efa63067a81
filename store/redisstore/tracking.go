package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// probePrefix begins the names of the keys that are written to see that the server tells
// of it.
const probePrefix = ownNames + "probe:"

// TrackingFeed is a Feed that also tells of what happens to keys without being published:
// writes and deletes by programs that know nothing of strata, expiry and eviction. The
// server tells of them by RESP3 client tracking (CLIENT TRACKING ON BCAST), on a connection
// of their own to each master.
//
// What strata's processes publish goes over the stream as ever, with versions, and is
// replayed after a cut. What the server tells of is not: after a cut, and where it was too
// much, News.Unheard says so, and after FLUSHALL or FLUSHDB News.Missed. The server tells a
// process of its own writes, too. It is safe for concurrent use.
type TrackingFeed struct {
	feed *Feed
}

var _ store.Feed = (*TrackingFeed)(nil)

// TrackingFeed returns a feed that watches what lies under the store's prefix. It needs
// Redis 6 or newer, or Valkey, on a single server, behind Sentinels or as a Cluster; where
// the server cannot track keys, Follow says so. An ACL user needs CLIENT TRACKING, HELLO,
// PING, SUBSCRIBE to channels __strata:* and SET of keys __strata:*. opts is that of Feed;
// Block is also how often a watched server is asked for a sign of life, and Probe how often
// a key is written to see whether it tells of that.
func (s *Store) TrackingFeed(opts *FeedOptions) (*TrackingFeed, error) {
	switch s.client.(type) {
	case *redis.Client, *redis.ClusterClient:
	default:
		return nil, fmt.Errorf("redisstore: a %T cannot watch its keys; use a single server, Sentinels or a Cluster, or (*Store).Feed", s.client)
	}
	f, err := s.Feed(opts)
	if err != nil {
		return nil, err
	}
	return &TrackingFeed{feed: f}, nil
}

// Publish implements store.Feed, as that of Feed does.
func (f *TrackingFeed) Publish(ctx context.Context, changes []store.Change) error {
	return f.feed.Publish(ctx, changes)
}

// probes begins the names of this process's probes.
func (f *TrackingFeed) probes() string { return probePrefix + f.feed.origin + ":" }

// channel is what a watch subscribes to. Nobody speaks there.
func (f *TrackingFeed) channel() string { return ownNames + "watch" }

// prefixes returns those of the keys that the server is to tell of: the store's and the
// probes'. A server takes none that begins with another.
func (f *TrackingFeed) prefixes() []string {
	store, probes := f.feed.s.opts.Prefix, f.probes()
	switch {
	case store == "":
		return nil
	case strings.HasPrefix(probes, store):
		return []string{store}
	}
	return []string{store, probes}
}

// Follow implements store.Feed. It fails where the connection to any of the servers, or
// the stream, does: the cursor then leads on in what was published.
func (f *TrackingFeed) Follow(ctx context.Context, cursor string, fn func(store.News)) error {
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := newTouches(f.feed.s.opts.Prefix, f.probes())
	watches, err := f.open(watching, t)
	if err != nil {
		return f.feed.s.fail(ctx, "track", "", err)
	}
	var loops sync.WaitGroup
	for _, w := range watches {
		loops.Go(func() {
			defer w.close()
			cancel(w.run(watching))
		})
	}
	if c, ok := f.feed.s.client.(*redis.ClusterClient); ok {
		loops.Go(func() { cancel(f.compareMasters(watching, c, watches)) })
	}
	m := &mixer{fn: fn, begun: make(chan struct{})}
	loops.Go(func() { m.tell(watching, t) })
	err = f.feed.Follow(watching, cursor, m.news)
	cause := context.Cause(watching)
	cancel(err)
	loops.Wait()
	if cause != nil && ctx.Err() == nil {
		return f.feed.s.fail(ctx, "track", "", cause)
	}
	return err
}

// open opens a watch for every master.
func (f *TrackingFeed) open(ctx context.Context, t *touches) (watches []*watch, err error) {
	nodes := map[*redis.Client]string{}
	switch c := f.feed.s.client.(type) {
	case *redis.Client:
		nodes[c] = f.probes()
	case *redis.ClusterClient:
		if nodes, err = f.masters(ctx, c); err != nil {
			return nil, err
		}
	}
	for node, probe := range nodes {
		w, err := f.openWatch(ctx, node, t, probe)
		if err != nil {
			for _, w := range watches {
				w.close()
			}
			return nil, err
		}
		watches = append(watches, w)
	}
	return watches, nil
}

// mixer brings what is published and what is touched to one function, one at a time.
type mixer struct {
	mu    sync.Mutex
	fn    func(store.News)
	first bool // the position is known
	begun chan struct{}
}

// news takes what was published. The first of it says where the process stands: the
// servers tell of everything from before then on, and of nothing earlier.
func (m *mixer) news(n store.News) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.first {
		m.first, n.Unheard = true, true
		defer close(m.begun)
	}
	m.fn(n)
}

// tell takes what is touched, until ctx ends.
func (m *mixer) tell(ctx context.Context, t *touches) {
	select {
	case <-m.begun:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		m.fn(t.take())
		m.mu.Unlock()
	}
}

// masters returns the masters of a Cluster, with the name of a key for each that it holds;
// one that holds no slots, or few, has none.
func (f *TrackingFeed) masters(ctx context.Context, c *redis.ClusterClient) (map[*redis.Client]string, error) {
	var mu sync.Mutex
	names := map[*redis.Client]string{}
	byAddr := map[string]*redis.Client{}
	err := c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		names[node], byAddr[node.Options().Addr] = "", node
		return nil
	})
	if err != nil {
		return nil, err
	}
	const tries = 4096 // finds one for a master of thirty slots almost surely
	for i, left := 0, len(names); i < tries && left > 0; i++ {
		name := fmt.Sprint(f.probes(), i)
		node, err := c.MasterForKey(ctx, name)
		if err != nil {
			return nil, err
		}
		if node = byAddr[node.Options().Addr]; node != nil && names[node] == "" {
			names[node] = name
			left--
		}
	}
	return names, nil
}

// errMasters ends a Follow whose Cluster has other masters than those that are watched.
var errMasters = errors.New("the Cluster has other masters now")

// compareMasters returns once the masters are not those that are watched.
func (f *TrackingFeed) compareMasters(ctx context.Context, c *redis.ClusterClient, watches []*watch) error {
	watched := make([]string, 0, len(watches))
	for _, w := range watches {
		watched = append(watched, w.node.Options().Addr)
	}
	slices.Sort(watched)
	tick := time.NewTicker(f.feed.opts.Probe)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		var mu sync.Mutex
		var now []string
		err := c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			now = append(now, node.Options().Addr)
			return nil
		})
		if err != nil {
			return err
		}
		if slices.Sort(now); !slices.Equal(now, watched) {
			return errMasters
		}
	}
}
