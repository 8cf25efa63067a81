package redisbus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
	"github.com/stratacache/strata/notify"
)

// DefaultProbe is how long a connection may be silent before it is probed.
const DefaultProbe = 5 * time.Second

// Options configures a Bus. The zero value, like nil, is the default.
type Options struct {
	// Prefix begins the name of every channel in Redis.
	Prefix string
	// Probe is how long a subscription's connection may be silent before the
	// subscription sends itself a message; when that does not come within the
	// same time, the connection is replaced. A new connection on which Redis does
	// not confirm the subscription within that time, or a second if that is more,
	// is given up. 0 means DefaultProbe.
	Probe time.Duration
	// OnError is told of each failure of a subscription's connection, before it
	// is tried again. It must not block. Nil: failures show only as missed
	// messages.
	OnError func(pattern string, err error)
}

// Bus is a notify.Bus on Redis Pub/Sub.
type Bus struct {
	client redis.UniversalClient
	opts   Options
	subs   sources[*source]
}

var _ notify.Bus = (*Bus)(nil)

// New returns a bus on client, which stays the caller's to close, after the bus.
// Like redisstore.New it refuses a client without ContextTimeoutEnabled. Nothing
// is sent. opts may be nil.
func New(client redis.UniversalClient, opts *Options) (*Bus, error) {
	if err := rediscall.Check(client); err != nil {
		return nil, fmt.Errorf("redisbus: %w", err)
	}
	b := &Bus{client: client}
	if opts != nil {
		b.opts = *opts
	}
	if b.opts.Probe < 0 {
		return nil, fmt.Errorf("redisbus: Options.Probe is %v; want 0 or more", b.opts.Probe)
	}
	if b.opts.Probe == 0 {
		b.opts.Probe = DefaultProbe
	}
	return b, nil
}

// Publish sends payload to the subscriptions of all processes. nil means that
// Redis took it, not that anyone got it.
func (b *Bus) Publish(ctx context.Context, topic string, payload []byte) error {
	if topic == "" {
		return notify.ErrInvalidTopic
	}
	if err := b.subs.check(); err != nil {
		return err
	}
	return b.publish(ctx, b.opts.Prefix+topic, payload)
}

func (b *Bus) publish(ctx context.Context, channel string, payload []byte) error {
	if err := run(ctx, func() error { return b.client.Publish(ctx, channel, payload).Err() }); err != nil {
		return fmt.Errorf("redisbus: publish: %w", err)
	}
	return nil
}

// Subscribe returns once Redis has confirmed the subscription. A server that is
// down is an error here; later failures are repaired.
func (b *Bus) Subscribe(ctx context.Context, pattern string, opts *notify.SubscribeOptions) (notify.Source, error) {
	o, err := resolve(pattern, opts)
	if err != nil {
		return nil, err
	}
	s := newSource(b, pattern, o)
	if err := b.subs.add(s); err != nil {
		return nil, err
	}
	ps, err := s.connect(ctx)
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("redisbus: subscribe to %q: %w", pattern, err)
	}
	if !s.start(func() { s.run(ps) }) {
		_ = ps.Close()
		return nil, notify.ErrClosed
	}
	return s, nil
}

// Close ends all subscriptions and waits for their goroutines.
func (b *Bus) Close() error {
	b.subs.close()
	return nil
}

// glob returns the pattern of PSUBSCRIBE for p under prefix.
func glob(prefix string, p notify.Pattern) string {
	escaped := make([]string, 0, len(p.Parts()))
	for i, part := range p.Parts() {
		if i == 0 {
			part = prefix + part
		}
		escaped = append(escaped, strings.NewReplacer(
			`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(part))
	}
	return strings.Join(escaped, "*")
}
