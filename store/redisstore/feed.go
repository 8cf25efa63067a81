package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
// read, and a stream that was lost, are noticed and reported as News.Missed. It
// is safe for concurrent use.
type Feed struct {
	s      *Store
	opts   FeedOptions
	stream string
	origin string
	last   atomic.Pointer[streamID] // of the newest entry that this process published
	sent   atomic.Int64             // when, Unix nanoseconds
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
	at, missed, behind, err := f.position(ctx, cursor)
	if err != nil {
		return f.s.fail(ctx, "follow", "", err)
	}
	fn(store.News{Cursor: at.String(), Missed: missed, Behind: behind})
	for {
		news, next, n, err := f.read(ctx, at)
		if err != nil {
			return f.s.fail(ctx, "follow", "", err)
		}
		if n == feedCount { // behind: entries may be trimmed before they are read
			gone, err := f.trimmed(ctx, at)
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
func (f *Feed) read(ctx context.Context, at streamID) (news store.News, next streamID, n int, err error) {
	streams, err := f.s.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{f.stream, at.String()}, Count: feedCount, Block: f.opts.Block,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return news, at, 0, ctx.Err()
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

// errSilent ends a Follow whose connection is open but brings nothing.
var errSilent = errors.New("the stream does not show what was published to it")

// probe makes sure that the connection brings news: what this process published
// before the last read must have come, and where it publishes nothing, it sends
// itself a sign of life now and then.
func (f *Feed) probe(ctx context.Context, at streamID, n int) error {
	last := f.last.Load()
	since := time.Since(time.Unix(0, f.sent.Load()))
	if n == 0 && last != nil && at.less(*last) && since > 2*f.opts.Block {
		return errSilent
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

// position turns a cursor into the id to read after. It reports whether entries
// after it are gone, and whether there are any.
func (f *Feed) position(ctx context.Context, cursor string) (at streamID, missed, behind bool, err error) {
	info, err := f.info(ctx)
	if err != nil {
		return at, false, false, err
	}
	if cursor == "" {
		return info.last, false, false, nil
	}
	at, err = parseStreamID(cursor)
	if err != nil || info.lostAfter(at) { // a damaged cursor, too: start anew
		return info.last, true, false, nil
	}
	return at, false, at.less(info.last), nil
}

// trimmed reports whether entries after at have been deleted, or the stream is
// not the one in which at was read.
func (f *Feed) trimmed(ctx context.Context, at streamID) (bool, error) {
	info, err := f.info(ctx)
	if err != nil {
		return false, err
	}
	return info.lostAfter(at), nil
}

// streamInfo is what XINFO STREAM says of a stream that matters here; zero for
// one that does not exist.
type streamInfo struct {
	first, last   streamID // first is that of the oldest entry kept, if any
	length, added int64    // entries kept, and ever added
}

// lostAfter reports whether an entry after at may be gone. (Redis tells which
// entry was deleted last, but not which was trimmed last.)
func (si streamInfo) lostAfter(at streamID) bool {
	switch {
	case si.last.less(at): // another stream, or one restored from an old state
		return true
	case si.length == 0:
		return at.less(si.last)
	default:
		return at.less(si.first) && si.added > si.length
	}
}

func (f *Feed) info(ctx context.Context) (streamInfo, error) {
	var si streamInfo
	x, err := f.s.client.XInfoStream(ctx, f.stream).Result()
	if err != nil {
		if strings.Contains(err.Error(), "no such key") {
			return si, nil
		}
		return si, err
	}
	if si.last, err = parseStreamID(x.LastGeneratedID); err != nil {
		return si, err
	}
	si.length, si.added = x.Length, x.EntriesAdded
	if x.Length > 0 {
		si.first, err = parseStreamID(x.FirstEntry.ID)
	}
	return si, err
}

// streamID is the id of a stream's entry: milliseconds and a counter.
type streamID struct{ ms, seq uint64 }

func (a streamID) less(b streamID) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

func parseStreamID(s string) (id streamID, err error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return id, fmt.Errorf("stream id %q is not of the form 123-4", s)
	}
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return id, fmt.Errorf("stream id %q: %w", s, err)
	}
	if id.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return id, fmt.Errorf("stream id %q: %w", s, err)
	}
	return id, nil
}
