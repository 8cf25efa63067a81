package rediscall

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyMain(m) }

func TestCombinedCallsGetTheirOwnReplies(t *testing.T) {
	const goroutines, rounds = 64, 100
	prefix := redistest.Prefix()
	c := NewCombiner(redistest.Shared(t).Client(t))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				key, value := fmt.Sprint(prefix, g), fmt.Sprint(g, ":", i)
				set := redis.NewStatusCmd(ctx, "set", key, value, "px", 60000)
				if done, err := c.Write(ctx, set); !done || err != nil {
					t.Errorf("set: %v, %v", done, err)
				}
				get, ttl := redis.NewStringCmd(ctx, "get", key), redis.NewDurationCmd(ctx, time.Millisecond, "pttl", key)
				if done, err := c.Read(ctx, get, ttl); !done || err != nil || get.Val() != value || ttl.Val() <= 0 {
					t.Errorf("get %s: %q with %v, %v, %v", value, get.Val(), ttl.Val(), done, err)
				}
				wrong := redis.NewIntCmd(ctx, "llen", key)
				if _, err := c.Read(ctx, wrong); !redis.HasErrorPrefix(err, "WRONGTYPE") {
					t.Errorf("the error of one command: %v", err)
				}
				absent := redis.NewStringCmd(ctx, "get", prefix+"absent")
				if _, err := c.Read(ctx, absent); !errors.Is(err, redis.Nil) {
					t.Errorf("an absent key: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := c.calls.Load(); n != 0 {
		t.Errorf("%d calls under way at rest", n)
	}
}

// While the server does not answer, every caller leaves when its context ends,
// lone or combined; afterwards everything works, and what was queued by those who
// left was not sent.
func TestCallersLeaveAServerThatDoesNotAnswer(t *testing.T) {
	server := redistest.Start(t)
	opts := server.Options()
	opts.ReadTimeout = time.Hour
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	c := NewCombiner(client)
	background := context.Background()
	if _, err := c.Read(background, redis.NewStatusCmd(background, "set", "n", 0)); err != nil {
		t.Fatal(err)
	}
	server.Pause(t)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
			defer cancel()
			if i%2 == 0 {
				ctx, cancel = context.WithCancel(background)
				timer := time.AfterFunc(50*time.Millisecond, cancel)
				defer timer.Stop()
			}
			_, err := c.Write(ctx, redis.NewIntCmd(ctx, "incr", "n"))
			if err == nil {
				t.Error("a server that does not run answered")
			}
		})
	}
	wg.Wait()
	server.Resume(t)
	get := redis.NewStringCmd(background, "get", "n")
	if _, err := c.Read(background, get); err != nil {
		t.Fatal(err)
	}
}

// A server that takes longer than the inline wait gets the whole time that the
// context has, and its answer counts.
func TestSlowServerIsWaitedFor(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Shared(t).Addr)
	opts := redistest.Shared(t).Options()
	opts.Addr = proxy.Addr
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	key := redistest.Prefix() + "k"
	c := NewCombiner(client)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.Read(ctx, redis.NewStatusCmd(ctx, "set", key, "v")); err != nil {
		t.Fatal(err)
	}
	proxy.Toxic(t, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 130}}`)
	for range 2 { // the first finds out, the second knows
		get, ttl := redis.NewStringCmd(ctx, "get", key), redis.NewDurationCmd(ctx, time.Millisecond, "pttl", key)
		if done, err := c.Read(ctx, get, ttl); !done || err != nil || get.Val() != "v" {
			t.Fatalf("%q, %v, %v", get.Val(), done, err)
		}
		if c.slow.Load() == 0 {
			t.Fatal("the server was not found to be slow")
		}
	}
}

// A write that was sent again could reach the server late, after newer ones.
func TestWritesToASlowServerRunOnce(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Shared(t).Addr)
	opts := redistest.Shared(t).Options()
	opts.Addr = proxy.Addr
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	c := NewCombiner(client)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	proxy.Toxic(t, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 130}}`)
	incr := redis.NewIntCmd(ctx, "incr", redistest.Prefix()+"n")
	if done, err := c.Write(ctx, incr); !done || err != nil || incr.Val() != 1 {
		t.Errorf("%d, %v, %v", incr.Val(), done, err)
	}
}

func TestFullQueueGoesRoundTheCombiner(t *testing.T) {
	c := NewCombiner(redistest.Shared(t).Client(t))
	ctx := context.Background()
	c.senders = lanes // nobody sends
	c.queue = make([]*call, maxQueue)
	c.calls.Store(alone)
	if done, err := c.Read(ctx, redis.NewStatusCmd(ctx, "ping")); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
}

func TestWhoHasLeftIsNotSentFor(t *testing.T) {
	client := redistest.Shared(t).Client(t)
	c := NewCombiner(client)
	ctx := context.Background()
	key := redistest.Prefix() + "n"
	gone := &call{ctx: ctx, cmds: []redis.Cmder{redis.NewIntCmd(ctx, "incr", key)}, done: make(chan struct{}, 1)}
	gone.left.Store(true)
	here := &call{ctx: ctx, cmds: []redis.Cmder{redis.NewIntCmd(ctx, "incr", key)}, done: make(chan struct{}, 1)}
	c.send([]*call{gone, here})
	c.send([]*call{gone})
	if n := client.Get(ctx, key).Val(); n != "1" {
		t.Errorf("%s commands were sent, want 1", n)
	}
}

// A lone write is made by its caller, who is held no longer than the client waits
// when the server stops; after that, while the server is slow, nobody is held.
func TestLoneWriteHoldsItsCallerOnce(t *testing.T) {
	server := redistest.Start(t)
	opts := server.Options()
	opts.ReadTimeout, opts.MaxRetries = 300*time.Millisecond, 3
	client := redis.NewClient(opts)
	c := NewCombiner(client)
	set := func(ctx context.Context) (bool, error) {
		return c.WriteAlone(ctx, redis.NewStatusCmd(ctx, "set", "k", "v"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if done, err := set(ctx); !done || err != nil {
		t.Fatal(done, err)
	}
	server.Pause(t)
	if done, err := set(ctx); !done || !isTimeout(err) {
		t.Errorf("held: %v, %v; want the client's timeout", done, err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if done, err := set(ctx); done || !errors.Is(err, context.Canceled) {
		t.Errorf("after that: %v, %v; want the caller to leave", done, err)
	}
	server.Resume(t)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	for _, far := range []time.Duration{time.Hour, -1} {
		opts := server.Options()
		opts.ReadTimeout = far
		client := redis.NewClient(opts)
		if c := NewCombiner(client); c.hold != 0 {
			t.Errorf("a client that waits for %v holds callers for %v", far, c.hold)
		}
		_ = client.Close()
	}
}
