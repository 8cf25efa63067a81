package redisbus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/notify"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	redistest.VerifyMain(m)
}

// quiet drops go-redis's log: broken connections are what some tests are for.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

func newBus(t testing.TB, client redis.UniversalClient, opts Options) *Bus {
	t.Helper()
	if opts.Prefix == "" {
		opts.Prefix = redistest.Prefix()
	}
	b, err := New(client, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func subscribe(t testing.TB, b *Bus, pattern string, opts *notify.SubscribeOptions) notify.Source {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := b.Subscribe(ctx, pattern, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t testing.TB, b *Bus, topic, data string) {
	t.Helper()
	if err := b.Publish(context.Background(), topic, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func next(t testing.TB, s notify.Source) notify.Payload {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMessagesGoFromProcessToProcess(t *testing.T) {
	server := redistest.Shared(t)
	prefix := redistest.Prefix() + "*?[x]:" // must not work as a pattern
	here := newBus(t, server.Client(t), Options{Prefix: prefix})
	there := newBus(t, server.Client(t), Options{Prefix: prefix})
	foreign := newBus(t, server.Client(t), Options{Prefix: strings.Replace(prefix, "*?[x]", "anyx", 1)})
	price, all := subscribe(t, here, "alerts:price", nil), subscribe(t, here, "alerts:*", nil)
	odd := subscribe(t, here, `a?[b]\**`, nil)
	publish(t, foreign, "alerts:price", "not ours")
	publish(t, there, "alerts:price", "1")
	publish(t, there, "alerts:volume", "2")
	publish(t, there, "alerts:price", "3")
	publish(t, there, "axb*", "no match")
	publish(t, there, "a?[b]*c", "4")
	for _, c := range []struct {
		s    notify.Source
		want []string
	}{
		{price, []string{"alerts:price 1", "alerts:price 3"}},
		{all, []string{"alerts:price 1", "alerts:volume 2", "alerts:price 3"}},
		{odd, []string{"a?[b]*c 4"}},
	} {
		for _, want := range c.want {
			if p := next(t, c.s); p.Topic+" "+string(p.Data) != want || p.Missed != 0 {
				t.Errorf("%s %s missed %d, want %s", p.Topic, p.Data, p.Missed, want)
			}
		}
	}
}

func TestTypedTopicsOverRedis(t *testing.T) {
	type alert struct{ Symbol string }
	topics, err := notify.NewTopics[alert](newBus(t, redistest.Shared(t).Client(t), Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sub, err := topics.Subscribe(ctx, "alerts:*", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := topics.Publish(ctx, "alerts:price", alert{"AAPL"}); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.Next(ctx); err != nil || m.Value.Symbol != "AAPL" || m.Topic != "alerts:price" {
		t.Errorf("%+v, %v", m, err)
	}
}

// A broken connection is repaired, the loss is told, and what is published after
// that arrives.
func TestLossIsToldAfterABrokenConnection(t *testing.T) {
	server := redistest.Shared(t)
	for name, breaks := range map[string]func(proxy *redistest.Proxy){
		"cut": func(proxy *redistest.Proxy) { proxy.Cut(); proxy.Mend(t) },
		"reset": func(proxy *redistest.Proxy) {
			proxy.Toxic(t, `{"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}`)()
			proxy.Cut()
			proxy.Mend(t)
		},
	} {
		proxy := redistest.NewProxy(t, server.Addr)
		opts := server.Options()
		opts.Addr = proxy.Addr
		client := redis.NewClient(opts)
		var mu sync.Mutex
		var failures []error
		prefix := redistest.Prefix()
		b := newBus(t, client, Options{Prefix: prefix, OnError: func(_ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		}})
		there := newBus(t, server.Client(t), Options{Prefix: prefix})
		s := subscribe(t, b, "t:*", nil)
		publish(t, there, "t:1", "before")
		if p := next(t, s); string(p.Data) != "before" {
			t.Fatalf("%s: %+v", name, p)
		}
		breaks(proxy)
		if p := next(t, s); p.Missed != notify.MissedUnknown {
			t.Errorf("%s: %+v, want the report of a loss", name, p)
		}
		publish(t, there, "t:1", "after")
		if p := next(t, s); string(p.Data) != "after" {
			t.Errorf("%s: %+v", name, p)
		}
		mu.Lock()
		if len(failures) == 0 {
			t.Errorf("%s: OnError was not called", name)
		}
		mu.Unlock()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A connection that stays open and delivers nothing, not even an error, is found
// by the probe.
func TestSilentConnectionIsReplaced(t *testing.T) {
	server := redistest.Shared(t)
	proxy := redistest.NewProxy(t, server.Addr)
	opts := server.Options()
	opts.Addr = proxy.Addr
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	silent := make(chan struct{}, 1)
	prefix := redistest.Prefix()
	b := newBus(t, client, Options{Prefix: prefix, Probe: 200 * time.Millisecond, OnError: func(_ string, err error) {
		if errors.Is(err, errSilent) {
			select {
			case silent <- struct{}{}:
			default:
			}
		}
	}})
	s := subscribe(t, b, "t", nil)
	remove := proxy.Toxic(t, `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
	select {
	case <-silent:
	case <-time.After(patience):
		t.Fatal("the silence was not noticed")
	}
	remove()
	if p := next(t, s); p.Missed != notify.MissedUnknown {
		t.Errorf("%+v, want the report of a loss", p)
	}
	delivered(t, s, newBus(t, server.Client(t), Options{Prefix: prefix}))
}

// delivered publishes until a message arrives. On a machine with too much to do a
// sound connection is replaced too, and what is published meanwhile is lost: as
// often as that is told, it is published again.
func delivered(t *testing.T, s notify.Source, there *Bus) {
	t.Helper()
	publish(t, there, "t", "after")
	for p := next(t, s); string(p.Data) != "after"; p = next(t, s) {
		if p.Missed != notify.MissedUnknown {
			t.Fatalf("%+v", p)
		}
		publish(t, there, "t", "after")
	}
}

// mute is a Redis that ends the first subscriber's connection, and leaves the two
// after it without an answer: one is the client's own attempt, before it tells of
// the end.
func mute(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	var subscribers atomic.Int32 // one connection subscribes at a time
	answer := func(nc net.Conn) {
		defer func() { _ = nc.Close() }()
		confirmed := 0
		for lines := bufio.NewScanner(nc); lines.Scan(); {
			switch command := strings.ToLower(lines.Text()); {
			case command == "subscribe":
				if confirmed++; confirmed == 1 {
					subscribers.Add(1)
				}
				if n := subscribers.Load(); n != 2 && n != 3 {
					_, _ = fmt.Fprintf(nc, "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:%d\r\n", confirmed)
				}
				if subscribers.Load() == 1 && confirmed == 2 {
					return
				}
			case command == "hello", command == "client", command == "publish":
				_, _ = io.WriteString(nc, "-ERR unknown command\r\n")
			}
		}
	}
	open.Go(func() {
		for nc, err := l.Accept(); err == nil; nc, err = l.Accept() {
			open.Go(func() { answer(nc) })
		}
	})
	return l.Addr().String()
}

// A connection that is silent from the first does not hold a subscription up for
// ever.
func TestSilentFromTheFirst(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: mute(t), ContextTimeoutEnabled: true, DisableIdentity: true, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	s := subscribe(t, newBus(t, client, Options{Prefix: "p:", Probe: leastPatience}), "t", nil)
	if p := next(t, s); p.Missed != notify.MissedUnknown {
		t.Errorf("%+v, want the report of a loss", p)
	}
}

// A quiet topic is no dead connection: probes go to and fro, and nothing is told.
func TestQuietTopicIsLeftAlone(t *testing.T) {
	failures := make(chan error, 100)
	b := newBus(t, redistest.Shared(t).Client(t), Options{
		Probe: 500 * time.Millisecond, OnError: func(_ string, err error) { failures <- err },
	})
	s := subscribe(t, b, "t", nil)
	quiet, cancel := context.WithTimeout(context.Background(), 1300*time.Millisecond)
	defer cancel()
	if p, err := s.Next(quiet); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v; want nothing", p, err)
	}
	select {
	case err := <-failures:
		t.Error(err)
	default:
	}
}

func TestServerRestart(t *testing.T) {
	server := redistest.Start(t)
	b := newBus(t, server.Client(t), Options{})
	s := subscribe(t, b, "t", nil)
	server.Restart(t)
	if p := next(t, s); p.Missed != notify.MissedUnknown {
		t.Errorf("%+v, want the report of a loss", p)
	}
	publish(t, b, "t", "after")
	if p := next(t, s); string(p.Data) != "after" {
		t.Errorf("%+v", p)
	}
}

func TestSlowReaderIsToldWhatItMissed(t *testing.T) {
	b := newBus(t, redistest.Shared(t).Client(t), Options{})
	s := subscribe(t, b, "t", &notify.SubscribeOptions{Buffer: 2})
	marker := subscribe(t, b, "t", nil)
	for i := range 10 {
		publish(t, b, "t", fmt.Sprint(i))
	}
	for range 10 {
		next(t, marker)
	}
	// The two subscriptions have connections of their own: wait for the last one.
	missed := 0
	for {
		p := next(t, s)
		if p.Missed != 0 {
			missed += p.Missed
			continue
		}
		if string(p.Data) == "9" {
			break
		}
		missed++ // it was read before it could be dropped
	}
	if missed != 9 {
		t.Errorf("%d messages before the last one, want 9", missed)
	}
}

func TestSubscribeFailsWhereTheServerIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	b := newBus(t, client, Options{Prefix: "p:"})
	if _, err := b.Subscribe(context.Background(), "t", nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Subscribe: %v", err)
	}
	if err := b.Publish(context.Background(), "t", nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Publish: %v", err)
	}
}

func TestStoppedServerHoldsNobody(t *testing.T) {
	server := redistest.Start(t)
	b := newBus(t, server.Client(t), Options{})
	publish(t, b, "t", "connects")
	server.Pause(t)
	for name, call := range map[string]func(ctx context.Context) error{
		"Subscribe": func(ctx context.Context) error { _, err := b.Subscribe(ctx, "t", nil); return err },
		"Publish":   func(ctx context.Context) error { return b.Publish(ctx, "t", nil) },
	} {
		late, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		if err := call(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	server.Resume(t)
}

func TestClose(t *testing.T) {
	b := newBus(t, redistest.Shared(t).Client(t), Options{})
	s, other := subscribe(t, b, "t", nil), subscribe(t, b, "t", &notify.SubscribeOptions{Buffer: 1, Overflow: notify.Block})
	waiting := make(chan error)
	go func() { _, err := s.Next(context.Background()); waiting <- err }()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waiting; !errors.Is(err, notify.ErrClosed) {
		t.Errorf("%v", err)
	}
	for i := range 5 { // the other one's receiver now waits for its reader
		publish(t, b, "t", fmt.Sprint(i))
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Next(context.Background()); !errors.Is(err, notify.ErrClosed) {
		t.Errorf("%v", err)
	}
	if _, err := b.Subscribe(context.Background(), "t", nil); !errors.Is(err, notify.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := b.Publish(context.Background(), "t", nil); !errors.Is(err, notify.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestBadOptions(t *testing.T) {
	deaf := redis.NewClient(&redis.Options{})
	defer func() { _ = deaf.Close() }()
	if _, err := New(deaf, nil); err == nil || !strings.Contains(err.Error(), "ContextTimeoutEnabled") {
		t.Errorf("%v", err)
	}
	good := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	defer func() { _ = good.Close() }()
	if _, err := New(good, &Options{Probe: -1}); err == nil || !strings.Contains(err.Error(), "Probe") {
		t.Errorf("%v", err)
	}
	b := newBus(t, good, Options{Prefix: "p:"})
	if _, err := b.Subscribe(context.Background(), "", nil); !errors.Is(err, notify.ErrInvalidTopic) {
		t.Errorf("%v", err)
	}
	if err := b.Publish(context.Background(), "", nil); !errors.Is(err, notify.ErrInvalidTopic) {
		t.Errorf("%v", err)
	}
	if _, err := b.Subscribe(context.Background(), "t", &notify.SubscribeOptions{Buffer: -1}); err == nil {
		t.Error("a negative buffer is accepted")
	}
}
