package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a Server. The zero value, and a nil pointer, mean the
// defaults.
type Options struct {
	// Password is what clients must give (AUTH); empty: nothing. User is the name
	// that goes with it, "default" unless set.
	User, Password string
	// TLS, if not nil, is what connections are wrapped in.
	TLS *tls.Config
	// MaxClients bounds the connections; 0 means 10,000.
	MaxClients int
	// MaxRequest bounds the bytes of a request, and of a value that grows by
	// APPEND; 0 means 64 MiB.
	MaxRequest int
	// MaxQueued bounds the commands of a transaction; 0 means 16,384. Together
	// they are no larger than MaxRequest.
	MaxQueued int
	// MaxReply bounds the bytes of a reply that is made of several values; 0 means
	// 256 MiB. A command beyond it is answered with an error.
	MaxReply int
	// MaxPush bounds the bytes of messages that wait for a subscriber, who is
	// disconnected beyond that; 0 means 32 MiB.
	MaxPush int
	// IdleTimeout ends connections on which nothing has happened for so long,
	// but for subscribers; 0 means never.
	IdleTimeout time.Duration
	// WriteTimeout ends connections whose client does not take its replies; 0
	// means 1 minute.
	WriteTimeout time.Duration
	// Logger is told of what goes wrong; nil is silent.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	for _, f := range []struct {
		name string
		n    int64
	}{
		{"MaxClients", int64(c.MaxClients)}, {"MaxRequest", int64(c.MaxRequest)}, {"MaxQueued", int64(c.MaxQueued)},
		{"MaxReply", int64(c.MaxReply)}, {"MaxPush", int64(c.MaxPush)}, {"IdleTimeout", int64(c.IdleTimeout)}, {"WriteTimeout", int64(c.WriteTimeout)},
	} {
		if f.n < 0 {
			return c, fmt.Errorf("serve: Options.%s is negative; leave it zero for the default", f.name)
		}
	}
	if c.User != "" && c.Password == "" {
		return c, fmt.Errorf("serve: Options.User is %q, but there is no Password", c.User)
	}
	defaults(&c.User, "default")
	defaults(&c.MaxClients, 10_000)
	defaults(&c.MaxRequest, 64<<20)
	defaults(&c.MaxQueued, 16_384)
	defaults(&c.MaxReply, 256<<20)
	defaults(&c.MaxPush, 32<<20)
	defaults(&c.WriteTimeout, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func defaults[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
