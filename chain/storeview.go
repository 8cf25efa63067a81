package chain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/store"
)

// Store returns the chain as a store of bytes: a tier for another chain, a
// gocache store, the back end of a server. Entries keep the deadlines, tags and
// codec that they are set with, and get their rule's tags; one without deadlines
// gets its rule's TTL where a rule matches, and never expires where none does. One whose deadline is NoExpiry
// never expires whatever its rule says. Versions are the chain's own,
// and tiers keep their bounds. The store is a Peeker too. Closing the store closes the chain, and gives what
// is pending 30 seconds.
func (c *Chain) Store() store.Store {
	v := &view{c: c, bytes: NewCache(c, &CacheOptions[[]byte]{Codec: anyBytes{}})}
	if c.memory != nil {
		v.packed, _ = c.memory.Store.(store.PackedReader)
		v.packer, _ = c.memory.Store.(store.PackedWriter)
	}
	return v
}

// NoExpiry as the deadline of an entry that is written to a Chain.Store says that
// it is to stay, where a zero deadline leaves that to the key's rule.
var NoExpiry = time.Unix(0, clock.Never)

// anyCodec is the name of a codec that takes every entry's bytes as they are.
const anyCodec = "*"

// anyBytes is the codec of a view: the bytes are the value, whatever made them.
type anyBytes struct{}

func (anyBytes) Name() string                                { return anyCodec }
func (anyBytes) Append(dst []byte, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (anyBytes) Decode(data []byte) ([]byte, error)          { return data, nil }

// view is a chain as a store.
type view struct {
	c      *Chain
	bytes  *Cache[[]byte]
	packed store.PackedReader // the memory tier, where it packs; else nil
	packer store.PackedWriter // likewise
}

var (
	_ store.Store        = (*view)(nil)
	_ store.BatchGetter  = (*view)(nil)
	_ store.BatchSetter  = (*view)(nil)
	_ store.BatchDeleter = (*view)(nil)
	_ store.Filler       = (*view)(nil)
	_ store.Scanner      = (*view)(nil)
	_ store.Clearer      = (*view)(nil)
	_ store.Syncer       = (*view)(nil)
	_ store.Statser      = (*view)(nil)
)

func (v *view) fault(op, key string, err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &store.Error{Op: op, Tier: "chain", Key: key, Err: err}
}

// Get implements store.Store.
func (v *view) Get(ctx context.Context, key string) (store.Entry, error) {
	if ctx.Err() != nil {
		return store.Entry{}, v.fault("get", key, ended(ctx))
	}
	o, held := v.bytes.peek(key)
	if o == nil {
		var err error
		if o, err = v.bytes.miss(ctx, key, held, nil); err != nil {
			return store.Entry{}, v.fault("get", key, err)
		}
	}
	return entryOf(o), nil
}

// entryOf returns an object of bytes as an entry.
func entryOf(o *object[[]byte]) store.Entry {
	e := store.Entry{Value: o.value, Version: o.version, Tags: o.tags()}
	o.deadlines().apply(&e)
	if o.more != nil {
		e.Codec = o.more.codec
	}
	return e
}

// acceptable refuses keys that the chain keeps for itself, and to leave in clear
// what a rule encrypts: bytes that a view is given are stored as they are.
func (v *view) acceptable(key string, e *store.Entry) error {
	if err := v.c.check(key); err != nil {
		return err
	}
	if p := v.c.plan(key); p.keys != nil && !strings.HasSuffix(e.Codec, marshal.EncryptSuffix) {
		return fmt.Errorf("strata: rule %q encrypts its values: write them through a Cache", p.name)
	}
	return nil
}

// operation prepares the write of e.
func (v *view) operation(key string, e store.Entry) *operation {
	p := v.c.plan(key)
	now := time.Now().UnixNano()
	v.c.hlc.Observe(e.Version) // what we stamp is newer, also to who stamped that
	if e.Expires.IsZero() && e.Fresh.IsZero() && p.rule != nil {
		p.lifeFor(now, 0).apply(&e)
	}
	if e.Expires.Equal(NoExpiry) {
		e.Expires, e.Fresh = time.Time{}, time.Time{}
	}
	if e.Value == nil {
		e.Value = []byte{}
	}
	e.Tags = p.withTags(key, e.Tags)
	o := &operation{key: key, plan: p, entry: e, deleted: e.Expired(time.Unix(0, now)), at: now}
	if p.memory && !o.deleted {
		o.obj = v.object(p, &e, now, v.c.epoch.Load())
	}
	return o
}

// withTags adds the rule's tags to those that an entry came with, which may have
// them already, from a chain above.
func (p *plan) withTags(key string, tags []string) []string {
	for _, tag := range p.tagsFor(key, nil) {
		if !slices.Contains(tags, tag) {
			tags = append(tags[:len(tags):len(tags)], tag)
		}
	}
	return tags
}

func (v *view) object(p *plan, e *store.Entry, now int64, epoch uint64) *object[[]byte] {
	version := e.Version
	e.Version = 0
	obj := v.bytes.object(p, e.Value, lifeOf(e), now, e, 0, epoch)
	e.Version, obj.version = version, version
	return obj
}

// Set implements store.Store.
func (v *view) Set(ctx context.Context, key string, e store.Entry) error {
	if err := v.acceptable(key, &e); err != nil {
		return v.fault("set", key, err)
	}
	return v.fault("set", key, v.c.write(ctx, v.operation(key, e)))
}

// Delete implements store.Store.
func (v *view) Delete(ctx context.Context, key string) error {
	return v.fault("delete", key, v.c.Delete(ctx, key))
}

// GetMany implements store.BatchGetter.
func (v *view) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	found := make(map[string]store.Entry, len(keys))
	objs, err := collect(ctx, v.bytes, keys, nil, func(o *object[[]byte], err error) (*object[[]byte], error) { return o, err })
	if err != nil {
		return found, v.fault("get", "", err)
	}
	var be *store.BatchError
	for key, r := range objs {
		switch {
		case r.Err == nil:
			found[key] = entryOf(r.Value)
		case !errors.Is(r.Err, store.ErrNotFound):
			be = be.Add(key, v.fault("get", key, r.Err))
		}
	}
	return found, be.ErrOrNil()
}

