package packstore

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// Store is a cache tier in memory. Create it with New. It is safe for concurrent
// use, and has no goroutine.
type Store struct {
	opts    Options
	seed    maphash.Seed
	shards  []shard // a power of two
	segSize int
	maxPack int          // largest record
	bytes   atomic.Int64 // in use
	turn    atomic.Uint32
	closed  atomic.Bool
	told    atomic.Pointer[func(any)] // see NotifyEvictions
}

var (
	_ store.Store        = (*Store)(nil)
	_ store.Objects      = (*Store)(nil)
	_ store.PackedReader = (*Store)(nil)
	_ store.PackedWriter = (*Store)(nil)
	_ store.Counter      = (*Store)(nil)
	_ store.Filler       = (*Store)(nil)
	_ store.Scanner      = (*Store)(nil)
	_ store.Clearer      = (*Store)(nil)
	_ store.Statser      = (*Store)(nil)

	_ store.EvictionNotifier = (*Store)(nil)
)

const tierName = "memory"

// New makes a store; opts may be nil. The error names the option that is wrong.
func New(opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, seed: maphash.MakeSeed()}
	s.shards = make([]shard, 32)
	if o.Capacity < 16<<20 {
		s.shards = make([]shard, 4)
	}
	s.segSize = 4 << 10
	for s.segSize < 128<<10 && int64(s.segSize)*int64(len(s.shards))*64 < o.Capacity {
		s.segSize *= 2
	}
	s.maxPack = min(s.segSize/4, 4<<10)
	for i := range s.shards {
		s.shards[i].st = s
		s.shards[i].reset()
	}
	return s, nil
}

// NotifyEvictions implements store.EvictionNotifier. What was packed comes as a
// *store.Entry, whose value is there during the call only. Writers call f, under
// locks of the store.
func (s *Store) NotifyEvictions(f func(obj any)) { s.told.Store(&f) }

// evicted tells of what r was.
func (s *Store) evicted(r record) {
	if f := s.told.Load(); f != nil {
		var p store.Packed
		r.unpack(&p)
		e := unpackEntry(&p)
		(*f)(&e)
	}
}

func fail(op, key string, err error) error {
	return &store.Error{Op: op, Tier: tierName, Key: key, Err: err}
}

// check is the common head of every operation with a context.
func (s *Store) check(ctx context.Context, op, key string) error {
	switch {
	case key == "":
		return fail(op, key, store.ErrInvalidKey)
	case s.closed.Load():
		return fail(op, key, store.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return fail(op, key, err)
	}
	return nil
}

func (s *Store) shard(key string) (*shard, uint64) {
	h := maphash.String(s.seed, key)
	return &s.shards[h>>32&uint64(len(s.shards)-1)], h
}

// Get implements store.Store. The value is a copy where it was packed. What was
// set as an object is a miss.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return store.Entry{}, err
	}
	now := time.Now().UnixNano()
	sh, h := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r, b := sh.get(h, key)
	switch {
	case r != nil && r.expired(now) || b != nil && b.expires != never && now >= b.expires:
		sh.expired++
		sh.remove(h, key)
	case r != nil && r.flags()&flagEntry != 0:
		var p store.Packed
		r.unpack(&p)
		p.Value = append([]byte{}, p.Value...)
		sh.hits++
		return unpackEntry(&p), nil
	case b != nil && b.entry() != nil:
		sh.hits++
		return *b.entry(), nil
	}
	sh.misses++
	return store.Entry{}, store.ErrNotFound
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	if err := s.check(ctx, "set", key); err != nil {
		return err
	}
	return s.put("set", key, nil, &e, 0, clock.Nanos(e.Expires), nil)
}

// put stores an object, or an entry where e is not nil, if ok, called with the
// shard locked, agrees; nil always does.
func (s *Store) put(op, key string, obj any, e *store.Entry, cost, expires int64, ok func(*shard, uint64) bool) error {
	now := time.Now().UnixNano()
	sh, h := s.shard(key)
	if expires != never && now >= expires {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if ok == nil || ok(sh, h) {
			sh.remove(h, key)
		}
		return nil
	}
	var p store.Packed
	var size int
	var flags byte
	packed := false
	if e != nil {
		packed = packEntry(e, &p)
		cost = int64(len(e.Value))
	} else if pk, is := obj.(store.Packer); is && s.opts.Unpack != nil {
		packed = pk.Pack(&p) && p.Epoch <= maxEpoch
	}
	if packed {
		if size, flags = packedSize(key, &p); e != nil {
			flags |= flagEntry
		}
		packed = size <= s.maxPack
	}
	if cost = min(max(cost, 0), math.MaxInt64>>1) + int64(len(key)) + bigOverhead; packed {
		cost = int64(size)
	}
	if cost > s.opts.MaxEntry {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.remove(h, key)
		sh.rejected++
		return fail(op, key, store.ErrTooLarge)
	}
	s.makeRoom(cost)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case s.closed.Load():
		return fail(op, key, store.ErrClosed)
	case ok != nil && !ok(sh, h):
		return nil
	case packed:
		sh.put(h, key, &p, size, flags)
	default:
		sh.remove(h, key)
		if e != nil {
			kept := *e
			kept.Expires, kept.Fresh = kept.Expires.Round(0), kept.Fresh.Round(0)
			obj = &kept
		}
		sh.putBig(key, obj, cost, expires)
	}
	sh.sets++
	sh.sweepStep(2, now)
	return nil
}

