package redisstore

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// commandLog is a hook that notes what goes over the wire, a round trip an element.
type commandLog struct{ trips []string }

func (l *commandLog) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *commandLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l.trips = append(l.trips, cmd.Name())
		return next(ctx, cmd)
	}
}

func (l *commandLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := ""
		for _, cmd := range cmds {
			names += cmd.Name() + " "
		}
		l.trips = append(l.trips, names)
		return next(ctx, cmds)
	}
}

// TestBatchOfOneServer: a batch is one MGET. Whether keys without a value are of
// another type is asked along with the batch after one that lacked values, and
// afterwards where the batch before had all.
func TestBatchOfOneServer(t *testing.T) {
	client := redistest.Shared(t).Client(t)
	s, err := New(client, &Options{Prefix: redistest.Prefix()})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		mustSet(t, s, key, store.Entry{Value: []byte("v")})
	}
	l := &commandLog{}
	client.AddHook(l)
	get := func(want int, keys ...string) {
		t.Helper()
		if found, err := s.GetMany(ctx, keys); err != nil || len(found) != want {
			t.Errorf("%v: %v, %v", keys, found, err)
		}
	}
	get(2, "a", "b")
	get(2, "a", "b")
	get(1, "a", "absent")
	get(1, "b", "absent")
	get(2, "b", "a")
	get(2, "b", "a")
	l.trips = slices.DeleteFunc(l.trips, func(s string) bool { return !strings.Contains(s, "get") }) // new connections
	want := []string{"mget", "mget", "mget", "get", "mget exists ", "mget exists ", "mget"}
	if !slices.Equal(l.trips, want) {
		t.Errorf("round trips: %q, want %q", l.trips, want)
	}
}
