package rediscall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
)

// gate is a hook that counts round trips with a GET, and lets none through until it
// is open.
type gate struct {
	trips, commands atomic.Int64
	open            chan struct{}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		g.pass(cmd)
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		g.pass(cmds...)
		return next(ctx, cmds)
	}
}

func (g *gate) pass(cmds ...redis.Cmder) {
	if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == "get" }) {
		g.trips.Add(1)
		g.commands.Add(int64(len(cmds)))
		<-g.open
	}
}

// 64 callers who ask while the server has not answered the first yet take seven round trips
// or fewer: one each for the first two, some at once for those who came next, of whom sixteen
// are worth one beside those that are under way, and the rest for all who came after. There
// are two or three beside those of the first two.
func TestManyCallersShareRoundTrips(t *testing.T) {
	const callers, trips = 64, 7
	client, g := redistest.Shared(t).Client(t), &gate{open: make(chan struct{})}
	client.AddHook(g)
	c, ctx, prefix := NewCombiner(client), context.Background(), redistest.Prefix()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			if done, err := c.Read(ctx, redis.NewStringCmd(ctx, "get", fmt.Sprint(prefix, i))); !done || !errors.Is(err, redis.Nil) {
				t.Errorf("an absent key: %v, %v", done, err)
			}
		})
	}
	redistest.Eventually(t, 20*time.Second, "all have asked", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.queue)+int(g.commands.Load()) == callers && g.trips.Load() == int64(alone+c.senders)
	})
	if n := g.trips.Load(); n < alone+2 || n > alone+lanes {
		t.Errorf("%d round trips are under way; want %d or %d", n, alone+2, alone+lanes)
	}
	close(g.open)
	wg.Wait()
	if n := g.trips.Load(); n > trips {
		t.Errorf("%d callers took %d round trips; want %d", callers, n, trips)
	}
}
