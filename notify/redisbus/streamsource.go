package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/rediscall"
	"github.com/stratacache/strata/notify"
	"github.com/stratacache/strata/notify/internal/queue"
)

// streamSource is one consumer of a group, with the goroutine that reads for it.
type streamSource struct {
	bus      *Stream
	name     string // the pattern as the caller gave it
	pattern  notify.Pattern
	group    string // in Redis
	consumer string
	buffer   int
	queue    *queue.Queue[delivery]

	lifetime

	waiting map[string]bool // ids in the queue; guarded by mu
	claimed time.Time       // when the last look for abandoned messages was
	cursor  string          // of that look
	told    int64           // entries trimmed before what was reported as missed
}

// delivery is a message with its id in the stream.
type delivery struct {
	id      string
	payload notify.Payload
}

func newStreamSource(b *Stream, pattern string, o notify.SubscribeOptions) *streamSource {
	s := &streamSource{
		bus: b, name: pattern, pattern: notify.ParsePattern(pattern),
		group: b.opts.Group + ":" + pattern, consumer: rand.Text(), buffer: o.Buffer,
		queue: queue.New[delivery](o.Buffer, queue.Block), waiting: map[string]bool{}, cursor: "0-0",
	}
	s.begin()
	return s
}

// tidySource removes the consumers of processes that are gone and left nothing
// unacknowledged. Those that live read often.
//
//nolint:dupword // Lua's blocks end so
const tidySource = `for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending, idle
  for i = 1, #c, 2 do
    if c[i] == 'name' then name = c[i + 1] end
    if c[i] == 'pending' then pending = c[i + 1] end
    if c[i] == 'idle' then idle = c[i + 1] end
  end
  if pending == 0 and idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
  end
end
return 1`

// abandoned is how long a consumer without pending messages may be idle.
const abandoned = 10 * time.Minute

// join makes the group where it is not there yet, to read after the given id.
func (s *streamSource) join(ctx context.Context, from string) error {
	err := s.bus.client.XGroupCreateMkStream(ctx, s.bus.key, s.group, from).Err()
	if redis.HasErrorPrefix(err, "BUSYGROUP") {
		err = s.bus.client.Eval(ctx, tidySource, []string{s.bus.key}, s.group, abandoned.Milliseconds()).Err()
	}
	return err
}

// Next implements notify.Source.
func (s *streamSource) Next(ctx context.Context) (notify.Payload, error) {
	d, missed, err := s.queue.Pop(ctx)
	switch {
	case errors.Is(err, queue.ErrClosed):
		return notify.Payload{}, notify.ErrClosed
	case missed != 0:
		return notify.Payload{Missed: missed}, nil
	case err != nil:
		return notify.Payload{}, err
	}
	s.mu.Lock()
	delete(s.waiting, d.id)
	s.mu.Unlock()
	return d.payload, nil
}

// Close ends the subscription and waits for its goroutine. A read that is under way
// is left behind: what it is still given is delivered to others, later.
func (s *streamSource) Close() error {
	s.bus.subs.remove(s)
	s.end(s.queue.Close)
	return nil
}

// run reads until the source is closed.
func (s *streamSource) run() {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: lastPause, Multiplier: 2, RandomizationFactor: 0.5,
	}
	pause.Reset()
	for s.ctx.Err() == nil {
		err := s.turn()
		if noGroup(err) {
			// The stream is another one, with messages that the group has not seen.
			if err = s.join(s.ctx, "0"); err == nil {
				s.told, s.cursor = 0, "0-0"
				s.queue.Mark(notify.MissedUnknown)
				continue
			}
		}
		if err == nil {
			pause.Reset()
			continue
		}
		if s.ctx.Err() != nil {
			return
		}
		if s.bus.opts.OnError != nil {
			s.bus.opts.OnError(s.name, err)
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// turn takes over what others have abandoned, reports what was lost, and reads
// what is new, once each.
func (s *streamSource) turn() error {
	if time.Since(s.claimed) > s.bus.opts.ClaimAfter/2 {
		if err := s.claim(); err != nil {
			return err
		}
	}
	if err := s.gap(); err != nil {
		return err
	}
	var streams []redis.XStream
	done, err := rediscall.Await(s.ctx, func() (err error) {
		streams, err = s.bus.client.XReadGroup(s.ctx, &redis.XReadGroupArgs{
			Group: s.group, Consumer: s.consumer, Streams: []string{s.bus.key, ">"},
			Count: int64(s.buffer), Block: s.bus.opts.Block,
		}).Result()
		return err
	})
	if !done || errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, st := range streams {
		if err := s.deliver(st.Messages); err != nil {
			return err
		}
	}
	return nil
}

// claim takes over messages that have been without acknowledgement for too long,
// those that this process was given itself among them.
func (s *streamSource) claim() error {
	for {
		messages, next, err := s.bus.client.XAutoClaim(s.ctx, &redis.XAutoClaimArgs{
			Stream: s.bus.key, Group: s.group, Consumer: s.consumer,
			MinIdle: s.bus.opts.ClaimAfter, Start: s.cursor, Count: int64(s.buffer),
		}).Result()
		if err != nil {
			return err
		}
		if err := s.deliver(messages); err != nil {
			return err
		}
		if s.cursor = next; next == "0-0" {
			s.claimed = time.Now()
			return nil
		}
	}
}

// gap reports messages that were trimmed before the group read them.
func (s *streamSource) gap() error {
	info, err := s.bus.client.XInfoStream(s.ctx, s.bus.key).Result()
	if err != nil {
		if noSuchKey(err) {
			return nil // reading says so too
		}
		return err
	}
	trimmed := info.EntriesAdded - info.Length
	if trimmed <= s.told {
		return nil
	}
	groups, err := s.bus.client.XInfoGroups(s.ctx, s.bus.key).Result()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Name != s.group {
			continue
		}
		if lost := trimmed - max(g.EntriesRead, s.told); lost > 0 {
			s.queue.Mark(int(lost)) // some of them may not have matched
		}
	}
	s.told = trimmed
	return nil
}

func noSuchKey(err error) bool { return err.Error() == "ERR no such key" }

// deliver queues messages that match, and acknowledges the others, which are of no
// concern to the group. It waits for room.
func (s *streamSource) deliver(messages []redis.XMessage) error {
	var foreign []string
	for _, m := range messages {
		topic, ok := m.Values[fieldTopic].(string)
		data, _ := m.Values[fieldData].(string)
		if !ok || !s.pattern.Match(topic) {
			foreign = append(foreign, m.ID)
			continue
		}
		if !s.wait(m.ID) {
			continue // it was claimed from ourselves, and nobody has read it yet
		}
		id := m.ID
		d := delivery{id, notify.Payload{Topic: topic, Data: []byte(data), Ack: func(ctx context.Context) error { return s.ack(ctx, id) }}}
		if err := s.queue.Push(s.ctx, d); err != nil {
			return nil // closed: it is delivered to others
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return s.ack(s.ctx, foreign...)
}

// wait notes that a message is in the queue; false means that it is already.
func (s *streamSource) wait(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[id] {
		return false
	}
	s.waiting[id] = true
	return true
}

func (s *streamSource) ack(ctx context.Context, ids ...string) error {
	return run(ctx, func() error { return s.bus.client.XAck(ctx, s.bus.key, s.group, ids...).Err() })
}
