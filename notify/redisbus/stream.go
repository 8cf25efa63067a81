package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
	"github.com/stratacache/strata/notify"
)

// The defaults of StreamOptions.
const (
	DefaultMaxLen     = 100_000
	DefaultClaimAfter = 30 * time.Second
	DefaultBlock      = time.Second
)

// StreamOptions configures a Stream. Group is required; the other fields may be
// zero, which is their default.
type StreamOptions struct {
	// Prefix begins the stream's name in Redis. Buses of one prefix share it.
	Prefix string
	// Group names those who share the work: of each message that matches a pattern,
	// one subscription to that pattern in each group gets a copy. Processes of one
	// service have the same.
	Group string
	// MaxLen is about how many messages Redis keeps, read or not; 0 means
	// DefaultMaxLen.
	MaxLen int64
	// ClaimAfter is how long a message may be without acknowledgement before it is
	// delivered again, to any of the group; 0 means DefaultClaimAfter. It should
	// be longer than the handling of as many messages as a subscription buffers.
	ClaimAfter time.Duration
	// Block is how long one read waits for messages; 0 means DefaultBlock.
	Block time.Duration
	// OnError is told of each failure of a subscription before it is tried again.
	// It must not block.
	OnError func(pattern string, err error)
}

func (o *StreamOptions) check() error {
	switch {
	case o.Group == "":
		return errors.New("redisbus: StreamOptions.Group is empty")
	case o.MaxLen < 0:
		return fmt.Errorf("redisbus: StreamOptions.MaxLen is %d; want 0 or more messages", o.MaxLen)
	case o.ClaimAfter < 0 || o.ClaimAfter > 0 && o.ClaimAfter < time.Millisecond:
		return fmt.Errorf("redisbus: StreamOptions.ClaimAfter is %v; want a millisecond or more", o.ClaimAfter)
	case o.Block < 0 || o.Block > 0 && o.Block < time.Millisecond:
		return fmt.Errorf("redisbus: StreamOptions.Block is %v; want a millisecond or more", o.Block)
	}
	if o.MaxLen == 0 {
		o.MaxLen = DefaultMaxLen
	}
	if o.ClaimAfter == 0 {
		o.ClaimAfter = DefaultClaimAfter
	}
	if o.Block == 0 {
		o.Block = DefaultBlock
	}
	return nil
}

// Stream is a notify.Bus on a Redis Stream with consumer groups: delivery is at
// least once, to one subscription of each group, also of what was published while
// none of the group was there.
type Stream struct {
	client redis.UniversalClient
	opts   StreamOptions
	key    string
	subs   sources[*streamSource]
}

var _ notify.Bus = (*Stream)(nil)

// streamPrefix begins the name of the stream.
const streamPrefix = "__strata:notify:"

// The fields of an entry of the stream.
const (
	fieldTopic = "t"
	fieldData  = "d"
)

// NewStream returns a bus on client, which stays the caller's to close, after the
// bus. Nothing is sent. See New for which clients are refused.
func NewStream(client redis.UniversalClient, opts *StreamOptions) (*Stream, error) {
	if err := rediscall.Check(client); err != nil {
		return nil, fmt.Errorf("redisbus: %w", err)
	}
	var o StreamOptions
	if opts != nil {
		o = *opts
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Stream{client: client, opts: o, key: streamPrefix + o.Prefix}, nil
}

// Publish appends payload to the stream. nil means that Redis has it.
func (b *Stream) Publish(ctx context.Context, topic string, payload []byte) error {
	if topic == "" {
		return notify.ErrInvalidTopic
	}
	if err := b.subs.check(); err != nil {
		return err
	}
	err := run(ctx, func() error {
		return b.client.XAdd(ctx, &redis.XAddArgs{
			Stream: b.key, MaxLen: b.opts.MaxLen, Approx: true, Values: []any{fieldTopic, topic, fieldData, payload},
		}).Err()
	})
	if err != nil {
		return fmt.Errorf("redisbus: publish: %w", err)
	}
	return nil
}

// Subscribe returns a source of the group's messages that match pattern: from now
// on, or, where the group has subscribed to the pattern before, from where it was.
// Each message is to be acknowledged by its Ack. At most Options.Buffer messages
// wait in this process, and Overflow does not matter: the rest waits in Redis.
func (b *Stream) Subscribe(ctx context.Context, pattern string, opts *notify.SubscribeOptions) (notify.Source, error) {
	o, err := resolve(pattern, opts)
	if err != nil {
		return nil, err
	}
	s := newStreamSource(b, pattern, o)
	if err := b.subs.add(s); err != nil {
		return nil, err
	}
	if err := run(ctx, func() error { return s.join(ctx, "$") }); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("redisbus: subscribe to %q: %w", pattern, err)
	}
	if !s.start(s.run) {
		return nil, notify.ErrClosed
	}
	return s, nil
}

// Close ends all subscriptions and waits for their goroutines. What has not been
// acknowledged is delivered to others of the group.
func (b *Stream) Close() error {
	b.subs.close()
	return nil
}

// noGroup reports whether the stream or its group is gone, as after a FLUSHALL or
// in a server that lost its data.
func noGroup(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOGROUP") }
