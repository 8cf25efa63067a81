package redisstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/store"
)

// The most keys and bytes of values that one round trip of a batch carries: a
// larger one would keep the server from its other clients.
const (
	batchKeys  = 512
	batchBytes = 4 << 20
)

// lookup is the read of one key in a batch.
type lookup struct {
	at      int // place among the caller's keys
	key     string
	plain   bool
	grace   time.Duration
	withTTL bool // the time to live is needed: the value has no frame

	value []byte
	ttl   *redis.DurationCmd
	err   error // redis.Nil: no value
}

// lookupRoom has room for the lookups of a round trip, of 512 at most. Who carries out
// the commands does not look at it.
var lookupRoom sync.Pool

// GetMany reads keys, up to 512 in one round trip. In a Cluster the keys of each
// node go in one pipeline.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	found := make(map[string]store.Entry, len(keys))
	err := s.getEach(ctx, keys, func(i int, e store.Entry) { found[keys[i]] = e })
	return found, err
}

// GetEach is GetMany with the entry of keys[i] in answers[i].
func (s *Store) GetEach(ctx context.Context, keys []string, answers []store.Answer) error {
	return s.getEach(ctx, keys, func(i int, e store.Entry) { answers[i] = store.Answer{Entry: e, Found: true} })
}

// getEach reads keys, and calls found with what is there.
func (s *Store) getEach(ctx context.Context, keys []string, found func(i int, e store.Entry)) error {
	if err := s.check(ctx, "get"); err != nil {
		return err
	}
	var failed *store.BatchError
	for first := 0; first < len(keys); first += batchKeys {
		failed = s.getChunk(ctx, keys[first:min(first+batchKeys, len(keys))], first, found, failed)
	}
	return failed.ErrOrNil()
}

// getChunk reads keys, the first of which is the caller's first-th, and adds what
// failed to failed.
func (s *Store) getChunk(ctx context.Context, keys []string, first int, found func(i int, e store.Entry), failed *store.BatchError) *store.BatchError {
	const op = "get"
	room, _ := lookupRoom.Get().(*[]lookup)
	if room == nil {
		room = new([]lookup)
	}
	lookups := slices.Grow((*room)[:0], len(keys))
	defer func(all []lookup) {
		clear(all[:len(keys)])
		*room = all
		lookupRoom.Put(room)
	}(lookups)
	for i, key := range keys {
		if err := s.checkKey(ctx, op, key); err != nil {
			failed = failed.Add(key, err)
			continue
		}
		plain, grace := s.wire(key)
		lookups = append(lookups, lookup{at: first + i, key: key, plain: plain, grace: grace, withTTL: plain})
	}
	for len(lookups) > 0 {
		sent := time.Now()
		s.read(ctx, lookups)
		now := time.Now()
		var foreign []lookup
		for i := range lookups {
			l := &lookups[i]
			if l.err == nil && !l.withTTL && !framed(l.value, l.plain) {
				foreign = append(foreign, lookup{at: l.at, key: l.key, plain: l.plain, grace: l.grace, withTTL: true})
				continue
			}
			e, err := s.settle(ctx, l, sent, now)
			if err == nil {
				found(l.at, e)
			} else if !errors.Is(err, store.ErrNotFound) {
				failed = failed.Add(l.key, err)
			}
		}
		lookups = foreign
	}
	return failed
}

// settle turns the reply of one lookup, asked for at sent and there at now, into the
// key's result.
func (s *Store) settle(ctx context.Context, l *lookup, sent, now time.Time) (store.Entry, error) {
	const op = "get"
	switch {
	case l.err != nil:
		return store.Entry{}, s.missOr(ctx, op, l.key, l.err)
	case framed(l.value, l.plain):
		e, err := s.decode(ctx, l.key, l.value)
		return s.result(ctx, op, l.key, now, e, err)
	}
	e, ok := plainEntry(l.value, l.ttl.Val(), sent, l.grace)
	if !ok {
		return s.result(ctx, op, l.key, now, e, store.ErrNotFound)
	}
	return s.result(ctx, op, l.key, now, e, nil)
}

// read fetches the values of lookups, and the times to live that are needed, in
// one round trip.
func (s *Store) read(ctx context.Context, lookups []lookup) {
	if s.single && len(lookups) > 1 {
		s.readTogether(ctx, lookups)
		return
	}
	s.readEach(ctx, lookups)
}

