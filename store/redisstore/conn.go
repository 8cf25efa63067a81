package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
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
