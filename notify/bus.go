package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/stratacache/strata/notify/internal/queue"
)

// ErrClosed is returned by a closed bus or subscription.
var ErrClosed = errors.New("notify: closed")

// ErrInvalidTopic is returned for an empty topic or pattern.
var ErrInvalidTopic = errors.New("notify: empty topic")

// MissedUnknown is the Missed of a message that tells of a loss of unknown size.
const MissedUnknown = queue.Unknown

// Bus carries payloads from publishers to subscribers. Implementations are safe
// for concurrent use.
type Bus interface {
	// Publish hands payload to every subscription whose pattern matches topic at
	// the moment, or, in a bus with groups, to one of each group. The bus may keep payload: it is read-only from then on.
	Publish(ctx context.Context, topic string, payload []byte) error
	// Subscribe returns a source of all that is published after it returned and
	// matches pattern. ctx bounds the setting up only. opts may be nil.
	Subscribe(ctx context.Context, pattern string, opts *SubscribeOptions) (Source, error)
	// Close ends all subscriptions. A second Close is nil; other calls are
	// ErrClosed then.
	Close() error
}

// Source is a subscription as a bus gives it. It is safe for concurrent use;
// every payload goes to one reader.
type Source interface {
	// Next waits for the next payload. After Close, also one that comes while
	// it waits, it returns ErrClosed.
	Next(ctx context.Context) (Payload, error)
	// Close ends the subscription and releases what it holds.
	Close() error
}

// Payload is a message as a bus carries it.
type Payload struct {
	Topic string
	Data  []byte // read-only
	// Missed is not 0 in a payload without topic and data: so many were lost
	// here, or MissedUnknown.
	Missed int
	// Ack tells a bus that delivers at least once that the payload has been dealt
	// with; otherwise it comes again. Nil: it comes once in any case.
	Ack func(ctx context.Context) error
}

// Overflow says what happens to a message for a subscription whose buffer is
// full.
type Overflow int

const (
	// DropOldest drops the oldest message in the buffer: readers of current
	// state want the latest. It is the default.
	DropOldest = Overflow(queue.DropOldest)
	// DropNewest drops the message that comes.
	DropNewest = Overflow(queue.DropNewest)
	// Block has the publisher wait for room, until its context ends. Over Redis
	// it is the receiving side that waits, and a server that cannot send for
	// long closes the connection, which is told as missed messages.
	Block = Overflow(queue.Block)
)

// DefaultBuffer is the number of messages that a subscription buffers unless told
// otherwise.
const DefaultBuffer = 256

// SubscribeOptions configures a subscription. The zero value, like nil, is the
// default.
type SubscribeOptions struct {
	// Buffer is how many messages wait for the reader; 0 means DefaultBuffer.
	Buffer int
	// Overflow says what happens when they are more.
	Overflow Overflow
}

// Resolve returns o with the defaults filled in, or an error that names the
// wrong field. It is for implementations of Bus.
func (o *SubscribeOptions) Resolve() (SubscribeOptions, error) {
	var r SubscribeOptions
	if o != nil {
		r = *o
	}
	if r.Buffer < 0 {
		return r, fmt.Errorf("notify: SubscribeOptions.Buffer is %d; want 0 or more messages", r.Buffer)
	}
	if r.Buffer == 0 {
		r.Buffer = DefaultBuffer
	}
	if r.Overflow < DropOldest || r.Overflow > Block {
		return r, fmt.Errorf("notify: SubscribeOptions.Overflow is %d; want DropOldest, DropNewest or Block", r.Overflow)
	}
	return r, nil
}
