package serve

import (
	"sync"

	"github.com/stratacache/strata/internal/resp"
)

// broker knows who listens to what.
type broker struct {
	mu       sync.RWMutex
	channels map[string]map[*subscriber]struct{}
	patterns map[string]map[*subscriber]struct{}
	count    int // connections that listen to something
}

func (b *broker) init() {
	b.channels, b.patterns = make(map[string]map[*subscriber]struct{}), make(map[string]map[*subscriber]struct{})
}

// subscriber is the listening side of a connection. Everything that is sent to the
// connection goes through its queue from then on, so that messages and replies
// come in order; a goroutine of its own sends, so that no publisher waits.
type subscriber struct {
	c     *conn
	proto int

	// Guarded by the broker's mu.
	channels, patterns map[string]struct{}

	mu     sync.Mutex
	queue  []byte
	dead   bool          // the connection is being closed
	idle   chan struct{} // closed when the queue has been sent; nil: nobody waits
	wake   chan struct{}
	ended  chan struct{} // closed when the goroutine has ended
	finish bool
}

func (b *broker) clients() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.count
}

// has reports whether c listens to anything.
func (b *broker) has(c *conn) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return c.sub != nil && c.sub.total() > 0
}

func (s *subscriber) total() int { return len(s.channels) + len(s.patterns) }

// push queues bytes for the client.
func (s *subscriber) push(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	if len(s.queue)+len(b) > s.c.s.opts.MaxPush && len(s.queue) > 0 {
		s.dead = true
		_ = s.c.nc.Close() // it does not read
		return false
	}
	s.queue = append(s.queue, b...)
	s.signal()
	return true
}

func (s *subscriber) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run sends what is queued, until the connection ends.
func (s *subscriber) run() {
	defer close(s.ended)
	var out []byte
	for range s.wake {
		for {
			s.mu.Lock()
			out, s.queue = s.queue, out[:0]
			if len(out) == 0 {
				if s.idle != nil {
					close(s.idle)
					s.idle = nil
				}
				finish := s.finish
				s.mu.Unlock()
				if finish {
					return
				}
				break
			}
			s.mu.Unlock()
			if err := s.c.send(out); err != nil {
				s.mu.Lock()
				s.dead, s.queue = true, nil
				s.mu.Unlock()
				_ = s.c.nc.Close()
			}
			if cap(out) > 4*maxOut {
				out = nil
			}
		}
	}
}

// reply queues the connection's own replies, and waits until they are sent where
// they are many: a client that does not read its replies is not to fill memory.
func (s *subscriber) reply(c *conn) bool {
	ok := s.push(c.w.Buf)
	c.w.Buf = c.w.Buf[:0]
	if !ok {
		return false
	}
	s.mu.Lock()
	if len(s.queue) < maxOut && !c.quit {
		s.mu.Unlock()
		return true
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.signal()
	s.mu.Unlock()
	<-idle
	return true
}

// join makes c a subscriber.
func (c *conn) join() *subscriber {
	if c.sub == nil {
		c.flush() // what was answered before comes before
		sub := &subscriber{
			c: c, channels: map[string]struct{}{}, patterns: map[string]struct{}{},
			wake: make(chan struct{}, 1), ended: make(chan struct{}),
		}
		c.s.topic.mu.Lock()
		c.sub = sub
		c.s.topic.mu.Unlock()
		go sub.run()
	}
	return c.sub
}

// leave ends all that c listens to, and its goroutine.
func (b *broker) leave(c *conn) {
	s := c.sub
	if s == nil {
		return
	}
	b.mu.Lock()
	for name := range s.channels {
		drop(b.channels, name, s)
	}
	for name := range s.patterns {
		drop(b.patterns, name, s)
	}
	if s.total() > 0 {
		b.count--
	}
	s.channels, s.patterns = nil, nil
	b.mu.Unlock()
	_ = c.nc.Close()
	s.mu.Lock()
	s.dead, s.finish, s.queue = true, true, nil
	s.signal()
	s.mu.Unlock()
	<-s.ended
}

func drop(m map[string]map[*subscriber]struct{}, name string, s *subscriber) {
	delete(m[name], s)
	if len(m[name]) == 0 {
		delete(m, name)
	}
}

// publish sends a message, and returns to how many it went.
func (b *broker) publish(channel, message []byte) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	var forms [4][]byte // by protocol: what has been encoded already
	for s := range b.channels[string(channel)] {
		f := &forms[s.proto]
		if *f == nil {
			w := resp.Writer{Proto: s.proto}
			w.Push(3)
			w.BulkString("message")
			w.Bulk(channel)
			w.Bulk(message)
			*f = w.Buf
		}
		s.push(*f)
		n++
	}
	for pattern, subs := range b.patterns {
		if !match([]byte(pattern), channel) {
			continue
		}
		for s := range subs {
			w := resp.Writer{Proto: s.proto}
			w.Push(4)
			w.BulkString("pmessage")
			w.BulkString(pattern)
			w.Bulk(channel)
			w.Bulk(message)
			s.push(w.Buf)
			n++
		}
	}
	return n
}

