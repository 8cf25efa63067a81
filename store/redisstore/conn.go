package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
)

// process sends one command and waits for its reply. Where done is false the
// caller has left before the command ended: its reply may not be looked at.
func (s *Store) process(ctx context.Context, cmd redis.Cmder) (done bool, err error) {
	return rediscall.Await(ctx, func() error { return s.client.Process(ctx, cmd) })
}

// exec sends the commands of p in one round trip. err is the first failure among
// them; where done is false, none of the replies may be looked at.
func (s *Store) exec(ctx context.Context, p redis.Pipeliner) (done bool, err error) {
	return rediscall.Await(ctx, func() error { return rediscall.Exec(ctx, p) })
}
