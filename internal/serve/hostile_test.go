package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/serve"
	"github.com/stratacache/strata/policy"
)

// TestHalfCommands: clients that stop in the middle, or announce a gigabyte, cost
// next to nothing, and the others are served.
func TestHalfCommands(t *testing.T) {
	addr, _ := (&shape{}).start(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, half := range []string{
		"*", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\nxx", "*1048576\r\n$1\r\n", "GET", "\"", "*1\r\n$67108864\r\n",
	} {
		for range 20 {
			dial(t, addr).raw(half)
		}
	}
	c := dial(t, addr)
	c.want("+OK", "set", "k", "v")
	c.want(`$"v"`, "get", "k")
	c.want(":1", "dbsize")
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapInuse) - int64(before.HeapInuse); n > 32<<20 {
		t.Errorf("120 half commands took %d MiB", n>>20)
	}
	for _, in := range []string{"*1\r\n$1073741824\r\n", "*1\r\n$9223372036854775807\r\nxx"} {
		c := dial(t, addr)
		c.raw(in)
		if got := c.read().String(); got != "-ERR Protocol error: invalid bulk length" {
			t.Errorf("%q: %s", in, got)
		}
		if _, err := c.rd.ReadByte(); err != io.EOF {
			t.Errorf("after a protocol error: %v, want the end", err)
		}
	}
}

// TestByteByByte: a request that drips in is answered, and does not cost more
// stack or time with every byte.
func TestByteByByte(t *testing.T) {
	addr, _ := (&shape{}).start(t)
	c := dial(t, addr)
	for _, b := range request("set", "k", strings.Repeat("v", 2000)) {
		c.raw(string(b))
	}
	if got := c.read().String(); got != "+OK" {
		t.Error(got)
	}
}

// TestSlowReader: a client that does not read its replies is let go after
// WriteTimeout, and holds nobody up meanwhile.
func TestSlowReader(t *testing.T) {
	addr, s := (&shape{opts: serve.Options{WriteTimeout: time.Second}}).start(t)
	c := dial(t, addr)
	c.want("+OK", "set", "big", strings.Repeat("v", 1<<20))
	slow := dial(t, addr)
	for range 200 {
		if _, err := slow.nc.Write(request("get", "big")); err != nil {
			break
		}
	}
	for deadline := time.Now().Add(30 * time.Second); s.Stats().Clients > 1; {
		if time.Now().After(deadline) {
			t.Fatal("the slow client is still there")
		}
		c.want("+OK", "set", "k", "x")
		time.Sleep(50 * time.Millisecond)
	}
}

