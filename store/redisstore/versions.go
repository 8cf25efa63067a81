package redisstore

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

var _ store.Versioner = (*Store)(nil)

// Versions implements store.Versioner, with the head of each value, up to 512 keys in
// one round trip. A plain value, and one of another type, is of version 0. Deadlines in
// frames are not looked at, and neither are checksums: whoever reads the value does.
func (s *Store) Versions(ctx context.Context, keys []string) (map[string]uint64, error) {
	versions := make(map[string]uint64, len(keys))
	if err := s.check(ctx, "versions"); err != nil {
		return versions, err
	}
	var failed *store.BatchError
	for chunk := range slices.Chunk(keys, batchKeys) {
		failed = s.versionsOf(ctx, chunk, versions, failed)
	}
	return versions, failed.ErrOrNil()
}

func (s *Store) versionsOf(ctx context.Context, keys []string, versions map[string]uint64, failed *store.BatchError) *store.BatchError {
	const op = "versions"
	heads := make([]*redis.StringCmd, len(keys))
	cmds := make([]redis.Cmder, len(keys))
	for i, key := range keys {
		heads[i] = redis.NewStringCmd(ctx, "getrange", s.opts.Prefix+key, 0, frame.HeaderLen-1)
		cmds[i] = heads[i]
	}
	done, err := s.calls.ReadAlone(ctx, cmds...)
	for i, key := range keys {
		kerr := err
		if done {
			kerr = heads[i].Err()
		}
		switch {
		case redis.HasErrorPrefix(kerr, "WRONGTYPE"):
			versions[key] = 0
		case kerr != nil && !errors.Is(kerr, redis.Nil):
			failed = failed.Add(key, s.fail(ctx, op, key, kerr))
		case heads[i].Val() != "":
			versions[key], _ = frame.Version(bytesOf(heads[i].Val()))
		}
	}
	return failed
}
