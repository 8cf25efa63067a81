package redisstore

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/internal/rediscall"
)

// scanCount is how many keys the server looks at per SCAN: enough to make round
// trips few, few enough to keep it free for others.
const scanCount = 512

var errNoPrefix = errors.New("the store has no Prefix, so that Clear would remove every key of the database; " +
	"set Options.Prefix, or Options.AllowClearAll if that is meant")

// Scan yields the keys under the store's prefix that begin with prefix, those
// that other programs wrote too, on every master of a Cluster. It is made of
// SCANs, so a key may be repeated, and while a Cluster moves slots one may be
// missing. For each page of keys it asks which of them are tombstones.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for names, err := range s.scan(ctx, prefix, s.living) {
			if err != nil {
				yield("", s.fail(ctx, "scan", "", err))
				return
			}
			for _, name := range names {
				key, ours := strings.CutPrefix(name, s.opts.Prefix)
				if ours && key != "" && !yield(key, nil) {
					return
				}
			}
		}
	}
}

// Clear removes every key under the store's prefix with SCAN and UNLINK, on
// every master of a Cluster, and nothing else. Without a prefix it is refused
// unless Options.AllowClearAll is set. What is written meanwhile may stay.
func (s *Store) Clear(ctx context.Context) error {
	const op = "clear"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	if s.opts.Prefix == "" && !s.opts.AllowClearAll {
		return s.fail(ctx, op, "", errNoPrefix)
	}
	for names, err := range s.scan(ctx, "", everything) {
		if err == nil {
			err = s.unlink(ctx, names)
		}
		if err != nil {
			return s.fail(ctx, op, "", err)
		}
	}
	return nil
}

// sieve returns those of the keys, given by name, that are wanted.
type sieve func(ctx context.Context, names []string) ([]string, error)

func everything(_ context.Context, names []string) ([]string, error) { return names, nil }

// living sorts out the tombstones.
func (s *Store) living(ctx context.Context, names []string) ([]string, error) {
	p := s.client.Pipeline()
	heads := make([]*redis.StringCmd, len(names))
	for i, name := range names {
		heads[i] = p.GetRange(ctx, name, 0, frame.HeaderLen-1)
	}
	if done, err := rediscall.Await(ctx, func() error { return rediscall.Exec(ctx, p) }); !done {
		return nil, err
	}
	live := names[:0]
	for i, head := range heads {
		err := head.Err()
		switch {
		case err == nil && frame.Deleted(bytesOf(head.Val())):
		case err == nil, redis.HasErrorPrefix(err, "WRONGTYPE"):
			live = append(live, names[i])
		default:
			return nil, err
		}
	}
	return live, nil
}

// scan yields the names of keys, prefix included, page by page.
func (s *Store) scan(ctx context.Context, prefix string, want sieve) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		if err := s.check(ctx, "scan"); err != nil {
			yield(nil, errors.Unwrap(err))
			return
		}
		nodes, err := s.nodes(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		match := globEscape(s.opts.Prefix+prefix) + "*"
		for _, node := range nodes {
			if !s.scanNode(ctx, node, match, want, yield) {
				return
			}
		}
	}
}

// scanNode yields the pages of one node; false ends the scan.
func (s *Store) scanNode(ctx context.Context, node redis.Cmdable, match string, want sieve, yield func([]string, error) bool) bool {
	var cursor uint64
	for {
		var names []string
		done, err := rediscall.Await(ctx, func() (err error) {
			names, cursor, err = node.Scan(ctx, cursor, match, scanCount).Result()
			return err
		})
		if !done || err != nil {
			yield(nil, err)
			return false
		}
		if s.closed.Load() {
			yield(nil, redis.ErrClosed)
			return false
		}
		if len(names) > 0 {
			if names, err = want(ctx, names); err != nil {
				yield(nil, err)
				return false
			}
			if !yield(names, nil) {
				return false
			}
		}
		if cursor == 0 {
			return true
		}
	}
}

// nodes returns what has to be asked to see every key once.
func (s *Store) nodes(ctx context.Context) ([]redis.Cmdable, error) {
	var (
		mu    sync.Mutex
		nodes []redis.Cmdable
	)
	add := func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, c)
		return nil
	}
	each := func(context.Context, func(context.Context, *redis.Client) error) error { return nil }
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		each = c.ForEachMaster
	case *redis.Ring:
		each = c.ForEachShard
	default:
		nodes = append(nodes, c)
	}
	_, err := rediscall.Await(ctx, func() error { return each(ctx, add) })
	mu.Lock() // where the context ended, each may still be adding
	defer mu.Unlock()
	return nodes, err
}

// globEscape escapes what Redis reads as a pattern.
func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}
