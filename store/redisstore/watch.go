package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// watch is a connection on which one server tells of the keys that are touched there.
//
// It is a subscription, of RESP3, to a channel on which nobody speaks: pushed messages
// are then read as they come, and the server gives the connection up where they are not
// read (client-output-buffer-limit pubsub) and does not pile them up. The server forgets
// what it tracks with the connection, so that a watch is never made anew: it ends.
type watch struct {
	node    *redis.Client // of the store: probes are written through it
	client  *redis.Client // of this watch alone
	sub     *redis.PubSub
	touches *touches
	probe   string // name of the key that is written to see it touched; empty: none
	opts    FeedOptions
	dials   atomic.Int32
}

// Errors that end a watch.
var (
	errDeaf = errors.New("the server does not tell of a key that was written: " +
		"its tracking was lost, or something between drops the messages")
	errLost     = errors.New("the connection on which the server tracks keys was lost")
	errOutdated = errors.New("to hear of writes by other programs needs Redis 6 or newer, or Valkey, " +
		"and nothing between that speaks RESP2 only; else use (*Store).Feed instead (tiers.redis.tracking: false)")
)

// openWatch returns once the server of node tells of what is touched.
func (f *TrackingFeed) openWatch(ctx context.Context, node *redis.Client, t *touches, probe string) (*watch, error) {
	w := &watch{node: node, touches: t, probe: probe, opts: f.feed.opts}
	o := *node.Options()
	o.Protocol = 3
	o.PoolSize, o.MinIdleConns, o.MaxRetries = 1, 0, -1
	o.PushNotificationProcessor = redis.NewPushNotificationProcessor()
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil // which would track keys itself
	before := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if w.dials.Add(1) > 1 {
			return errLost
		}
		if before != nil {
			if err := before(ctx, cn); err != nil {
				return err
			}
		}
		return track(ctx, cn, f.prefixes())
	}
	w.client = redis.NewClient(&o)
	if err := w.client.RegisterPushNotificationHandler(invalidate, t, false); err != nil {
		return nil, errors.Join(err, w.client.Close())
	}
	if err := w.begin(ctx, f.channel()); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// track has the server tell of the keys with the given prefixes on a connection; of all
// keys where there are none.
func track(ctx context.Context, cn *redis.Conn, prefixes []string) error {
	hello := redis.NewCmd(ctx, "hello")
	if err := cn.Process(ctx, hello); err != nil {
		return refusal("HELLO", err)
	}
	if _, resp3 := hello.Val().(map[any]any); !resp3 {
		return errOutdated
	}
	args := []any{"client", "tracking", "on", "bcast"}
	for _, p := range prefixes {
		args = append(args, "prefix", p)
	}
	if err := cn.Process(ctx, redis.NewStatusCmd(ctx, args...)); err != nil {
		return refusal("CLIENT TRACKING", err)
	}
	return nil
}

// refusal returns what a server's answer to a command that it does not know, or does not
// allow, means.
func refusal(command string, err error) error {
	var said redis.Error
	switch {
	case !errors.As(err, &said), redis.HasErrorPrefix(err, "LOADING"):
		return err
	case redis.HasErrorPrefix(err, "NOPERM"):
		return fmt.Errorf("%w: the ACL user needs %s", err, command)
	}
	return fmt.Errorf("%w (%s: %w)", errOutdated, command, err)
}

// begin connects, subscribes and sees a first probe touched.
func (w *watch) begin(ctx context.Context, channel string) error {
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	w.sub = w.client.Subscribe(ctx)
	if err := w.sub.Subscribe(ctx, channel); err != nil {
		return err
	}
	if _, err := w.sub.ReceiveTimeout(ctx, feedPatience); err != nil {
		return err
	}
	if err := w.ask(ctx, true); err != nil {
		return err
	}
	return w.receive(ctx)
}

// run receives until ctx ends or the connection is of no use any more.
func (w *watch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(w.keepAsking(ctx))
	}()
	stop := context.AfterFunc(ctx, func() { _ = w.sub.Close() }) // ends a read under way
	var err error
	for err == nil {
		err = w.receive(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	stop()
	<-done
	return err
}

// keepAsking asks the server for signs of life, so that a read never waits for long.
func (w *watch) keepAsking(ctx context.Context) error {
	tick := time.NewTicker(w.opts.Block)
	defer tick.Stop()
	probed := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		probe := time.Since(probed) >= w.opts.Probe
		if probe {
			probed = time.Now()
		}
		if err := w.ask(ctx, probe); err != nil {
			return err
		}
	}
}

// ask sends a PING, the answer to which ends a read. With probe, a key is written before:
// the message that it was touched has to come before the answer. What the PING carries is
// how often such a message had come when the key was written.
func (w *watch) ask(ctx context.Context, probe bool) error {
	if !probe || w.probe == "" {
		return w.sub.Ping(ctx)
	}
	heard := w.touches.echo(w.probe)
	if err := w.node.Set(ctx, w.probe, "", 4*w.opts.Probe+time.Minute).Err(); err != nil {
		return fmt.Errorf("the server does not take a sign of life: %w", err)
	}
	return w.sub.Ping(ctx, strconv.FormatUint(heard, 10))
}

// receive reads until the answer to a PING, and hands on what is pushed before. After an
// error nothing more can be read: it may have come in the midst of a message.
func (w *watch) receive(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil { // go-redis trusts the form of what it reads
			err = fmt.Errorf("a message of the server makes no sense: %v", v)
		}
	}()
	message, err := w.sub.ReceiveTimeout(ctx, w.opts.Block+feedPatience)
	if err != nil {
		return err
	}
	pong, ok := message.(*redis.Pong)
	if !ok {
		return errLost // subscribed anew
	}
	if pong.Payload == "" || pong.Payload == "PONG" {
		return nil
	}
	heard, err := strconv.ParseUint(pong.Payload, 10, 64)
	if err != nil || w.touches.echo(w.probe) <= heard {
		return errDeaf
	}
	return nil
}

func (w *watch) close() {
	if w.sub != nil {
		_ = w.sub.Close()
	}
	_ = w.client.Close()
}