// SetMany implements store.BatchSetter.
func (v *view) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	var be *store.BatchError
	ops := make([]*operation, 0, len(entries))
	for key, e := range entries {
		if err := v.acceptable(key, &e); err != nil {
			be = be.Add(key, v.fault("set", key, err))
			continue
		}
		ops = append(ops, v.operation(key, e))
	}
	return v.faults("set", v.c.writeMany(ctx, ops, be))
}

// faults is fault for each error of a batch.
func (v *view) faults(op string, err error) error {
	var be *store.BatchError
	if !errors.As(err, &be) {
		return v.fault(op, "", err)
	}
	for key, kerr := range be.Errs {
		var te *store.Error
		if !errors.As(kerr, &te) {
			be.Errs[key] = v.fault(op, key, kerr)
		}
	}
	return be
}

// DeleteMany implements store.BatchDeleter.
func (v *view) DeleteMany(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return v.c.closedError("delete")
	}
	if len(keys) == 1 {
		if err := v.Delete(ctx, keys[0]); err != nil {
			return (*store.BatchError)(nil).Add(keys[0], err)
		}
		return nil
	}
	return v.faults("delete", v.c.Delete(ctx, keys...))
}

// maxFills is how often a Fill that another write overtook is tried again.
const maxFills = 8

// Fill implements store.Filler. It is one step for this process: a write of the key
// that begins between the comparison and the write makes it compare anew.
func (v *view) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	if err := v.acceptable(key, &e); err != nil {
		return false, v.fault("fill", key, err)
	}
	if e.Expired(time.Now()) {
		return false, nil
	}
	for range maxFills {
		since := v.c.hlc.Next()
		old, err := v.Get(ctx, key)
		if err == nil && !store.Newer(e.Version, old.Version) {
			return false, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		o := v.operation(key, e)
		o.since = since
		if err := v.c.write(ctx, o); !errors.Is(err, errOvertaken) {
			return err == nil, v.fault("fill", key, err)
		}
		k := v.c.locks.ref(key) // a writer may be on his way
		if err := k.lock(ctx); err != nil {
			return false, v.fault("fill", key, err)
		}
		k.unlock()
	}
	return false, nil // writes come faster than this one can look: they are newer
}

// Scan implements store.Scanner.
func (v *view) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return v.c.Scan(ctx, prefix)
}

// Clear implements store.Clearer.
func (v *view) Clear(ctx context.Context) error { return v.fault("clear", "", v.c.Clear(ctx)) }

// Sync implements store.Syncer: it waits until the tiers have every write that was
// acknowledged, and syncs those that buffer.
func (v *view) Sync(ctx context.Context) error {
	if err := v.c.closedError("sync"); err != nil {
		return err
	}
	var errs []error
	for _, t := range v.c.bytes {
		errs = append(errs, t.queue.drain(ctx, false), store.Sync(ctx, t.Store))
	}
	return v.fault("sync", "", errors.Join(errs...))
}

// Stats implements store.Statser: what all tiers together answered.
func (v *view) Stats() store.Stats {
	s := v.c.Stats()
	out := store.Stats{Misses: s.Misses, Corrupt: s.Corrupt, Hits: s.PendingHits}
	for _, t := range s.Tiers {
		out.Hits += t.Hits
		out.Errors += t.Errors
		out.Bytes += t.Store.Bytes
		out.Entries = max(out.Entries, t.Store.Entries)
		out.Sets = max(out.Sets, t.Store.Sets)
		out.Deletes = max(out.Deletes, t.Store.Deletes)
	}
	return out
}

// viewCloseTimeout bounds the draining of a chain that is closed as a store.
const viewCloseTimeout = 30 * time.Second

// Close implements store.Store.
func (v *view) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), viewCloseTimeout)
	defer cancel()
	return v.c.Close(ctx)
}

func (c *Chain) closedError(op string) error {
	if c.closed.Load() {
		return &store.Error{Op: op, Tier: "chain", Err: store.ErrClosed}
	}
	return nil
}