// makeRoom evicts until n bytes more fit, from the shards in turn.
func (s *Store) makeRoom(n int64) {
	for idle := 0; s.bytes.Load()+n > s.opts.Capacity && idle < len(s.shards); {
		sh := &s.shards[s.turn.Add(1)&uint32(len(s.shards)-1)]
		sh.mu.Lock()
		if sh.evict() {
			idle = 0
		} else {
			idle++
		}
		sh.mu.Unlock()
	}
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx, "delete", key); err != nil {
		return err
	}
	sh, h := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.remove(h, key)
	sh.deletes++
	sh.tidy()
	return nil
}

// Fill implements store.Filler.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	if err := s.check(ctx, "fill", key); err != nil {
		return false, err
	}
	err = s.put("fill", key, nil, &e, 0, clock.Nanos(e.Expires), func(sh *shard, h uint64) bool {
		now := time.Now()
		stored = true
		r, b := sh.get(h, key)
		switch {
		case r != nil && r.flags()&flagEntry != 0 && !r.expired(now.UnixNano()):
			stored = store.Newer(e.Version, r.version())
		case b != nil && b.entry() != nil && !b.entry().Expired(now):
			stored = store.Newer(e.Version, b.entry().Version)
		}
		return stored
	})
	return stored && err == nil && !e.Expired(time.Now()), err
}

var errNilObject = errors.New("the object is nil")

// SetObject implements store.Objects.
func (s *Store) SetObject(key string, obj any, cost int64, expires time.Time) error {
	switch {
	case key == "":
		return fail("setobject", key, store.ErrInvalidKey)
	case obj == nil:
		return fail("setobject", key, errNilObject)
	case s.closed.Load():
		return fail("setobject", key, store.ErrClosed)
	}
	return s.put("setobject", key, obj, nil, cost, clock.Nanos(expires), nil)
}

// GetObject implements store.Objects: what was packed is made anew by
// Options.Unpack. An entry is returned as a *store.Entry.
func (s *Store) GetObject(key string) (obj any, ok bool) {
	if s.closed.Load() {
		return nil, false
	}
	sh, h := s.shard(key)
	sh.mu.Lock()
	r, b := sh.get(h, key)
	if r == nil {
		defer sh.mu.Unlock()
		if b == nil {
			sh.misses++
			return nil, false
		}
		sh.hits++
		return b.obj, true
	}
	sh.hits++
	var p store.Packed
	r.unpack(&p)
	p.Value = append([]byte{}, p.Value...)
	entry := r.flags()&flagEntry != 0
	sh.mu.Unlock()
	if entry {
		e := unpackEntry(&p)
		return &e, true
	}
	return s.opts.Unpack(&p), true
}

// GetPacked implements store.PackedReader.
func (s *Store) GetPacked(key string, buf []byte) (p store.Packed, _ []byte, ok bool) {
	sh, h := s.shard(key)
	sh.mu.Lock()
	i := sh.find(h, key)
	if i < 0 {
		sh.mu.Unlock()
		return p, buf, false
	}
	if sh.table[i]&wasRead == 0 {
		sh.table[i] |= wasRead
	}
	r := sh.at(sh.table[i])
	if r.flags()&flagEntry != 0 {
		sh.mu.Unlock()
		return p, buf, false
	}
	r.unpack(&p)
	at := len(buf)
	buf = append(buf, p.Value...)
	sh.hits++
	sh.mu.Unlock()
	p.Value = buf[at:]
	return p, buf, true
}

// PutPacked implements store.PackedWriter.
func (s *Store) PutPacked(key string, p store.Packed) (ok bool) {
	size, flags := packedSize(key, &p)
	if size > s.maxPack || int64(size) > s.opts.MaxEntry || p.Epoch > maxEpoch {
		return false
	}
	if s.bytes.Load()+int64(size) > s.opts.Capacity {
		s.makeRoom(int64(size))
	}
	sh, h := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	sh.put(h, key, &p, size, flags)
	if sh.sets++; sh.sets%sweepEvery == 0 {
		sh.sweepStep(2*sweepEvery, time.Now().UnixNano())
	}
	return true
}

// sweepEvery is how many packed writes share one look at the clock.
const sweepEvery = 16
