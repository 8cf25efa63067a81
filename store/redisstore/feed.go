package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// FeedOptions configures a Feed. The zero value, like nil, is the default.
type FeedOptions struct {
	// MaxLen is about how many changes the stream keeps. A process that was cut
	// off for longer than they cover takes all it holds for suspect. 0 means
	// 100,000, some 10 MB in Redis.
	MaxLen int64
	// Block is how long a read waits for news before it looks whether it still
	// gets any; 0 means 1 s.
	Block time.Duration
	// Probe is how often a process that publishes nothing sends itself a sign of
	// life, to notice a connection that is open but silent; 0 means 15 s.
	Probe time.Duration
}

// feedCount is the most entries of one read.
const feedCount = 1024

// feedPatience is how long after Block the answer to a read may come. (go-redis
// itself would wait for ten seconds.)
const feedPatience = DefaultIOTimeout

// feedPrefix begins the stream's key. The store's prefix comes after it, so that
// Clear does not take the stream away under those who follow it.
const feedPrefix = "__strata:feed:"

// Fields of a stream's entries. "o" is the origin, "c" the kind of change.
const (
	fieldOrigin  = "o"
	fieldKind    = "c"
	fieldKey     = "k"
	fieldVersion = "v"

	kindProbe = "."
)

// Feed is a store.Feed on a Redis Stream: one entry a change, with origin, kind,
// key and version, bounded by MAXLEN. Entries that were trimmed before they were
// read, and a stream that was lost, or went back to an earlier state, are noticed and
// reported as News.Missed, in a Cluster at the latest after FeedOptions.Probe. It is safe for
// concurrent use.
type Feed struct {
	s      *Store
	opts   FeedOptions
	stream string
	origin string
	last   atomic.Pointer[streamID] // of the newest entry that this process published
	sent   atomic.Int64             // when, Unix nanoseconds
	// server is the process of Redis that has the stream in a Cluster, as far as is known,
	// and checked when that was last asked for, Unix nanoseconds.
	server  atomic.Pointer[string]
	checked atomic.Int64
}

var _ store.Feed = (*Feed)(nil)

// Feed returns a feed for the processes that use the same Redis and prefix. It
// uses the store's client, one connection of which it holds while it follows. From
// then on the store's Set compares versions, as with Options.NewestWins: of two
// writes at once, every process keeps the newer one, and so must Redis.
func (s *Store) Feed(opts *FeedOptions) (*Feed, error) {
	f := &Feed{s: s, stream: feedPrefix + s.opts.Prefix}
	if opts != nil {
		f.opts = *opts
	}
	switch {
	case f.opts.MaxLen < 0:
		return nil, fmt.Errorf("redisstore: FeedOptions.MaxLen is negative: %d", f.opts.MaxLen)
	case f.opts.Block < 0 || f.opts.Block > 0 && f.opts.Block < time.Millisecond:
		return nil, fmt.Errorf("redisstore: FeedOptions.Block is %v; want a millisecond or more", f.opts.Block)
	case f.opts.Probe < 0:
		return nil, fmt.Errorf("redisstore: FeedOptions.Probe is negative: %v", f.opts.Probe)
	}
	if f.opts.MaxLen == 0 {
		f.opts.MaxLen = 100_000
	}
	f.opts.Block = orDefault(f.opts.Block, time.Second)
	f.opts.Probe = orDefault(f.opts.Probe, 15*time.Second)
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	f.origin = hex.EncodeToString(id)
	s.ordered.Store(true)
	return f, nil
}

// Publish implements store.Feed, in one round trip.
func (f *Feed) Publish(ctx context.Context, changes []store.Change) error {
	if len(changes) == 0 {
		return nil
	}
	p := f.s.client.Pipeline()
	var last *redis.StringCmd
	for _, ch := range changes {
		last = f.add(ctx, p, string(rune(ch.Kind)), ch.Key, ch.Version)
	}
	if done, err := f.s.exec(ctx, p); !done || err != nil {
		return f.s.fail(ctx, "publish", "", err)
	}
	return f.published(last.Val())
}

func (f *Feed) add(ctx context.Context, c redis.Cmdable, kind, key string, version uint64) *redis.StringCmd {
	return c.XAdd(ctx, &redis.XAddArgs{
		Stream: f.stream, MaxLen: f.opts.MaxLen, Approx: true,
		Values: []any{fieldOrigin, f.origin, fieldKind, kind, fieldKey, key, fieldVersion, version},
	})
}