// TestSlowSubscriber is disconnected when too much waits for it; publishers and
// other subscribers go on.
func TestSlowSubscriber(t *testing.T) {
	addr, s := (&shape{opts: serve.Options{MaxPush: 1 << 20}}).start(t)
	slow, quick, c := dial(t, addr), dial(t, addr), dial(t, addr)
	slow.do("subscribe", "ch")
	quick.do("subscribe", "ch")
	message := strings.Repeat("m", 100_000)
	for i := range 400 {
		c.send("publish", "ch", message)
		c.read()
		if v := quick.read(); len(v.list) != 3 || v.list[2].text != message {
			t.Fatalf("message %d: %.100s", i, v)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); s.Stats().Subscribers > 1 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	c.want(":1", "publish", "ch", "x")
}

// TestLimits: what is too much is refused, and said.
func TestLimits(t *testing.T) {
	addr, _ := (&shape{opts: serve.Options{MaxRequest: 10_000, MaxQueued: 5}}).start(t)
	c := dial(t, addr)
	c.want("+OK", "set", "k", strings.Repeat("v", 9_000))
	c.want("-ERR string exceeds maximum allowed size (proto-max-bulk-len)", "append", "k", strings.Repeat("v", 2_000))
	c.want("+OK", "multi")
	for range 5 {
		c.want("+QUEUED", "incr", "n")
	}
	c.want("-ERR the transaction is too large", "incr", "n")
	c.want("-EXECABORT Transaction discarded because of previous errors.", "exec")
	c.want("$null", "get", "n")
	for _, key := range []string{"", "__strata:x"} {
		c.want("-ERR the empty key and keys that begin with __strata: are not supported", "set", key, "v")
	}
	c.want("$null", "get", "")
	c.raw(string(request("set", "k", strings.Repeat("v", 20_000))))
	if got := c.read().String(); got != "-ERR Protocol error: invalid bulk length" {
		t.Error(got)
	}
}

// TestManyReplies: a request of little whose answer is huge does not fill memory.
func TestManyReplies(t *testing.T) {
	addr, _ := (&shape{opts: serve.Options{MaxReply: 4 << 20}}).start(t)
	c := dial(t, addr)
	c.want("+OK", "set", "k", strings.Repeat("v", 1<<20))
	c.want("-ERR the reply is too large", append([]string{"mget"}, strings.Fields(strings.Repeat("k ", 100))...)...)
	c.want("+OK", "multi")
	for range 100 {
		c.want("+QUEUED", "get", "k")
	}
	c.send("exec")
	if v := c.read(); len(v.list) != 100 || v.list[0].kind != '$' || v.list[99].text != "ERR the reply is too large" {
		t.Errorf("EXEC: %d replies", len(v.list))
	}
	c.want(":1", "exists", "k")
}

// TestConnections opens a great many connections: all are served, those beyond
// MaxClients are told why not, and memory is bounded.
func TestConnections(t *testing.T) {
	n := 500
	if os.Getenv("STRATA_TORTURE") != "" {
		n = min(10_000, mostPairs())
	}
	addr, s := (&shape{opts: serve.Options{MaxClients: n}}).start(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	ping, pong := request("ping"), make([]byte, 7)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Skipf("no more than %d connections are possible here: %v", len(conns), err)
		}
		conns = append(conns, c)
		if _, err := c.Write(ping); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, pong); err != nil || string(pong) != "+PONG\r\n" {
			t.Fatalf("connection %d: %q, %v", len(conns), pong, err)
		}
	}
	runtime.ReadMemStats(&after)
	t.Logf("%d bytes of memory a connection, client side included", (after.Sys-before.Sys)/uint64(n))
	if per := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / int64(n); per > 40<<10 {
		t.Errorf("a connection takes %d bytes", per)
	}
	c := dial(t, addr)
	if got := c.read().String(); got != "-ERR max number of clients reached" {
		t.Errorf("one connection too many: %s", got)
	}
	if s.Stats().Refused == 0 {
		t.Error("no refusal was counted")
	}
}

// TestIdle: a connection on which nothing happens ends, a subscriber stays.
func TestIdle(t *testing.T) {
	addr, _ := (&shape{opts: serve.Options{IdleTimeout: time.Second}}).start(t)
	sub := dial(t, addr)
	sub.do("subscribe", "ch")
	idle := dial(t, addr)
	_ = idle.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := idle.rd.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection: %v, want the end", err)
	}
	dial(t, addr).want(":1", "publish", "ch", "x")
}

func TestAuth(t *testing.T) {
	addr, _ := (&shape{opts: serve.Options{User: "bot", Password: "secret"}}).start(t)
	c := dial(t, addr)
	c.want("-NOAUTH Authentication required.", "get", "k")
	c.want("-NOAUTH Authentication required.", "ping")
	c.want("-WRONGPASS invalid username-password pair or user is disabled.", "auth", "wrong")
	c.want("-WRONGPASS invalid username-password pair or user is disabled.", "auth", "default", "secret")
	if got := c.do("hello", "3"); !strings.HasPrefix(got, "-NOAUTH HELLO must be called") {
		t.Error(got)
	}
	c.want("+OK", "auth", "secret")
	c.want("$null", "get", "k")
	c2 := dial(t, addr)
	if got := c2.do("hello", "3", "auth", "bot", "secret", "setname", "me"); !strings.HasPrefix(got, `%[$"server" $"redis"`) {
		t.Error(got)
	}
	c2.want(`$"me"`, "client", "getname")
	c3 := dial(t, addr)
	c3.raw("*2\r\n$4\r\nECHO\r\n$20000\r\n")
	if got := c3.read().String(); got != "-ERR Protocol error: unauthenticated bulk length" {
		t.Error(got)
	}
}

