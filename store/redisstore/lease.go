package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// A lease is a key with a random token and a time to live (SET NX PX). Its holder
// renews it, stores what it loaded by a script that looks at the token, and
// releases it by one that deletes the token and tells the waiters. The token
// fences off a holder that was held up for so long that its lease ran out, as
// Kleppmann, "How to do distributed locking", 2016, asks for.

// leasePrefix begins the keys and the channel of leases.
const leasePrefix = "__strata:lease:"

const (
	renewSource = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0`

	releaseSource = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
  return 1
end
return 0`

	// The token is behind the arguments of the script that follows.
	fenceSource = `if redis.call('GET', KEYS[2]) ~= ARGV[5] then return 0 end
`
	plainSource = `if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1`
)

var (
	renewScript       = newScript(renewSource)
	releaseScript     = newScript(releaseSource)
	fencedFrameScript = newScript(fenceSource + compareAndSetSource)
	fencedPlainScript = newScript(fenceSource + plainSource)
)

var _ store.Leaser = (*Store)(nil)

// leaseName returns the key of the lease of a key's name, which lies in the
// same slot of a Cluster.
func (s *Store) leaseName(name string) (lease string, ok bool) {
	return s.besideName(leasePrefix, name)
}

// channel is where the ends of leases are told, under all keys of the prefix.
func (s *Store) channel() string { return leasePrefix + s.opts.Prefix }

// Lease implements store.Leaser.
func (s *Store) Lease(ctx context.Context, key string, ttl time.Duration) (store.Lease, error) {
	const op = "lease"
	if err := s.checkKey(ctx, op, key); err != nil {
		return nil, err
	}
	if ttl < time.Millisecond {
		return nil, s.fail(ctx, op, key, fmt.Errorf("a lease of %v is shorter than a millisecond", ttl))
	}
	name, ok := s.leaseName(s.opts.Prefix + key)
	if !ok {
		return nil, s.fail(ctx, op, key, fmt.Errorf("a Cluster cannot hold a lease for a key with a lone '}': %w", store.ErrInvalidKey))
	}
	token := make([]byte, 16)
	_, _ = rand.Read(token) // never fails
	l := &lease{s: s, key: key, name: name, token: hex.EncodeToString(token), ttl: ttl, stop: make(chan struct{})}
	cmd := redis.NewBoolCmd(ctx, "set", name, l.token, "nx", "px", ttl.Milliseconds())
	if _, err := s.calls.Write(ctx, cmd); err != nil && err != redis.Nil { //nolint:errorlint // never wrapped
		return nil, s.fail(ctx, op, key, err)
	}
	if !cmd.Val() {
		return nil, store.ErrLeased
	}
	l.done.Go(l.renew)
	return l, nil
}

// lease is a lease that this process holds, or has lost.
type lease struct {
	s                *Store
	key, name, token string
	ttl              time.Duration
	stop             chan struct{}
	once             sync.Once
	done             sync.WaitGroup
}

// renew keeps the lease until it is released or lost.
func (l *lease) renew() {
	tick := time.NewTicker(max(l.ttl/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.stop:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), l.ttl)
		cmd, err := l.s.runNamed(ctx, renewScript, []string{l.name}, l.token, l.ttl.Milliseconds())
		cancel()
		if n, nerr := cmd.Int(); err == nil && nerr == nil && n == 0 {
			return // lost: the fence keeps what is loaded away
		}
	}
}

// Fill implements store.Lease.
func (l *lease) Fill(ctx context.Context, e store.Entry) (stored bool, err error) {
	const op = "fill"
	s := l.s
	v, err := s.encode(l.key, &e)
	if err == errExpired { //nolint:errorlint // never wrapped
		return false, nil
	} else if err != nil {
		return false, s.fail(ctx, op, l.key, err)
	}
	script := fencedPlainScript
	if v.framed {
		script = fencedFrameScript
	}
	args := append(compareAndSetArgs(v, time.Now(), fillMode), l.token)
	cmd, err := s.runNamed(ctx, script, []string{s.opts.Prefix + l.key, l.name}, args...)
	if err != nil {
		return false, s.fail(ctx, op, l.key, err)
	}
	n, err := cmd.Int()
	if err != nil {
		return false, s.fail(ctx, op, l.key, err)
	}
	if n == 0 {
		s.count.refused.Add(1)
		return false, nil
	}
	s.count.sets.Add(1)
	return true, nil
}

// Release implements store.Lease.
func (l *lease) Release(ctx context.Context) error {
	l.once.Do(func() { close(l.stop) })
	l.done.Wait()
	_, err := l.s.runNamed(ctx, releaseScript, []string{l.name}, l.token, l.s.channel(), l.key)
	if err != nil {
		return l.s.fail(ctx, "release", l.key, err)
	}
	return nil
}

// BreakLease implements store.Leaser.
func (s *Store) BreakLease(ctx context.Context, key string) error {
	const op = "break lease"
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	name, ok := s.leaseName(s.opts.Prefix + key)
	if !ok {
		return nil // there can be none
	}
	cmd := redis.NewIntCmd(ctx, "del", name)
	if _, err := s.calls.Write(ctx, cmd); err != nil {
		return s.fail(ctx, op, key, err)
	}
	return s.toldBroken(ctx, key, cmd.Val())
}

// toldBroken tells those who wait for the lease of key that n leases of it have ended.
func (s *Store) toldBroken(ctx context.Context, key string, n int64) error {
	if n == 0 {
		return nil
	}
	if _, err := s.calls.Write(ctx, redis.NewIntCmd(ctx, "publish", s.channel(), key)); err != nil {
		return s.fail(ctx, "break lease", key, err)
	}
	return nil
}

// AwaitLease implements store.Leaser. It is woken by a message; what a lost
// message would cost is bounded by the lease's time to live.
func (s *Store) AwaitLease(ctx context.Context, key string) error {
	const op = "await lease"
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	name, ok := s.leaseName(s.opts.Prefix + key)
	if !ok {
		return nil
	}
	signals, leave := s.waiters.join(s, key)
	defer leave()
	for {
		cmd := redis.NewDurationCmd(ctx, time.Millisecond, "pttl", name)
		if _, err := s.calls.Read(ctx, cmd); err != nil {
			return s.fail(ctx, op, key, err)
		}
		left := cmd.Val()
		if left < 0 {
			return nil
		}
		timer := time.NewTimer(left + time.Millisecond)
		select {
		case sig := <-signals:
			timer.Stop()
			if sig == ended {
				return nil
			}
		case <-timer.C: // it ran out, or was renewed
		case <-ctx.Done():
			timer.Stop()
			return s.fail(ctx, op, key, context.Cause(ctx))
		}
	}
}

// runNamed runs a script on whole names by its digest, and by its text where the
// server does not know it.
func (s *Store) runNamed(ctx context.Context, sc script, names []string, args ...any) (*redis.Cmd, error) {
	command := func(verb, text string) *redis.Cmd {
		words := make([]any, 0, 3+len(names)+len(args))
		words = append(words, verb, text, len(names))
		for _, n := range names {
			words = append(words, n)
		}
		cmd := redis.NewCmd(ctx, append(words, args...)...)
		cmd.SetFirstKeyPos(3)
		return cmd
	}
	cmd := command("evalsha", sc.digest)
	done, err := s.calls.Write(ctx, cmd)
	if done && redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = command("eval", sc.text)
		_, err = s.calls.Write(ctx, cmd)
	}
	return cmd, err
}
