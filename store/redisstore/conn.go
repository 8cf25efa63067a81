package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// process sends one command and waits for its reply. Where done is false the
// caller has left before the command ended: its reply may not be looked at.
func (s *Store) process(ctx context.Context, cmd redis.Cmder) (done bool, err error) {
	return await(ctx, func() error { return s.client.Process(ctx, cmd) })
}

// exec sends the commands of p in one round trip. err is the first failure among
// them; where done is false, none of the replies may be looked at.
func (s *Store) exec(ctx context.Context, p redis.Pipeliner) (done bool, err error) {
	return await(ctx, func() error {
		cmds, err := p.Exec(ctx)
		stamp(cmds, err)
		return err
	})
}

// stamp gives every command the error of its pipeline where none has one.
// go-redis v9.23 leaves them without when it cannot log in on a new connection:
// a SET then seems to have succeeded, and a GET to have found an empty value.
func stamp(cmds []redis.Cmder, err error) {
	if err == nil {
		return
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return
		}
	}
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

// await runs f beside the caller, who leaves when ctx ends. go-redis honours a
// deadline, but it does not see a cancellation while it waits for a reply, and
// would hold the caller for its read timeout.
func await(ctx context.Context, f func() error) (done bool, err error) {
	if ctx.Done() == nil {
		return true, f()
	}
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err = <-result:
		return true, err
	case <-ctx.Done():
	}
	select {
	case err = <-result: // both at once: an answer is better
		return true, err
	default:
		return false, ctx.Err()
	}
}
