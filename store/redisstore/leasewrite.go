package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

var _ store.LeaseWriter = (*Store)(nil)

// SetLeased implements store.LeaseWriter. On a single server it takes one round trip:
// Redis carries out the commands of a pipeline in their order. In a Cluster, where some
// of them may have to be sent again to another node, it takes three.
func (s *Store) SetLeased(ctx context.Context, key string, e store.Entry) error {
	const op = "set"
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	name := s.opts.Prefix + key
	lease, ok := s.leaseName(name)
	w, now := s.newBatch(), time.Now()
	v, err := s.encodeAt(now, &w.frames, key, &e)
	if err == errExpired || !ok || !s.single { //nolint:errorlint // never wrapped
		return s.setBetween(ctx, key, e)
	} else if err != nil {
		return s.fail(ctx, op, key, err)
	}
	var set redis.Cmder
	if v.framed && s.ordered.Load() && e.Version != 0 {
		set = w.compareAndSet(ctx, "evalsha", compareAndSetScript.digest, name, &v, now, setMode)
	} else {
		set = w.set(ctx, name, &v)
	}
	before, after := redis.NewIntCmd(ctx, "del", lease), redis.NewIntCmd(ctx, "del", lease)
	done, err := s.calls.Write(ctx, before, set, after)
	switch {
	case done && redis.HasErrorPrefix(err, "NOSCRIPT"):
		return s.setBetween(ctx, key, e)
	case err != nil:
		return s.fail(ctx, op, key, err)
	}
	s.keep(w)
	s.count.sets.Add(1)
	return s.toldBroken(ctx, key, before.Val()+after.Val())
}

// setBetween is SetLeased one by one.
func (s *Store) setBetween(ctx context.Context, key string, e store.Entry) error {
	if err := s.BreakLease(ctx, key); err != nil {
		return err
	}
	if err := s.Set(ctx, key, e); err != nil {
		return err
	}
	return s.BreakLease(ctx, key)
}

// BreakLeases implements store.LeaseWriter, in a round trip for 512 keys.
func (s *Store) BreakLeases(ctx context.Context, keys []string) error {
	const op = "break lease"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	var failed *store.BatchError
	for chunk := range slices.Chunk(keys, batchKeys) {
		breaks, cmds := make([]*redis.IntCmd, len(chunk)), make([]redis.Cmder, 0, len(chunk))
		for i, key := range chunk {
			if key == "" {
				failed = failed.Add(key, s.fail(ctx, op, key, store.ErrInvalidKey))
			} else if name, ok := s.leaseName(s.opts.Prefix + key); ok {
				breaks[i] = redis.NewIntCmd(ctx, "del", name)
				cmds = append(cmds, breaks[i])
			}
		}
		if len(cmds) == 0 {
			continue
		}
		done, err := s.calls.WriteAlone(ctx, cmds...)
		for i, cmd := range breaks {
			switch {
			case cmd == nil:
				continue
			case done:
				err = cmd.Err()
			}
			if err != nil {
				failed = failed.Add(chunk[i], s.fail(ctx, op, chunk[i], err))
			} else if err := s.toldBroken(ctx, chunk[i], cmd.Val()); err != nil { // few have a lease
				failed = failed.Add(chunk[i], err)
			}
		}
	}
	return failed.ErrOrNil()
}
