package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
)

// exec sends the commands of p beside the caller. err is the first failure among
// them; where done is false, none of the replies may be looked at.
func (s *Store) exec(ctx context.Context, p redis.Pipeliner) (done bool, err error) {
	return rediscall.Await(ctx, func() error { return rediscall.Exec(ctx, p) })
}
