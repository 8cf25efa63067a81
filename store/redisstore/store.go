package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/internal/rediscall"
	"github.com/stratacache/strata/store"
)

var (
	_ store.Store        = (*Store)(nil)
	_ store.BatchGetter  = (*Store)(nil)
	_ store.EachGetter   = (*Store)(nil)
	_ store.BatchSetter  = (*Store)(nil)
	_ store.BatchDeleter = (*Store)(nil)
	_ store.Filler       = (*Store)(nil)
	_ store.Tombstoner   = (*Store)(nil)

	_ store.Interruptible = (*Store)(nil)
	_ store.Scanner       = (*Store)(nil)
	_ store.Clearer       = (*Store)(nil)
	_ store.Statser       = (*Store)(nil)
)

// Store is a tier in Redis. It is safe for concurrent use.
type Store struct {
	client  redis.UniversalClient
	calls   *rediscall.Combiner
	opts    Options
	single  bool        // one node: commands with many keys are possible
	lacking atomic.Bool // the last batch asked for a key that had no value
	ordered atomic.Bool // Set compares versions: Options.NewestWins, or a Feed is used
	closed  atomic.Bool
	waiters waiters   // for leases
	batches sync.Pool // of *writeBatch, empty
	count   struct {
		hits, misses, sets, deletes, refused, expired, corrupt, errors atomic.Uint64
	}
}

// New returns a store on client, which may be a single server's, a Sentinel
// group's, a Cluster's or a Ring's. opts may be nil. Nothing is sent: a server
// that is down shows in the first call.
//
// The client must have ContextTimeoutEnabled set, or New refuses it. It stays
// the caller's to close, unless Options.CloseClient says otherwise.
func New(client redis.UniversalClient, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := rediscall.Check(client); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	_, single := client.(*redis.Client)
	s := &Store{client: client, calls: rediscall.NewCombiner(client), opts: o, single: single}
	s.ordered.Store(o.NewestWins)
	return s, nil
}

// Get returns the entry of key. It takes one round trip; only a foreign value
// under a key that is not declared plain takes a second, for its time to live.
// A damaged frame is removed, if it is still there, and is store.ErrCorrupt.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	const op = "get"
	if err := s.checkKey(ctx, op, key); err != nil {
		return store.Entry{}, err
	}
	plain, grace := s.wire(key)
	if plain {
		return s.getWithTTL(ctx, key, plain, grace)
	}
	cmd := redis.NewStringCmd(ctx, "get", s.opts.Prefix+key)
	if _, err := s.calls.Read(ctx, cmd); err != nil {
		return store.Entry{}, s.missOr(ctx, op, key, err)
	}
	b := bytesOf(cmd.Val())
	if !framed(b, plain) {
		return s.getWithTTL(ctx, key, plain, grace)
	}
	e, err := s.decode(ctx, key, b)
	return s.result(ctx, op, key, time.Now(), e, err)
}

// getWithTTL reads a value and its time to live in one round trip. Redis runs
// the two commands of a pipeline one after the other.
func (s *Store) getWithTTL(ctx context.Context, key string, plain bool, grace time.Duration) (store.Entry, error) {
	const op = "get"
	name := s.opts.Prefix + key
	get := redis.NewStringCmd(ctx, "get", name)
	ttl := redis.NewDurationCmd(ctx, time.Millisecond, "pttl", name)
	sent := time.Now()
	if done, err := s.calls.Read(ctx, get, ttl); !done || err != nil {
		return store.Entry{}, s.missOr(ctx, op, key, err)
	}
	b := bytesOf(get.Val())
	if framed(b, plain) {
		e, err := s.decode(ctx, key, b)
		return s.result(ctx, op, key, time.Now(), e, err)
	}
	e, ok := plainEntry(b, ttl.Val(), sent, grace)
	if !ok {
		return s.result(ctx, op, key, time.Now(), e, store.ErrNotFound)
	}
	return s.result(ctx, op, key, time.Now(), e, nil)
}

// missOr returns store.ErrNotFound, counted, for a nil reply and the wrapped
// failure otherwise.
func (s *Store) missOr(ctx context.Context, op, key string, err error) error {
	if errors.Is(err, redis.Nil) {
		s.count.misses.Add(1)
		return store.ErrNotFound
	}
	return s.fail(ctx, op, key, err)
}