func (f *Feed) published(id string) error {
	sid, err := parseStreamID(id)
	if err != nil {
		return f.s.fail(context.Background(), "publish", "", err)
	}
	f.last.Store(&sid)
	f.sent.Store(time.Now().UnixNano())
	return nil
}

// Follow implements store.Feed. The cursor is the id of the last entry read.
func (f *Feed) Follow(ctx context.Context, cursor string, fn func(store.News)) error {
	c, letGo := f.line()
	defer letGo()
	at, missed, behind, err := f.position(ctx, c, cursor)
	if err != nil {
		return f.s.fail(ctx, "follow", "", err)
	}
	fn(store.News{Cursor: at.String(), Missed: missed, Behind: behind})
	for {
		news, next, n, err := f.read(ctx, c, at)
		if err != nil {
			return f.s.fail(ctx, "follow", "", err)
		}
		if n == feedCount { // behind: entries may be trimmed before they are read
			gone, err := f.trimmed(ctx, c, at)
			if err != nil {
				return f.s.fail(ctx, "follow", "", err)
			}
			news.Missed, news.Behind = gone, true
		}
		at = next
		news.Cursor = at.String()
		fn(news)
		if err := f.probe(ctx, at, n); err != nil {
			return f.s.fail(ctx, "follow", "", err)
		}
	}
}

// read waits for entries after at. n is how many came, of whatever origin.
func (f *Feed) read(ctx context.Context, c redis.Cmdable, at streamID) (news store.News, next streamID, n int, err error) {
	bounded, cancel := context.WithTimeout(ctx, f.opts.Block+feedPatience)
	defer cancel()
	streams, err := c.XRead(bounded, &redis.XReadArgs{
		Streams: []string{f.stream, at.String()}, Count: feedCount, Block: f.opts.Block,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return news, at, 0, ctx.Err()
	case err != nil && endOf(bounded, err) != nil && ctx.Err() == nil:
		return news, at, 0, errMute
	case err != nil:
		return news, at, 0, err
	}
	next = at
	for _, st := range streams {
		for _, m := range st.Messages {
			if next, err = parseStreamID(m.ID); err != nil {
				return news, at, n, err
			}
			n++
			if ch, ok := f.change(m.Values); ok {
				news.Changes = append(news.Changes, ch)
			}
		}
	}
	return news, next, n, nil
}

// change returns the change that an entry stands for; ok is false for our own
// and for signs of life. An entry that makes no sense means that anything may
// have changed.
func (f *Feed) change(values map[string]any) (ch store.Change, ok bool) {
	text := func(name string) string { s, _ := values[name].(string); return s }
	kind := text(fieldKind)
	if text(fieldOrigin) == f.origin || kind == kindProbe {
		return ch, false
	}
	version, err := strconv.ParseUint(text(fieldVersion), 10, 64)
	if err != nil || len(kind) != 1 {
		return store.Change{Kind: store.ChangeUnknown}, true
	}
	return store.Change{Kind: store.ChangeKind(kind[0]), Key: text(fieldKey), Version: version}, true
}

// errSilent ends a Follow whose connection answers but brings nothing, errMute one
// whose connection does not even answer, and errChanged one that has come to another
// server, or to one that was started anew.
var (
	errSilent  = errors.New("the stream does not show what was published to it")
	errMute    = errors.New("the server does not answer a read of the stream")
	errChanged = errors.New("another server has the stream now, or the same was started anew")
)

// probe makes sure that the connection brings news: what this process published
// before the last read must have come, and where it publishes nothing, it sends
// itself a sign of life now and then. Where it does not read on one connection (line), it
// also makes sure that the server is still the same.
func (f *Feed) probe(ctx context.Context, at streamID, n int) error {
	last := f.last.Load()
	since := time.Since(time.Unix(0, f.sent.Load()))
	if n == 0 && last != nil && at.less(*last) && since > 2*f.opts.Block {
		return errSilent
	}
	if time.Since(time.Unix(0, f.checked.Load())) >= f.opts.Probe {
		if _, changed, err := f.identify(ctx); changed || err != nil {
			return cmp.Or(err, errChanged)
		}
	}
	if last != nil && since < f.opts.Probe {
		return nil
	}
	id, err := f.add(ctx, f.s.client, kindProbe, "", 0).Result()
	if err != nil {
		return err
	}
	return f.published(id)
}

// trimmed reports whether entries after at have been deleted, or the stream is
// not the one in which at was read.
func (f *Feed) trimmed(ctx context.Context, c redis.Cmdable, at streamID) (bool, error) {
	info, err := f.info(ctx, c)
	if err != nil {
		return false, err
	}
	return info.lostAfter(at), nil
}
