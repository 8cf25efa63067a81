package serve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/internal/serve"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/packstore"
)

func TestMain(m *testing.M) { redistest.VerifyMain(m) }

// shape is what a server under test is made of.
type shape struct {
	dir   string // of a disk tier; empty: memory only
	small bool   // memory that evicts all the time
	rules []policy.Rule
	chain chain.Options
	opts  serve.Options
}

// open makes a chain of the shape.
func (sh *shape) open(t testing.TB) *chain.Chain {
	t.Helper()
	capacity := int64(256 << 20)
	if sh.small {
		capacity = packstore.MinCapacity
	}
	memory, err := packstore.New(&packstore.Options{Capacity: capacity, Unpack: chain.Unpack})
	if err != nil {
		t.Fatal(err)
	}
	tiers := []chain.Tier{{Name: "memory", Store: memory}}
	set, err := policy.New(sh.rules...)
	if err != nil {
		t.Fatal(err)
	}
	if sh.dir != "" {
		disk, err := diskstore.Open(sh.dir, &diskstore.Options{Partitioner: set})
		if err != nil {
			t.Fatal(err)
		}
		tiers = append(tiers, chain.Tier{Name: "disk", Store: disk})
	}
	c, err := chain.New(tiers, set, &sh.chain)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start serves the shape until the test ends, and returns its address.
func (sh *shape) start(t testing.TB) (addr string, s *serve.Server) {
	t.Helper()
	c := sh.open(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("closing the chain: %v", err)
		}
	})
	return serveBoth(t, c, &sh.opts)
}

// serveChain serves a chain until the test ends.
func serveChain(t testing.TB, c *chain.Chain, opts *serve.Options) (addr string) {
	t.Helper()
	addr, _ = serveBoth(t, c, opts)
	return addr
}

func serveBoth(t testing.TB, c *chain.Chain, opts *serve.Options) (addr string, s *serve.Server) {
	t.Helper()
	s, err := serve.New(c, opts)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, serve.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String(), s
}

// client speaks the protocol.
type client struct {
	t  testing.TB
	nc net.Conn
	rd *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, nc, bufio.NewReader(nc)}
	t.Cleanup(func() { _ = nc.Close() })
	return c
}

func request(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

func (c *client) send(args ...string) {
	c.t.Helper()
	c.raw(string(request(args...)))
}

func (c *client) raw(s string) {
	c.t.Helper()
	if _, err := c.nc.Write([]byte(s)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// do sends a request and returns the reply as text.
func (c *client) do(args ...string) string {
	c.t.Helper()
	c.send(args...)
	return c.read().String()
}

// want requires a reply.
func (c *client) want(reply string, args ...string) {
	c.t.Helper()
	if got := c.do(args...); got != reply {
		c.t.Errorf("%q = %s, want %s", args, got, reply)
	}
}

func (c *client) read() value {
	c.t.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	v, err := readValue(c.rd)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return v
}

// value is a reply.
type value struct {
	kind byte
	text string
	null bool
	list []value
}

func readValue(rd *bufio.Reader) (value, error) {
	line, err := rd.ReadString('\n')
	if err != nil {
		return value{}, err
	}
	if !strings.HasSuffix(line, "\r\n") || len(line) < 3 {
		return value{}, fmt.Errorf("a line of %q", line)
	}
	v := value{kind: line[0], text: line[1 : len(line)-2]}
	switch v.kind {
	case '+', '-', ':', '#', ',':
		return v, nil
	case '_':
		v.null = true
		return v, nil
	}
	n, err := strconv.Atoi(v.text)
	if err != nil {
		return v, err
	}
	v.text = ""
	if n < 0 {
		v.null = true
		return v, nil
	}
	switch v.kind {
	case '$', '=':
		b := make([]byte, n+2)
		if _, err := io.ReadFull(rd, b); err != nil {
			return v, err
		}
		v.text = string(b[:n])
		return v, nil
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return v, fmt.Errorf("a reply of kind %q", v.kind)
	}
	for range n {
		item, err := readValue(rd)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, item)
	}
	return v, nil
}

func (v value) String() string {
	switch {
	case v.null:
		return string(v.kind) + "null"
	case v.kind == '$' || v.kind == '=':
		return fmt.Sprintf("%c%q", v.kind, v.text)
	case v.kind == '*' || v.kind == '~' || v.kind == '>' || v.kind == '%':
		parts := make([]string, len(v.list))
		for i, item := range v.list {
			parts[i] = item.String()
		}
		return string(v.kind) + "[" + strings.Join(parts, " ") + "]"
	}
	return string(v.kind) + v.text
}

// sorted returns the texts of a list's items, sorted.
func (v value) sorted() []string {
	var texts []string
	for _, item := range v.list {
		texts = append(texts, item.String())
	}
	sort.Strings(texts)
	return texts
}
