package redisstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// A certificate that has expired, is for another name or is of an unknown
// authority ends the connection before a password or a value has been sent.
func TestTLSFailsClosed(t *testing.T) {
	t.Parallel()
	ca, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	const secret = "behind-" + "tls"
	valid := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		host  string
		until time.Time
		tls   *tls.Config
		want  string // part of the error; empty: it works
	}{
		"valid":             {"127.0.0.1", valid, &tls.Config{RootCAs: ca.Pool()}, ""},
		"name in config":    {"cache.example", valid, &tls.Config{RootCAs: ca.Pool(), ServerName: "cache.example"}, ""},
		"expired":           {"127.0.0.1", time.Now().Add(-time.Minute), &tls.Config{RootCAs: ca.Pool()}, "expired"},
		"wrong name":        {"cache.example", valid, &tls.Config{RootCAs: ca.Pool()}, "127.0.0.1"},
		"unknown authority": {"127.0.0.1", valid, &tls.Config{RootCAs: stranger.Pool()}, "unknown authority"},
		"system's roots":    {"127.0.0.1", valid, &tls.Config{}, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			server, addr := ca.StartTLS(t, c.host, c.until, "--requirepass", secret)
			s, err := Connect(&Config{Addrs: []string{addr}, Password: secret, TLS: c.tls, MaxRetries: -1}, &Options{Prefix: "f:"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for op, call := range calls(s) {
				err := call(ctx)
				if c.want == "" {
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				isTyped(t, op, err)
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %v; want %q", op, err, c.want)
				}
			}
			opts := server.Options()
			opts.Password = secret
			client := redis.NewClient(opts)
			defer func() { _ = client.Close() }()
			if n, err := client.DBSize(ctx).Result(); err != nil || c.want != "" && n != 0 {
				t.Errorf("the server holds %d keys, %v", n, err)
			}
		})
	}
}

// A URL with rediss checks certificates too, and a server that speaks no TLS is
// an error, not a reason to go without.
func TestTLSByURL(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	server, addr := ca.StartTLS(t, "127.0.0.1", time.Now().Add(time.Hour))
	for addr, c := range map[string]struct{ want, timeout string }{
		addr:        {"unknown authority", "20s"}, // which it says at once, but for a busy machine
		server.Addr: {"", "300ms"},                // speaks no TLS, and waits for more
	} {
		s, err := Open("rediss://"+addr+"?max_retries=-1&dial_timeout="+c.timeout, &Options{Prefix: "f:"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(ctx, "k")
		isTyped(t, addr, err)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error %s", addr, err, c.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An ACL user gets what it has rights for; what it has none for is an error of
// that call, which names neither password.
func TestACLUser(t *testing.T) {
	const secret = "of-the-" + "reader"
	server := redistest.Start(t)
	server.Do(t, "SET", "f:k", "v")
	server.Do(t, "SET", "g:k", "v")
	server.Do(t, "ACL", "SETUSER", "reader", "on", ">"+secret, "~f:*", "+get", "+mget", "+exists", "+pttl")
	server.Do(t, "ACL", "SETUSER", "nobody", "on", ">"+secret)
	open := func(user, prefix string) *Store {
		s, err := Connect(&Config{Addrs: []string{server.Addr}, Username: user, Password: secret}, &Options{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	reader := open("reader", "f:")
	if e := mustGet(t, reader, "k"); string(e.Value) != "v" {
		t.Errorf("the reader reads %q", e.Value)
	}
	check := func(who string, s *Store, names ...string) {
		t.Helper()
		for _, name := range names {
			err := calls(s)[name](ctx)
			isTyped(t, who+" "+name, err)
			if err == nil || !strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), secret) {
				t.Errorf("%s, %s: %v; want NOPERM", who, name, err)
			}
		}
	}
	check("reader", reader, "Set", "SetMany", "Fill", "Delete", "DeleteMany", "Scan", "Clear")
	check("reader beside its keys", open("reader", "g:"), "Get", "GetMany", "Set")
	check("nobody", open("nobody", "f:"), "Get", "GetMany", "Set", "SetMany", "Fill", "Delete", "DeleteMany", "Scan", "Clear")
}

// capture is a go-redis logger that keeps what it is told.
type capture struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *capture) Printf(_ context.Context, format string, v ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.buf, format+"\n", v...)
}

// Neither the errors nor what go-redis logs has a password or a value in it,
// whatever goes wrong with a connection.
func TestSecretsAreNotLogged(t *testing.T) {
	log := &capture{}
	redis.SetLogger(log)
	defer redis.SetLogger(quiet{})
	const password, value = "pass-" + "w0rd-guarded", "value-" + "guarded"
	server := redistest.Start(t, "--requirepass", password)
	proxy := redistest.NewProxy(t, server.Addr)
	var errs []string
	try := func(password string) {
		s, err := Connect(&Config{Addrs: []string{proxy.Addr}, Username: "default", Password: password,
			ReadTimeout: 100 * time.Millisecond, PoolTimeout: 50 * time.Millisecond, PoolSize: 1}, &Options{Prefix: "f:"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		for name, call := range calls(s) {
			errs = append(errs, fmt.Sprint(name, call(ctx)))
		}
		errs = append(errs, fmt.Sprint(s.Set(ctx, "k", store.Entry{Value: []byte(value)})), s.String(), fmt.Sprintf("%+v", s.Stats()))
	}
	try(password)
	try(password + "-wrong")
	proxy.Toxic(t, `{"name": "cut", "type": "limit_data", "stream": "downstream", "attributes": {"bytes": 3}}`)()
	remove := proxy.Toxic(t, `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	try(password)
	remove()
	proxy.Cut()
	try(password)
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, secret := range []string{password, value} {
		if all := strings.Join(errs, "\n") + log.buf.String(); strings.Contains(all, secret) {
			t.Errorf("%q is in the errors or the log:\n%s", secret, all)
		}
	}
}

// A connection whose other end is gone without a word: what is sent vanishes and
// nothing comes. Calls end with the client's own timeout also where their context
// has no end, and go on when the network is back.
func TestHalfOpenConnection(t *testing.T) {
	t.Parallel()
	s, proxy := proxied(t, Options{})
	mustSet(t, s, "k", store.Entry{Value: []byte("v"), Version: 1})
	up := proxy.Toxic(t, `{"name": "up", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`)
	down := proxy.Toxic(t, `{"name": "down", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	for name, call := range calls(s) {
		err := call(ctx)
		isTyped(t, name, err)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: %v; want a timeout", name, err)
		}
	}
	up()
	down()
	redistest.Eventually(t, 20*time.Second, "reads work again", func() bool {
		e, err := s.Get(ctx, "k")
		return err == nil && string(e.Value) == "v"
	})
}
