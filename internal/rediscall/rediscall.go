// Package rediscall has what every user of go-redis here needs around its calls:
// contexts that are respected, and pipelines whose failures are seen.
package rediscall

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/deadline"
)

// ErrDeafClient is returned by Check.
var ErrDeafClient = errors.New("the client ignores context deadlines: " +
	"set ContextTimeoutEnabled: true in its redis.Options, or let redisstore.NewClient make the client")

// ErrNilClient is returned by Check.
var ErrNilClient = errors.New("the client is nil")

// Check refuses a client that would not respect deadlines: go-redis ignores the
// deadline of a context unless told otherwise, and a call with 100 ms to live
// then waits out the read timeout of seconds. Of a wrapper of another type the
// options cannot be read: it passes.
func Check(client redis.UniversalClient) error {
	var respects bool
	switch c := client.(type) {
	case nil:
		return ErrNilClient
	case *redis.Client:
		if c == nil {
			return ErrNilClient
		}
		respects = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		if c == nil {
			return ErrNilClient
		}
		respects = c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		if c == nil {
			return ErrNilClient
		}
		respects = c.Options().ContextTimeoutEnabled
	default:
		return nil
	}
	if !respects {
		return ErrDeafClient
	}
	return nil
}

// Await runs f beside the caller, who leaves when ctx ends: done is false then,
// and what f writes may not be looked at. go-redis honours a deadline, but it
// does not see a cancellation while it waits for a reply, and would hold the
// caller for its read timeout.
func Await(ctx context.Context, f func() error) (done bool, err error) {
	if endless(ctx) {
		return true, f()
	}
	left, late := deadline.Ends(ctx)
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err = <-result:
		return true, err
	case <-left:
	case <-late:
	}
	<-ctx.Done()
	select {
	case err = <-result: // both at once: an answer is better
		return true, err
	default:
		return false, ctx.Err()
	}
}

// Exec sends the commands of p in one round trip and sees to it that each has its
// error. The one returned is the first among them.
func Exec(ctx context.Context, p redis.Pipeliner) error {
	cmds, err := p.Exec(ctx)
	stamp(cmds, err)
	return err
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
