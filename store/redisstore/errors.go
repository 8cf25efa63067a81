package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// ErrWrongType says that the key holds a hash, list or other type than a string, which
// some other program put there. It is an error and not a miss; Fill leaves the
// key alone, Set and Delete replace and remove it.
var ErrWrongType = errors.New("strata: the key holds another Redis type than a string")

// errCount is the error of a batch.
var errCount = errors.New("the server answers with another number of values than it was asked for")

// fail wraps err, which is not nil, in a *store.Error and counts it.
func (s *Store) fail(ctx context.Context, op, key string, err error) error {
	s.count.errors.Add(1)
	return &store.Error{Op: op, Tier: s.opts.Name, Key: key, Err: s.cause(ctx, err)}
}

// cause translates what go-redis returned into what the contract names.
func (s *Store) cause(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, redis.ErrClosed), s.closed.Load():
		return store.ErrClosed
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return ErrWrongType
	}
	ended := endOf(ctx, err)
	if ended == nil || errors.Is(err, ended) {
		return err
	}
	return fmt.Errorf("%w (%v)", ended, err) //nolint:errorlint // the context's error is the one to match
}

// endOf returns ctx's error where it is the reason of err. The deadline of the
// connection, which is the context's, may strike just before the context's own
// timer does: it then waits for that.
func endOf(ctx context.Context, err error) error {
	var timeout net.Error
	if deadline, ok := ctx.Deadline(); ok && errors.As(err, &timeout) && timeout.Timeout() && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err()
}

// check refuses what needs no server to be refused. key is not checked where
// the operation has none.
func (s *Store) check(ctx context.Context, op string) error {
	if s.closed.Load() {
		return s.fail(ctx, op, "", store.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return s.fail(ctx, op, "", err)
	}
	return nil
}

// checkKey is check for an operation of one key.
func (s *Store) checkKey(ctx context.Context, op, key string) error {
	switch {
	case s.closed.Load():
		return s.fail(ctx, op, key, store.ErrClosed)
	case key == "":
		return s.fail(ctx, op, key, store.ErrInvalidKey)
	}
	if err := ctx.Err(); err != nil {
		return s.fail(ctx, op, key, err)
	}
	return nil
}