// TestTLS serves a certificate, and does not wait for those who never begin.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := (&shape{opts: serve.Options{TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}}).start(t)
	_ = dial(t, addr) // says nothing
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write(request("ping")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != "+PONG\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestShutdown: what was sent before is answered, and then the connections end.
func TestShutdown(t *testing.T) {
	c := (&shape{}).open(t)
	defer func() { _ = c.Close(context.Background()) }()
	s, err := serve.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	var wg, busy sync.WaitGroup
	for i := range 8 {
		cl := dial(t, ln.Addr().String())
		busy.Add(1)
		wg.Go(func() {
			key := fmt.Sprint("k", i)
			cl.want("+OK", "set", key, "0")
			busy.Done()
			// Every write that was acknowledged is there afterwards, and none that was not sent.
			for n := 1; ; n++ {
				_, err := cl.nc.Write(request("set", key, fmt.Sprint(n)))
				if err == nil {
					_, err = readValue(cl.rd)
				}
				if err == nil {
					continue
				}
				got, gerr := c.Store().Get(context.Background(), key)
				if gerr != nil || string(got.Value) != fmt.Sprint(n-1) && string(got.Value) != fmt.Sprint(n) {
					t.Errorf("after %d writes: %q, %v", n, got.Value, gerr)
				}
				return
			}
		})
	}
	busy.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := <-done; !errors.Is(err, serve.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

// TestRuleTTL: a value that is set without a deadline gets its rule's, unless it is
// made to stay.
func TestRuleTTL(t *testing.T) {
	addr, _ := (&shape{rules: []policy.Rule{
		{Keys: policy.MustPattern("price:{s}"), TTL: 5 * time.Minute, StaleIfError: time.Hour},
	}}).start(t)
	c := dial(t, addr)
	ttl := func(key, want string) {
		t.Helper()
		if got := c.do("ttl", key); got != want {
			t.Errorf("TTL %s = %s, want %s", key, got, want)
		}
	}
	c.want("+OK", "set", "price:a", "1")
	ttl("price:a", ":300")
	c.want("+OK", "set", "price:a", "1", "ex", "100")
	ttl("price:a", ":100")
	c.want(":2", "incr", "price:a")
	ttl("price:a", ":100")
	c.want(":1", "persist", "price:a")
	ttl("price:a", ":-1")
	c.want(":3", "incr", "price:a")
	ttl("price:a", ":-1")
	c.want("+OK", "set", "price:a", "1", "keepttl")
	ttl("price:a", ":-1")
	c.want(":1", "incr", "price:new")
	ttl("price:new", ":300")
	c.want("+OK", "mset", "price:m", "1", "other", "1")
	ttl("price:m", ":300")
	ttl("other", ":-1")
}

// FuzzServer: no bytes bring the server down, and it answers afterwards.
func FuzzServer(f *testing.F) {
	for _, seed := range [][]string{
		{"set", "k", "v", "ex", "10"}, {"multi"}, {"exec"}, {"subscribe", "a"}, {"hello", "3"}, {"scan", "0", "match", "[a-"}, {"incrbyfloat", "k", "1e4932"},
		{"getex", "k", "pxat", "9223372036854775807"}, {"client", "list", "id", "1"}, {"watch", "k"}, {"unsubscribe"}, {"command", "info", "get"}, {"flushdb", "async"}, {"config", "get", "*"},
	} {
		f.Add(request(seed...))
	}
	f.Add([]byte("*1\r\n$4\r\nQUIT\r\n*3\r\n$3\r\nSET\r\n"))
	c := (&shape{}).open(f)
	addr := serveChain(f, c, &serve.Options{MaxRequest: 1 << 16, MaxReply: 1 << 20})
	f.Cleanup(func() { _ = c.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, in []byte) {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		_, _ = nc.Write(in)
		_ = nc.(*net.TCPConn).CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, nc); err != nil && !bytes.Contains([]byte(err.Error()), []byte("reset")) {
			t.Fatalf("%q: %v", in, err)
		}
		dial(t, addr).want("+PONG", "ping")
	})
}
