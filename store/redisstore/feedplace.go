package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// Where a Feed stands in its stream, and whether that still is the stream that it was.

// line returns what the stream is read through: one connection, where that can be had. The
// first command on it says whether the stream is still the one that was read before, and
// what is read on it later is of the same one. Otherwise the client may connect to another
// server, or to one that was started anew, without a word (see identify).
func (f *Feed) line() (c redis.Cmdable, letGo func()) {
	client, ok := f.s.client.(*redis.Client)
	if !ok || client.Options().PoolSize == 1 || client.Options().MaxActiveConns == 1 { // which others need too
		return f.s.client, func() {}
	}
	conn := client.Conn()
	return conn, func() { _ = conn.Close() }
}

// position turns a cursor into the id to read after. It reports whether entries
// after it are gone, and whether there are any. Where the server is another one, or was
// started anew, some may be: Redis acknowledges what its replicas and its disk may never
// get. Where what was read or published last is gone, some are: others, who may have read
// nothing of what was lost, are told that they miss something.
func (f *Feed) position(ctx context.Context, c redis.Cmdable, cursor string) (at streamID, missed, behind bool, err error) {
	server, changed, err := f.identify(ctx) // first: if it changes after, the next probe finds out
	if err != nil {
		return at, false, false, err
	}
	last := f.last.Load() // before the stream is asked, which has it then
	info, err := f.info(ctx, c)
	if err != nil {
		return at, false, false, err
	}
	if cursor != "" {
		if at, err = parseStreamID(cursor); err != nil { // damaged: start anew
			at, missed = streamID{}, true
		}
	}
	back, own, err := f.wentBack(ctx, c, info, at, last)
	if err != nil {
		return at, false, false, err
	}
	if own {
		f.last.CompareAndSwap(last, nil) // it will never come
	}
	if back && info.keeps(at, last) {
		id, err := f.add(ctx, f.s.client, string(rune(store.ChangeUnknown)), "", 0).Result()
		if err == nil {
			err = f.published(id)
		}
		if err != nil {
			return at, false, false, err
		}
	}
	if server != "" {
		f.server.Store(&server)
	}
	switch {
	case cursor == "":
		return info.last, false, false, nil
	case missed, changed, back, info.lostAfter(at):
		return info.last, true, false, nil
	}
	return at, false, at.less(info.last), nil
}

// wentBack reports whether the stream lacks an entry that it must have: that which was
// read last, or, which own says, that which this process published last (nil: none). Others
// may have added to it since.
func (f *Feed) wentBack(ctx context.Context, c redis.Cmdable, info streamInfo, at streamID, last *streamID) (back, own bool, err error) {
	if back, err = f.lacks(ctx, c, info, at); err != nil {
		return false, false, err
	}
	if last != nil {
		if own, err = f.lacks(ctx, c, info, *last); err != nil {
			return false, false, err
		}
	}
	return back || own, own, nil
}

// lacks reports whether the entry of an id was lost, and not just trimmed. To a user who
// may not ask for it, it was not.
func (f *Feed) lacks(ctx context.Context, c redis.Cmdable, info streamInfo, id streamID) (bool, error) {
	switch {
	case info.last.less(id):
		return true, nil
	case info.length == 0, id.less(info.first): // was it? lostAfter says
		return false, nil
	}
	there, err := c.XRangeN(ctx, f.stream, id.String(), id.String(), 1).Result()
	if redis.IsPermissionError(err) {
		return false, nil
	}
	if err != nil || len(there) > 0 {
		return false, err
	}
	info, err = f.info(ctx, c)
	return !id.less(info.first), err // or it was trimmed just now
}

// identify returns the run id of the server of a Cluster that has the stream, which is
// another for each start of one, and whether it is not the one that was followed. It is
// empty where that cannot be known, or need not be.
func (f *Feed) identify(ctx context.Context) (server string, changed bool, err error) {
	f.checked.Store(time.Now().UnixNano())
	cluster, ok := f.s.client.(*redis.ClusterClient)
	if !ok {
		return "", false, nil
	}
	node, err := cluster.MasterForKey(ctx, f.stream)
	if err != nil {
		return "", false, err
	}
	text, err := node.Info(ctx, "server").Result()
	if err != nil {
		if redis.IsPermissionError(err) {
			return "", false, nil
		}
		return "", false, err
	}
	_, rest, _ := strings.Cut(text, "run_id:")
	server, _, _ = strings.Cut(rest, "\r\n")
	was := f.server.Load()
	return server, server != "" && was != nil && *was != server, nil
}

// streamInfo is what XINFO STREAM says of a stream that matters here; zero for
// one that does not exist.
type streamInfo struct {
	first, last   streamID // first is that of the oldest entry kept, if any
	length, added int64    // entries kept, and ever added
}

// lostAfter reports whether an entry after at may be gone. (Redis tells which
// entry was deleted last, but not which was trimmed last.) An entry that was read is in the
// stream, or was trimmed; where that cannot be, this is another stream.
func (si streamInfo) lostAfter(at streamID) bool {
	switch {
	case si.last.less(at): // another stream, or one restored from an old state
		return true
	case si.length == 0:
		return at.less(si.last)
	default:
		return at.less(si.first) && (at.ms != 0 || si.added > si.length)
	}
}

// keeps reports whether the stream has entries of before those that were lost, which were
// read up to at, or published up to last. Who has read only some of these knows nothing of
// the loss; all others find out by themselves.
func (si streamInfo) keeps(at streamID, last *streamID) bool {
	return si.length > 0 && (si.first.less(at) || last != nil && si.first.less(*last))
}

func (f *Feed) info(ctx context.Context, c redis.Cmdable) (streamInfo, error) {
	var si streamInfo
	x, err := c.XInfoStream(ctx, f.stream).Result()
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