func publish(c *conn, args [][]byte) {
	c.did.published.Add(1)
	c.w.Int(int64(c.s.topic.publish(args[1], args[2])))
}

func subscribe(c *conn, args [][]byte)  { c.subscribe("subscribe", args[1:]) }
func psubscribe(c *conn, args [][]byte) { c.subscribe("psubscribe", args[1:]) }

// sides returns the broker's and the subscriber's part for a kind of command.
func (b *broker) sides(s *subscriber, kind string) (all map[string]map[*subscriber]struct{}, own map[string]struct{}) {
	if kind[0] == 'p' {
		return b.patterns, s.patterns
	}
	return b.channels, s.channels
}

// subscribe confirms each name. The confirmation is queued in one step with the
// registration, so that it comes before the first message and after nothing that
// was published before.
func (c *conn) subscribe(kind string, names [][]byte) {
	s := c.join()
	b := &c.s.topic
	for _, name := range names {
		b.mu.Lock()
		s.proto = max(c.w.Proto, 2)
		all, own := b.sides(s, kind)
		if _, there := own[string(name)]; !there {
			if s.total() == 0 {
				b.count++
			}
			own[string(name)] = struct{}{}
			if all[string(name)] == nil {
				all[string(name)] = make(map[*subscriber]struct{})
			}
			all[string(name)][s] = struct{}{}
		}
		c.confirm(kind, name, s.total())
		s.push(c.w.Buf)
		c.w.Buf = c.w.Buf[:0]
		b.mu.Unlock()
	}
}

func (c *conn) confirm(kind string, name []byte, n int) {
	c.w.Push(3)
	c.w.BulkString(kind)
	if name == nil {
		c.w.Null()
	} else {
		c.w.Bulk(name)
	}
	c.w.Int(int64(n))
}

func unsubscribe(c *conn, args [][]byte)  { c.unsubscribe("unsubscribe", args[1:]) }
func punsubscribe(c *conn, args [][]byte) { c.unsubscribe("punsubscribe", args[1:]) }

func (c *conn) unsubscribe(kind string, names [][]byte) {
	if c.sub == nil {
		if len(names) == 0 {
			names = [][]byte{nil}
		}
		for _, name := range names {
			c.confirm(kind, name, 0)
		}
		return
	}
	s, b := c.sub, &c.s.topic
	b.mu.Lock()
	defer b.mu.Unlock()
	all, own := b.sides(s, kind)
	if len(names) == 0 {
		for name := range own {
			names = append(names, []byte(name))
		}
		if len(names) == 0 {
			c.confirm(kind, nil, s.total())
		}
	}
	for _, name := range names {
		if _, there := own[string(name)]; there {
			delete(own, string(name))
			drop(all, string(name), s)
			if s.total() == 0 {
				b.count--
			}
		}
		c.confirm(kind, name, s.total())
	}
	s.push(c.w.Buf)
	c.w.Buf = c.w.Buf[:0]
}
