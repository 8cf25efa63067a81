package redistest

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

var shared struct {
	mu     sync.Mutex
	server *Server
	dir    string
	spaces atomic.Int64
}

// Shared returns the server that all tests of this process share, started by
// the first of them. Tests must keep to keys that begin with a prefix from
// Prefix, and must not change the server's settings, stop it or flush it. It
// runs until the process ends, or until the Run of Main returns.
func Shared(t testing.TB) *Server {
	t.Helper()
	binary := Binary(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		return shared.server
	}
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(binary, dir, nil)
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatal(err)
	}
	shared.server, shared.dir = s, dir
	return s
}

// Prefix returns a key prefix that no other test of this process uses.
func Prefix() string { return fmt.Sprintf("t%d:", shared.spaces.Add(1)) }

// Tests runs the tests of a package, as *testing.M does.
type Tests interface{ Run() int }

// Main wraps m so that the shared server is stopped after the tests.
func Main(m Tests) Tests { return stopper{m} }

// VerifyMain runs the tests of a package, stops the shared server and fails if there
// are goroutines left:
//
//	func TestMain(m *testing.M) { redistest.VerifyMain(m) }
//
// Goroutines that end by themselves, but later than goleak waits, are let go.
func VerifyMain(m Tests, opts ...goleak.Option) {
	goleak.VerifyTestMain(Main(m), append(opts,
		// A toxiproxy link that was cut with data in it leaves it behind.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		// go-redis's probe of a server that was away sees once a second whether its pool
		// has been closed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))...)
}

type stopper struct{ m Tests }

func (s stopper) Run() int {
	code := s.m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.stop()
		_ = os.RemoveAll(shared.dir)
		shared.server = nil
	}
	return code
}