// result counts the outcome of a read of one key, as of now, and shapes its error.
func (s *Store) result(ctx context.Context, op, key string, now time.Time, e store.Entry, err error) (store.Entry, error) {
	switch {
	case err == nil && e.Expired(now):
		s.count.expired.Add(1)
		s.count.misses.Add(1)
		return store.Entry{}, store.ErrNotFound
	case err == nil:
		s.count.hits.Add(1)
		return e, nil
	case errors.Is(err, store.ErrNotFound):
		s.count.misses.Add(1)
		return store.Entry{}, store.ErrNotFound
	case errors.Is(err, store.ErrCorrupt):
		s.count.corrupt.Add(1)
	}
	return store.Entry{}, s.fail(ctx, op, key, err)
}

// Set stores e under key, with what is left of its life as the key's time to
// live in milliseconds. It replaces whatever is there, a foreign value of
// another type too; see Options.NewestWins.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	const op = "set"
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	w := s.newBatch()
	v, err := s.encodeAt(time.Now(), &w.frames, key, &e)
	switch {
	case errors.Is(err, errExpired):
		err = s.remove(ctx, key)
	case err != nil:
	case v.framed && s.ordered.Load() && e.Version != 0:
		_, err = s.compareAndSet(ctx, w, key, &v, setMode)
	default:
		_, err = s.calls.Write(ctx, w.set(ctx, s.opts.Prefix+key, &v))
	}
	if err != nil {
		return s.fail(ctx, op, key, err)
	}
	s.keep(w)
	s.count.sets.Add(1)
	return nil
}

// Delete removes key.
func (s *Store) Delete(ctx context.Context, key string) error {
	const op = "delete"
	if err := s.checkKey(ctx, op, key); err != nil {
		return err
	}
	if err := s.remove(ctx, key); err != nil {
		return s.fail(ctx, op, key, err)
	}
	s.count.deletes.Add(1)
	return nil
}

// remove is an UNLINK: a foreign value of a million members is then freed
// without stopping the server.
func (s *Store) remove(ctx context.Context, key string) error {
	_, err := s.calls.Write(ctx, redis.NewIntCmd(ctx, "unlink", s.opts.Prefix+key))
	return err
}

// Close makes every later call store.ErrClosed, and closes the client where
// Options.CloseClient says so. Calls under way may end with store.ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.waiters.wait()
	if !s.opts.CloseClient {
		return nil
	}
	if err := s.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return &store.Error{Op: "close", Tier: s.opts.Name, Err: err}
	}
	return nil
}

// Stats returns the store's counters since New, and as Extra the connections of
// the client's pool. Sizes are the server's affair and are zero.
func (s *Store) Stats() store.Stats {
	c := &s.count
	st := store.Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Sets: c.sets.Load(), Deletes: c.deletes.Load(),
		Rejections: c.refused.Load(), Expired: c.expired.Load(), Corrupt: c.corrupt.Load(), Errors: c.errors.Load(),
	}
	if pool := s.client.PoolStats(); pool != nil {
		st.Extra = map[string]float64{
			"pool_total_conns": float64(pool.TotalConns),
			"pool_idle_conns":  float64(pool.IdleConns),
			"pool_timeouts":    float64(pool.Timeouts),
		}
	}
	return st
}

// wire asks the policy how the value of key goes over the wire.
func (s *Store) wire(key string) (plain bool, grace time.Duration) {
	if s.opts.Wire == nil {
		return false, 0
	}
	return s.opts.Wire.Wire(key)
}

// decode is frame.Decode, under the key without the prefix. A damaged frame is
// removed.
func (s *Store) decode(ctx context.Context, key string, b []byte) (store.Entry, error) {
	e, err := frame.Decode(key, b)
	if errors.Is(err, store.ErrCorrupt) {
		s.dropDamaged(ctx, key, b)
	}
	return e, err
}

// Interruptible implements store.Interruptible: a call whose context has ended
// returns, at the latest after the tenth of a second that a read may hold its
// caller.
func (s *Store) Interruptible() {}
