package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Options configures Topics of T. The zero value, like nil, is the default: JSON.
type Options[T any] struct {
	// Encode and Decode turn values into payloads and back. Set both or none.
	// They must be safe for concurrent use.
	Encode func(v T) ([]byte, error)
	Decode func(data []byte) (T, error)
}

// Topics publishes and receives values of type T on a bus. It is safe for
// concurrent use and holds nothing to close.
type Topics[T any] struct {
	bus    Bus
	encode func(v T) ([]byte, error)
	decode func(data []byte) (T, error)
}

// NewTopics returns the topics of type T on bus. Topics of several types may
// share a bus, under different names. opts may be nil.
func NewTopics[T any](bus Bus, opts *Options[T]) (*Topics[T], error) {
	if bus == nil {
		return nil, errors.New("notify: the bus is nil")
	}
	t := &Topics[T]{bus: bus, encode: encodeJSON[T], decode: decodeJSON[T]}
	if opts == nil {
		return t, nil
	}
	if (opts.Encode == nil) != (opts.Decode == nil) {
		return nil, errors.New("notify: Options.Encode and Options.Decode are set together or not at all")
	}
	if opts.Encode != nil {
		t.encode, t.decode = opts.Encode, opts.Decode
	}
	return t, nil
}

func encodeJSON[T any](v T) ([]byte, error) { return json.Marshal(v) }

func decodeJSON[T any](data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

// Publish sends v to the subscribers of topic. It does not tell whether there are
// any.
func (t *Topics[T]) Publish(ctx context.Context, topic string, v T) error {
	if topic == "" {
		return ErrInvalidTopic
	}
	data, err := t.encode(v)
	if err != nil {
		return fmt.Errorf("notify: encoding a message for %q: %w", topic, err)
	}
	return t.bus.Publish(ctx, topic, data)
}

// Subscribe receives what is published after it returned on topics that match
// pattern. ctx bounds the setting up only; Close ends the subscription.
func (t *Topics[T]) Subscribe(ctx context.Context, pattern string, opts *SubscribeOptions) (*Subscription[T], error) {
	if pattern == "" {
		return nil, ErrInvalidTopic
	}
	source, err := t.bus.Subscribe(ctx, pattern, opts)
	if err != nil {
		return nil, err
	}
	return &Subscription[T]{source: source, decode: t.decode}, nil
}

// Message is one that was published, or the report of a loss.
type Message[T any] struct {
	Topic string
	Value T
	// Missed is not 0 in a message that carries no value: so many messages were
	// lost here, or MissedUnknown.
	Missed int

	ack func(ctx context.Context) error
}

// Ack says that the message has been dealt with, to a bus that delivers it again
// otherwise. On other buses, and for the report of a loss, it does nothing.
func (m *Message[T]) Ack(ctx context.Context) error {
	if m.ack == nil {
		return nil
	}
	return m.ack(ctx)
}

// DecodeError is returned for a message whose payload is no T, with the message,
// which may be acknowledged. The subscription goes on.
type DecodeError struct {
	Topic string
	Data  []byte // read-only
	Err   error
}

// Error implements error, without the payload.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("notify: a message of %d bytes on %q cannot be decoded: %v", len(e.Data), e.Topic, e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Subscription receives messages until it is closed. It is safe for concurrent
// use; each message goes to one reader.
type Subscription[T any] struct {
	source Source
	decode func(data []byte) (T, error)
}

// Next waits for the next message. It returns ErrClosed once the subscription is
// closed, the error of ctx when that ends, and a *DecodeError for a payload that
// is no T.
func (s *Subscription[T]) Next(ctx context.Context) (Message[T], error) {
	p, err := s.source.Next(ctx)
	if err != nil {
		return Message[T]{}, err
	}
	m := Message[T]{Topic: p.Topic, Missed: p.Missed, ack: p.Ack}
	if p.Missed != 0 {
		return m, nil
	}
	if m.Value, err = s.decode(p.Data); err != nil {
		return Message[T]{Topic: p.Topic, ack: p.Ack}, &DecodeError{Topic: p.Topic, Data: p.Data, Err: err}
	}
	return m, nil
}

// All yields messages until the subscription is closed or ctx ends, which it
// yields as an error. A message that cannot be decoded is yielded as its topic
// and a *DecodeError, and the sequence goes on.
func (s *Subscription[T]) All(ctx context.Context) iter.Seq2[Message[T], error] {
	return func(yield func(Message[T], error) bool) {
		for {
			m, err := s.Next(ctx)
			if errors.Is(err, ErrClosed) {
				return
			}
			var decode *DecodeError
			goesOn := err == nil || errors.As(err, &decode)
			if !yield(m, err) || !goesOn {
				return
			}
		}
	}
}

// Close ends the subscription; readers that wait get ErrClosed. A second Close
// is nil.
func (s *Subscription[T]) Close() error { return s.source.Close() }
