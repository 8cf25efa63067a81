package serve

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// Server answers Redis clients from a chain. Create it with New. It is safe for
// concurrent use. The chain stays the caller's, and outlives the server.
type Server struct {
	opts  Options
	chain *chain.Chain
	store store.Store
	peek  chain.Peeker
	locks locks
	topic broker
	table table
	pages snapshots
	far   bool // there is more than memory
	began time.Time
	// looking is held by who goes through all keys for tags.
	looking sync.Mutex
	now     atomic.Int64 // Unix nanoseconds, to a second or so: for what need not be exact

	ctx    context.Context // of commands; ends with the server
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	down      bool
	empty     chan struct{} // closed when the last connection has gone after down

	nextID   atomic.Int64
	accepted atomic.Uint64
	refused  atomic.Uint64
	past     tally // of connections that have ended
}

// tally counts what a connection did.
type tally struct{ commands, failures, hits, misses, published atomic.Uint64 }

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("serve: server closed")

// New returns a server of c.
func New(c *chain.Chain, opts *Options) (*Server, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, chain: c, store: c.Store(), table: newTable(), began: time.Now()}
	s.peek = s.store.(chain.Peeker)
	s.far = len(c.Stats().Tiers) > 1
	s.listeners, s.conns = make(map[net.Listener]struct{}), make(map[*conn]struct{})
	s.locks.init()
	s.topic.init()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.now.Store(time.Now().UnixNano())
	s.loops.Go(s.tend)
	return s, nil
}

// Serve accepts connections of ln until Shutdown, and returns ErrServerClosed
// then. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return errors.Join(ErrServerClosed, ln.Close())
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	defer func() { _ = ln.Close() }()
	pause := time.Millisecond
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			s.start(c)
		case s.closing():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of file descriptors, mostly: it passes
			s.opts.Logger.Warn("strata: accept failed", "error", err)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			pause = min(2*pause, time.Second)
		}
	}
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// start serves one connection.
func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	switch {
	case s.down:
		s.mu.Unlock()
		_ = nc.Close()
		return
	case len(s.conns) >= s.opts.MaxClients:
		s.mu.Unlock()
		s.refused.Add(1)
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.accepted.Add(1)
	go func() {
		defer s.end(c)
		c.serve()
	}()
}

// end forgets a connection.
func (s *Server) end(c *conn) {
	c.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.past.commands.Add(c.did.commands.Load())
	s.past.failures.Add(c.did.failures.Load())
	s.past.hits.Add(c.did.hits.Load())
	s.past.misses.Add(c.did.misses.Load())
	s.past.published.Add(c.did.published.Load())
	if s.down && len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// tick is how often connections are looked at for their timeouts.
const tick = 500 * time.Millisecond

// tend keeps the rough clock and ends connections that are past their timeouts.
func (s *Server) tend() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
		now := time.Now().UnixNano()
		s.now.Store(now)
		s.forget(time.Unix(0, now))
		for _, c := range s.all() {
			if c.overdue(now) {
				_ = c.nc.Close()
			}
		}
	}
}

// all returns the connections.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Shutdown stops accepting, lets every connection answer the requests that have
// arrived, and closes them. What is not done when ctx ends is cut off, and its
// error returned. A second Shutdown returns nil.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil
	}
	s.down = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	var empty chan struct{}
	if len(s.conns) > 0 {
		empty = make(chan struct{})
		s.empty = empty
	}
	s.mu.Unlock()
	for _, c := range s.all() {
		c.drain()
	}
	var err error
	if empty != nil {
		select {
		case <-empty:
		case <-ctx.Done():
			err = ctx.Err()
			for _, c := range s.all() {
				_ = c.nc.Close()
			}
			s.cancel()
			<-empty
		}
	}
	s.cancel()
	s.loops.Wait()
	return err
}

// Stats are the counters of a server. Counters only grow.
type Stats struct {
	Clients     int    // connected now
	Subscribers int    // of those, how many listen
	Accepted    uint64 // connections
	Refused     uint64 // connections, beyond MaxClients
	Commands    uint64
	Failures    uint64 // commands answered with an error
	Hits        uint64 // of reads of a key
	Misses      uint64
	Published   uint64 // messages
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Clients: len(s.conns), Accepted: s.accepted.Load(), Refused: s.refused.Load(), Subscribers: s.topic.clients()}
	add := func(t *tally) {
		st.Commands += t.commands.Load()
		st.Failures += t.failures.Load()
		st.Hits += t.hits.Load()
		st.Misses += t.misses.Load()
		st.Published += t.published.Load()
	}
	add(&s.past)
	for c := range s.conns {
		add(&c.did)
	}
	return st
}
