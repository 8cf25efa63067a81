package redisstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// calls are all operations of a store, reduced to their errors for the key "k".
func calls(s *Store) map[string]func(ctx context.Context) error {
	e := store.Entry{Value: []byte("v"), Version: 1}
	return map[string]func(ctx context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "k"); return err },
		"Set":    func(ctx context.Context) error { return s.Set(ctx, "k", e) },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, "k") },
		"Fill":   func(ctx context.Context) error { _, err := s.Fill(ctx, "k", e); return err },
		"GetMany": func(ctx context.Context) error {
			_, err := s.GetMany(ctx, []string{"k", "l"})
			return store.KeyError(err, "k")
		},
		"SetMany": func(ctx context.Context) error {
			return store.KeyError(s.SetMany(ctx, map[string]store.Entry{"k": e, "l": e}), "k")
		},
		"DeleteMany": func(ctx context.Context) error {
			return store.KeyError(s.DeleteMany(ctx, []string{"k", "l"}), "k")
		},
		"Scan": func(ctx context.Context) error {
			for _, err := range s.Scan(ctx, "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Clear": s.Clear,
	}
}

// isTyped fails the test unless err is a *store.Error of the tier.
func isTyped(t *testing.T, what string, err error) {
	t.Helper()
	var serr *store.Error
	if !errors.As(err, &serr) || serr.Tier != "redis" || serr.Op == "" || errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %v is no *store.Error of the tier", what, err)
	}
}

// single returns a store on server's address with short timeouts.
func single(t testing.TB, addr string, opts Options) *Store {
	t.Helper()
	opts.Prefix = "f:"
	s, err := Connect(&Config{Addrs: []string{addr}, ReadTimeout: 300 * time.Millisecond}, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestServerDownIsAnErrorOfEachCall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := single(t, addr, Options{})
	for name, call := range calls(s) {
		err := call(ctx)
		isTyped(t, name, err)
		if err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%s: %v does not tell the cause", name, err)
		}
	}
	if n := s.Stats().Errors; n < 9 {
		t.Errorf("%d errors counted", n)
	}
}

func TestRestartMidway(t *testing.T) {
	server := redistest.Start(t)
	s := single(t, server.Addr, Options{})
	mustSet(t, s, "k", store.Entry{Value: []byte("before")})
	server.Stop(t)
	for name, call := range calls(s) {
		isTyped(t, name, call(ctx))
	}
	server.Restart(t)
	// It came back empty: a miss, not an error, and everything works again, once the
	// client has found that it can connect.
	redistest.Eventually(t, 20*time.Second, "the key is absent after the restart", func() bool {
		e, err := s.Get(ctx, "k")
		if err == nil {
			t.Fatalf("after the restart: %q", e.Value)
		}
		return errors.Is(err, store.ErrNotFound)
	})
	for name, call := range calls(s) {
		if err := call(ctx); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s after the restart: %v", name, err)
		}
	}
}

// A server that is stopped keeps its connections open and answers nothing: a
// call has to return when its context ends, by deadline or by cancellation,
// although the client's own timeout is far away.
func TestStoppedServerHoldsNobody(t *testing.T) {
	server := redistest.Start(t)
	opts := server.Options()
	opts.ReadTimeout = time.Hour
	client := redis.NewClient(opts)
	s, err := New(client, &Options{Prefix: "f:", CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	server.Pause(t)
	for name, call := range calls(s) {
		late, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
		err := call(late)
		isTyped(t, name, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		cancel()
		cancelled, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(30*time.Millisecond, cancel)
		err = call(cancelled)
		isTyped(t, name, err)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		timer.Stop()
		cancel()
	}
	server.Resume(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOutOfMemoryFailsWritesAndNotReads(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
	s := single(t, server.Addr, Options{})
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	if got := mustGet(t, s, "k"); string(got.Value) != "v" {
		t.Fatalf("Get: %q", got.Value)
	}
	for _, name := range []string{"Set", "SetMany", "Fill"} {
		err := calls(s)[name](ctx)
		isTyped(t, name, err)
		if !redis.HasErrorPrefix(err, "OOM") {
			t.Errorf("%s: %v, want OOM", name, err)
		}
	}
	if err := s.Delete(ctx, "k"); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

func TestReadOnlyReplica(t *testing.T) {
	master, replica := redistest.Start(t), redistest.Start(t)
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica.Do(t, "SET", "f:k", "v")
	replica.Do(t, "REPLICAOF", host, port)
	s := single(t, replica.Addr, Options{})
	for _, name := range []string{"Set", "SetMany", "Fill", "Delete", "DeleteMany"} {
		err := calls(s)[name](ctx)
		isTyped(t, name, err)
		if !redis.HasErrorPrefix(err, "READONLY") {
			t.Errorf("%s: %v, want READONLY", name, err)
		}
	}
	replica.Do(t, "REPLICAOF", "NO", "ONE")
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Errorf("Set after the promotion: %v", err)
	}
}

func TestMissingAndWrongCredentials(t *testing.T) {
	const secret = "s3cr3t-" + "0f-the-server"
	server := redistest.Start(t, "--requirepass", secret)
	for name, c := range map[string]struct {
		password, want string
	}{"none": {"", "NOAUTH"}, "wrong": {"wrong-" + "guess", "WRONGPASS"}, "right": {secret, ""}} {
		s, err := Connect(&Config{Addrs: []string{server.Addr}, Password: c.password}, &Options{Prefix: "f:"})
		if err != nil {
			t.Fatal(err)
		}
		for op, call := range calls(s) {
			err := call(ctx)
			if c.want == "" {
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s password, %s: %v", name, op, err)
				}
				continue
			}
			isTyped(t, op, err)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s password, %s: %v, want %s", name, op, err, c.want)
			}
			if c.password != "" && strings.Contains(err.Error(), c.password) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: a password is in the error: %v", op, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPoolOfOneConnectionBoundsTheWait(t *testing.T) {
	server := redistest.Start(t)
	s, err := Connect(&Config{Addrs: []string{server.Addr}, PoolSize: 1, PoolTimeout: 20 * time.Millisecond, MaxRetries: -1},
		&Options{Prefix: "f:"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	server.Pause(t)
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ended := make(chan error)
	for range 2 {
		go func() { _, err := s.Get(bound, "k"); ended <- err }()
	}
	// Either of the two has the connection, until the server answers; the other waits
	// for the pool, and says so.
	if err := <-ended; !errors.Is(err, redis.ErrPoolTimeout) {
		t.Errorf("%v; want a pool timeout", err)
	}
	server.Resume(t)
	if err := <-ended; err != nil {
		t.Errorf("whoever had the connection: %v", err)
	}
}
