package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
)

// process sends commands of one key, and waits for the replies. err is the first
// failure among them. Where done is false the caller has left before they came:
// the commands may not be looked at.
func (s *Store) process(ctx context.Context, cmds ...redis.Cmder) (done bool, err error) {
	return s.calls.Do(ctx, cmds...)
}

// batch is process for commands that are many enough for a round trip of their
// own.
func (s *Store) batch(ctx context.Context, cmds []redis.Cmder) (done bool, err error) {
	return s.calls.Alone(ctx, cmds...)
}

// exec sends the commands of p, which must not run twice, beside the caller.
func (s *Store) exec(ctx context.Context, p redis.Pipeliner) (done bool, err error) {
	return rediscall.Await(ctx, func() error { return rediscall.Exec(ctx, p) })
}