// readEach asks with one GET per key, which a Cluster client sends to the nodes
// that hold the keys.
func (s *Store) readEach(ctx context.Context, lookups []lookup) {
	gets := make([]*redis.StringCmd, len(lookups))
	cmds := make([]redis.Cmder, 0, 2*len(lookups))
	for i := range lookups {
		l := &lookups[i]
		name := s.opts.Prefix + l.key
		gets[i] = redis.NewStringCmd(ctx, "get", name)
		cmds = append(cmds, gets[i])
		if l.withTTL {
			l.ttl = redis.NewDurationCmd(ctx, time.Millisecond, "pttl", name)
			cmds = append(cmds, l.ttl)
		}
	}
	done, err := s.calls.ReadAlone(ctx, cmds...)
	for i := range lookups {
		if !done {
			lookups[i].err = err
			continue
		}
		lookups[i].value, lookups[i].err = bytesOf(gets[i].Val()), gets[i].Err()
	}
}

// readTogether asks with one MGET. A key of another type is nil in its reply, as
// if absent, so the number of those that exist is asked for too: an error is not
// a miss. Where it tells of such a key, those without a value are asked one by
// one. The question goes along where the batch before had a key without a value, and
// follows otherwise: a batch that has all its values needs no second question, and
// those that lack some cost one round trip.
func (s *Store) readTogether(ctx context.Context, lookups []lookup) {
	get := append(make([]any, 0, 1+len(lookups)), "mget")
	cmds := make([]redis.Cmder, 1, 2+len(lookups))
	for i := range lookups {
		l := &lookups[i]
		var name any = s.opts.Prefix + l.key
		get = append(get, name)
		if l.withTTL {
			l.ttl = redis.NewDurationCmd(ctx, time.Millisecond, "pttl", name)
			cmds = append(cmds, l.ttl)
		}
	}
	values := redis.NewStringSliceCmd(ctx, get...) // a SliceCmd allocates an interface for each value
	cmds[0] = values
	var exist *redis.IntCmd
	if s.lacking.Load() {
		exist = redis.NewIntCmd(ctx, append([]any{"exists"}, get[1:]...)...)
		cmds = append(cmds, exist)
	}
	done, err := s.calls.ReadAlone(ctx, cmds...)
	if done && err == nil && len(values.Val()) != len(lookups) {
		err = errCount
	}
	if !done || err != nil {
		for i := range lookups {
			lookups[i].err = err
		}
		return
	}
	var doubtful []int // an empty value, which only another program writes, looks like none
	for i, v := range values.Val() {
		if v != "" {
			lookups[i].value = bytesOf(v)
			continue
		}
		lookups[i].err = redis.Nil
		doubtful = append(doubtful, i)
	}
	if lack := len(doubtful) > 0; s.lacking.Load() != lack {
		s.lacking.Store(lack)
	}
	switch {
	case len(doubtful) == 0:
	case exist == nil:
		s.readDoubtful(ctx, lookups, doubtful)
	case exist.Val() > int64(len(lookups)-len(doubtful)):
		s.readDoubtful(ctx, lookups, doubtful)
	}
}

// readDoubtful asks again, one by one, for the lookups at the given indices.
func (s *Store) readDoubtful(ctx context.Context, lookups []lookup, at []int) {
	again := make([]lookup, len(at))
	for i, j := range at {
		again[i] = lookups[j]
	}
	s.readEach(ctx, again)
	for i, j := range at {
		lookups[j] = again[i]
	}
}

// DeleteMany removes keys, up to 512 in one round trip.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	const op = "delete"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	var failed *store.BatchError
	for chunk := range slices.Chunk(keys, batchKeys) {
		names := make([]string, 0, len(chunk))
		for _, key := range chunk {
			if key == "" {
				failed = failed.Add(key, s.fail(ctx, op, key, store.ErrInvalidKey))
				continue
			}
			names = append(names, s.opts.Prefix+key)
		}
		if err := s.unlink(ctx, names); err != nil {
			for _, key := range chunk {
				failed = failed.Add(key, s.fail(ctx, op, key, err))
			}
			continue
		}
		s.count.deletes.Add(uint64(len(names)))
	}
	return failed.ErrOrNil()
}

// unlink removes keys, given by their names in Redis, in one round trip.
func (s *Store) unlink(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var cmds []redis.Cmder
	if s.single {
		args := append(make([]any, 0, 1+len(names)), "unlink")
		for _, name := range names {
			args = append(args, name)
		}
		cmds = append(cmds, redis.NewIntCmd(ctx, args...))
	} else {
		for _, name := range names {
			cmds = append(cmds, redis.NewIntCmd(ctx, "unlink", name))
		}
	}
	_, err := s.calls.WriteAlone(ctx, cmds...)
	return err
}
