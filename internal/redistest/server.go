package redistest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// portTries bounds how often a free port may be taken by someone else between
// finding it and the server's bind.
const portTries = 10

// Server is a running Redis server. Its methods are safe for concurrent use.
type Server struct {
	// Addr is the server's host:port. It stays the same over a Restart.
	Addr string

	binary string
	dir    string
	args   []string
	conf   string // of a Sentinel; empty for a server
	mu     sync.Mutex
	proc   *process // nil while stopped
}

// Start starts a server with the default configuration, no persistence, and
// args in the form of the command line ("--maxmemory", "1mb"). It returns once
// the server answers; the server is killed when the test ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := start(Binary(t), t.TempDir(), args)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func start(binary, dir string, args []string) (*Server, error) {
	return startServer(&Server{binary: binary, dir: dir, args: args})
}

// startServer starts s on a free port.
func startServer(s *Server) (*Server, error) {
	var err error
	for range portTries {
		if s.Addr, err = freeAddr(); err != nil {
			return nil, err
		}
		if err = s.launch(); !errors.Is(err, errExited) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// launch starts the program on s.Addr and returns when it works.
func (s *Server) launch() error { return s.launchUntil(works) }

// launchUntil starts the program on s.Addr and returns when its answer to a PING
// is one that up takes.
func (s *Server) launchUntil(up func(reply string) error) error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	args := append([]string{
		"--bind", host, "--port", port, "--dir", s.dir,
		"--daemonize", "no", "--save", "", "--appendonly", "no",
	}, s.args...)
	if s.conf != "" {
		args = []string{s.conf, "--sentinel", "--bind", host, "--port", port, "--dir", s.dir}
	}
	proc, err := launch(s.binary, s.Addr, args, up)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	return nil
}

// Stop kills the server and returns when it is gone. Connections are reset.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.stop()
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
		s.proc = nil
	}
}

// Restart kills the server if it runs and starts it on the same address. It is
// empty then, unless it was started with persistence.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.stop()
	var err error
	for range portTries {
		if err = s.launch(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func (s *Server) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		t.Fatal("redistest: the server does not run")
	}
	if err := signal(s.proc, sig); err != nil {
		t.Fatal(err)
	}
}

// Options returns the client options that suit a test: contexts are respected
// and a server that is down is reported at once.
func (s *Server) Options() *redis.Options {
	return &redis.Options{
		Addr:                  s.Addr,
		ContextTimeoutEnabled: true,
		DialerRetries:         1,
		MaxRetries:            1,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// Client returns a client of the server, which is closed when the test ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(s.Options())
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			t.Errorf("redistest: closing the client: %v", err)
		}
	})
	return c
}

// Do runs one command given as words, for the odd setting, and fails the test
// where the server answers with an error.
func (s *Server) Do(t testing.TB, words ...string) any {
	t.Helper()
	c := redis.NewClient(s.Options())
	defer func() { _ = c.Close() }()
	args := make([]any, len(words))
	for i, w := range words {
		args[i] = w
	}
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("redistest: %s: %v", strings.Join(words, " "), err)
	}
	return v
}
