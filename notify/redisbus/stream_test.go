package redisbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/notify"
)

func newStream(t testing.TB, client redis.UniversalClient, o StreamOptions) *Stream {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = redistest.Prefix()
	}
	if o.Group == "" {
		o.Group = "g"
	}
	if o.Block == 0 {
		o.Block = 50 * time.Millisecond
	}
	b, err := NewStream(client, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func join(t testing.TB, b notify.Bus, pattern string, opts *notify.SubscribeOptions) notify.Source {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := b.Subscribe(ctx, pattern, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t testing.TB, b notify.Bus, topic, data string) {
	t.Helper()
	if err := b.Publish(context.Background(), topic, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func ack(t testing.TB, p notify.Payload) {
	t.Helper()
	if err := p.Ack(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// take reads a payload that must be the given one.
func take(t testing.TB, s notify.Source, want string) notify.Payload {
	t.Helper()
	p := next(t, s)
	if got := p.Topic + " " + string(p.Data); got != want || p.Missed != 0 {
		t.Errorf("%q missed %d, want %q", got, p.Missed, want)
	}
	return p
}

// isPending waits until the group has n messages that are not acknowledged.
func isPending(t testing.TB, b *Stream, group string, n int64) {
	t.Helper()
	redistest.Eventually(t, patience, fmt.Sprint(n, " messages are pending"), func() bool {
		p, err := b.client.XPending(context.Background(), b.key, group).Result()
		return err == nil && p.Count == n
	})
}

// Each group gets what matches its pattern; within a group a message goes to one.
func TestStreamGroups(t *testing.T) {
	client, prefix := redistest.Shared(t).Client(t), redistest.Prefix()
	a1, a2 := newStream(t, client, StreamOptions{Prefix: prefix, Group: "a"}), newStream(t, client, StreamOptions{Prefix: prefix, Group: "a"})
	b := newStream(t, client, StreamOptions{Prefix: prefix, Group: "b"})
	one, two, other := join(t, a1, "alerts:*", nil), join(t, a2, "alerts:*", nil), join(t, b, "alerts:price", nil)
	const n = 40
	for i := range n {
		add(t, a1, "alerts:price", fmt.Sprint(i))
		add(t, a1, "other", "x")
	}
	add(t, a1, "alerts:volume", "end")
	for i := range n {
		ack(t, take(t, other, fmt.Sprint("alerts:price ", i)))
	}
	got := make(chan string)
	for _, s := range []notify.Source{one, two} {
		go func() {
			for {
				p, err := s.Next(context.Background())
				if err != nil {
					return
				}
				if err := p.Ack(context.Background()); err != nil {
					t.Error(err)
				}
				got <- string(p.Data)
			}
		}()
	}
	seen := map[string]int{}
	for range n + 1 {
		select {
		case data := <-got:
			seen[data]++
		case <-time.After(patience):
			t.Fatalf("only %d messages came", len(seen))
		}
	}
	if len(seen) != n+1 {
		t.Errorf("%d different messages of %d came: some came twice", len(seen), n+1)
	}
	isPending(t, a1, "a:alerts:*", 0) // those that do not match are acknowledged too
	isPending(t, a1, "b:alerts:price", 0)
}

// What a process has not acknowledged when it goes, read or not, another of the
// group gets; and what is published while none is there waits.
func TestStreamUnacknowledgedComesAgain(t *testing.T) {
	client, prefix := redistest.Shared(t).Client(t), redistest.Prefix()
	o := StreamOptions{Prefix: prefix, ClaimAfter: 100 * time.Millisecond}
	first := newStream(t, client, o)
	s := join(t, first, "t", nil)
	for i := range 3 {
		add(t, first, "t", fmt.Sprint(i))
	}
	ack(t, take(t, s, "t 0"))
	take(t, s, "t 1") // dies with this in its hands, and the third in its buffer
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newStream(t, client, o)
	add(t, second, "t", "3")
	s = join(t, second, "t", nil)
	seen := map[string]bool{}
	for len(seen) < 3 {
		p := next(t, s)
		if string(p.Data) == "0" {
			t.Error("an acknowledged message came again")
		}
		seen[string(p.Data)] = true
		ack(t, p)
	}
	isPending(t, second, "g:t", 0)
}

// A reader that lives and does not acknowledge gets the message again.
func TestStreamRedelivers(t *testing.T) {
	b := newStream(t, redistest.Shared(t).Client(t), StreamOptions{ClaimAfter: 50 * time.Millisecond})
	s := join(t, b, "t", nil)
	add(t, b, "t", "1")
	take(t, s, "t 1")
	ack(t, take(t, s, "t 1"))
	isPending(t, b, "g:t", 0)
}

// A group that fell behind what the stream keeps is told how much it missed.
func TestStreamTellsOfGaps(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	b := newStream(t, client, StreamOptions{})
	s := join(t, b, "t", nil)
	add(t, b, "t", "0")
	ack(t, take(t, s, "t 0"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "the last read has ended", func() bool {
		return strings.Contains(fmt.Sprint(server.Do(t, "INFO", "clients")), "blocked_clients:0")
	})
	for i := range 10 {
		add(t, b, "t", fmt.Sprint(i+1))
	}
	if err := client.XTrimMaxLen(context.Background(), b.key, 4).Err(); err != nil {
		t.Fatal(err)
	}
	s = join(t, b, "t", nil)
	if p := next(t, s); p.Missed != 6 {
		t.Errorf("%+v; want 6 missed", p)
	}
	for i := range 4 {
		ack(t, take(t, s, fmt.Sprint("t ", i+7)))
	}
	add(t, b, "t", "after")
	ack(t, take(t, s, "t after"))
}

// The connection breaks: nothing is lost, and so nothing is reported. The stream
// is gone: that is reported, and it goes on.
func TestStreamSurvivesFailures(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	opts := server.Options()
	opts.Addr = proxy.Addr
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	failures := make(chan error, 1000)
	b := newStream(t, client, StreamOptions{Prefix: "p:", OnError: func(_ string, err error) { failures <- err }})
	direct := newStream(t, server.Client(t), StreamOptions{Prefix: "p:"})
	s := join(t, b, "t", nil)
	proxy.Cut()
	if err := <-failures; err == nil {
		t.Error("no error")
	}
	add(t, direct, "t", "meanwhile")
	proxy.Mend(t)
	ack(t, take(t, s, "t meanwhile"))
	server.Do(t, "FLUSHALL")
	if p := next(t, s); p.Missed != notify.MissedUnknown {
		t.Errorf("%+v; want the report of a loss", p)
	}
	add(t, direct, "t", "after")
	ack(t, take(t, s, "t after"))
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// The stream is bounded, and so is what waits in a process.
func TestStreamIsBounded(t *testing.T) {
	b := newStream(t, redistest.Shared(t).Client(t), StreamOptions{MaxLen: 100})
	s := join(t, b, "t", &notify.SubscribeOptions{Buffer: 3})
	for i := range 1000 {
		add(t, b, "t", fmt.Sprint(i))
	}
	if n, err := b.client.XLen(context.Background(), b.key).Result(); err != nil || n > 300 {
		t.Errorf("the stream has %d entries, %v", n, err)
	}
	source := s.(*streamSource)
	source.mu.Lock()
	defer source.mu.Unlock()
	if n := len(source.waiting); n > 6 {
		t.Errorf("%d messages wait in the process", n)
	}
}

// Both buses and the local one do the same with the same calls.
func TestBusesBehaveAlike(t *testing.T) {
	client := redistest.Shared(t).Client(t)
	for name, b := range map[string]notify.Bus{
		"local": notify.NewLocal(), "pubsub": newBus(t, client, Options{}), "stream": newStream(t, client, StreamOptions{}),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			topics, err := notify.NewTopics[int](b, nil)
			if err != nil {
				t.Fatal(err)
			}
			all, err := topics.Subscribe(ctx, "a:*", nil)
			if err != nil {
				t.Fatal(err)
			}
			exact, err := topics.Subscribe(ctx, `a:\*`, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, topic := range []string{"a:x", "b:x", "a:*", "a:y"} {
				if err := topics.Publish(ctx, topic, i); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Publish(ctx, "a:z", []byte("no number")); err != nil {
				t.Fatal(err)
			}
			var got []int
			for range 3 {
				m, err := all.Next(ctx)
				if err != nil || m.Missed != 0 {
					t.Fatalf("%+v, %v", m, err)
				}
				if err := m.Ack(ctx); err != nil {
					t.Error(err)
				}
				got = append(got, m.Value)
			}
			if want := []int{0, 2, 3}; !slices.Equal(got, want) {
				t.Errorf("got %v; want %v", got, want)
			}
			m, err := all.Next(ctx)
			var decode *notify.DecodeError
			if !errors.As(err, &decode) || m.Topic != "a:z" || m.Ack(ctx) != nil {
				t.Errorf("%+v, %v", m, err)
			}
			if m, err := exact.Next(ctx); err != nil || m.Value != 2 {
				t.Errorf("%+v, %v", m, err)
			}
			if err := topics.Publish(ctx, "", 1); !errors.Is(err, notify.ErrInvalidTopic) {
				t.Errorf("Publish to no topic: %v", err)
			}
			if _, err := topics.Subscribe(ctx, "", nil); !errors.Is(err, notify.ErrInvalidTopic) {
				t.Errorf("Subscribe to nothing: %v", err)
			}
			if _, err := b.Subscribe(ctx, "t", &notify.SubscribeOptions{Buffer: -1}); err == nil {
				t.Error("a negative buffer is accepted")
			}
			for range 2 {
				if err := errors.Join(all.Close(), b.Close()); err != nil {
					t.Error(err)
				}
			}
			if _, err := exact.Next(ctx); !errors.Is(err, notify.ErrClosed) {
				t.Errorf("Next after Close: %v", err)
			}
			if err := topics.Publish(ctx, "t", 1); !errors.Is(err, notify.ErrClosed) {
				t.Errorf("Publish after Close: %v", err)
			}
			if _, err := topics.Subscribe(ctx, "t", nil); !errors.Is(err, notify.ErrClosed) {
				t.Errorf("Subscribe after Close: %v", err)
			}
		})
	}
}

func TestStreamOptionsAreChecked(t *testing.T) {
	client := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	for want, o := range map[string]*StreamOptions{
		"Group": nil, "MaxLen": {Group: "g", MaxLen: -1}, "ClaimAfter": {Group: "g", ClaimAfter: 1}, "Block": {Group: "g", Block: -1},
	} {
		if _, err := NewStream(client, o); err == nil || !strings.Contains(err.Error(), "StreamOptions."+want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	deaf := redis.NewClient(&redis.Options{})
	defer func() { _ = deaf.Close() }()
	if _, err := NewStream(deaf, &StreamOptions{Group: "g"}); err == nil {
		t.Error("a client that ignores deadlines is accepted")
	}
}
