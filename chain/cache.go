package chain

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// Cache is a chain seen as a cache of values of type V. Make it with NewCache.
// Several caches, of the same or of other types, may share a chain. It is safe
// for concurrent use.
//
// Values are shared with everybody who reads the same key: they must not be
// modified, unless CacheOptions.Clone is set.
type Cache[V any] struct {
	chain   *Chain
	objects store.Objects // the chain's memory tier; nil without one
	opts    CacheOptions[V]
	typ     reflect.Type
	size    int64     // of an object[V] itself
	flat    bool      // V refers to nothing, and says nothing of its size
	stocks  sync.Pool // of *stock[V], for batches
	codecs  sync.Map  // *plan, or codec name ("" for the default) -> *codecOf[V]
}

// CacheOptions configure a Cache. The zero value, and a nil pointer, mean the
// defaults.
type CacheOptions[V any] struct {
	// Codec encodes values for the tiers that hold bytes. Nil takes the codec
	// that the key's rule names, else the default of the type; see marshal.For.
	Codec marshal.Codec[V]
	// Clone copies a value on its way in and out, for callers that modify what
	// they get or what they have set. Nil shares values.
	Clone func(V) V
	// Size returns the bytes that a value takes in memory. Nil measures it by
	// its encoding, its Size method, or reflection.
	Size func(V) int64
}

// NewCache returns a view of c as a cache of V. A nil opts takes the defaults. A
// codec that cannot encode V is reported by the first call that needs it.
func NewCache[V any](c *Chain, opts *CacheOptions[V]) *Cache[V] {
	t := &Cache[V]{chain: c, typ: reflect.TypeFor[V]()}
	if opts != nil {
		t.opts = *opts
	}
	if c.memory != nil {
		t.objects = c.memory.objects
	}
	t.size = int64(reflect.TypeFor[object[V]]().Size())
	var v V
	_, says := any(v).(Sizer)
	t.flat = flat(t.typ, 0) && !says
	return t
}

// Chain returns the chain that c is a view of.
func (c *Cache[V]) Chain() *Chain { return c.chain }

// WriteOptions change one write. The zero value takes what the key's rule says.
type WriteOptions struct {
	// TTL replaces the rule's; a negative one means that the value never
	// expires. Tiers keep their own bounds.
	TTL time.Duration
	// Tags are added to the rule's.
	Tags []string
}

// Get returns the value of key, or an error for which errors.Is(err,
// store.ErrNotFound) holds if no tier has it. Any other error says that a tier
// which might have it could not answer.
//
// A value past its soft deadline is returned within the rule's
// stale_while_revalidate window.
func (c *Cache[V]) Get(ctx context.Context, key string) (V, error) {
	o, held := c.peek(key)
	if o != nil {
		return c.give(o), nil
	}
	return c.value(c.miss(ctx, key, held, nil))
}

// GetOrLoad returns the value of key, and calls load where no tier has it.
// Concurrent calls for one key share one load. The load runs with a context of
// its own, which has the values of the first caller's and ends with the rule's
// hard timeout: a caller whose context ends leaves alone. An error of load is
// returned as it is; store.ErrNotFound from load means that the key does not
// exist, and is remembered for the rule's negative_ttl. A panic of load is an
// error of type *PanicError.
func (c *Cache[V]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error)) (V, error) {
	o, held := c.peek(key)
	if o != nil {
		return c.give(o), nil
	}
	return c.value(c.miss(ctx, key, held, func(ctx context.Context, r Request[V]) (Loaded[V], error) {
		v, err := load(ctx, r.Key)
		return Loaded[V]{Value: v}, err
	}))
}

// Fetch is GetOrLoad for loads that say more: their own TTL and tags, or that the
// value which the cache still holds has not been modified.
func (c *Cache[V]) Fetch(ctx context.Context, key string, load func(ctx context.Context, r Request[V]) (Loaded[V], error)) (V, error) {
	o, held := c.peek(key)
	if o != nil {
		return c.give(o), nil
	}
	return c.value(c.miss(ctx, key, held, load))
}

// Request is what a Fetch asks its loader for.
type Request[V any] struct {
	Key string
	// Stale is the value that the cache still holds past its soft deadline, for
	// a conditional load; HasStale is false without one.
	Stale    V
	HasStale bool
	// Written is when the stale value was written or loaded.
	Written time.Time
}

// Loaded is what a loader found.
type Loaded[V any] struct {
	Value V
	// NotModified renews the deadlines of Request.Stale; Value is ignored.
	NotModified bool
	WriteOptions
}

// Set stores v under key in every tier that the key's rule names. When it
// returns nil, every later Get in this process sees v or something newer. At most
// one WriteOptions may be given.
func (c *Cache[V]) Set(ctx context.Context, key string, v V, opts ...WriteOptions) error {
	if err := c.chain.check(key); err != nil {
		return err
	}
	var o operation
	if err := c.prepare(&o, key, v, opts); err != nil {
		return err
	}
	if o.plan.free() && ctx.Err() == nil {
		return c.chain.writeFree(ctx, &o) // o stays on the stack
	}
	shared := o
	return c.chain.write(ctx, &shared)
}

// operation is prepare for operations that are handed on.
func (c *Cache[V]) operation(key string, v V, opts []WriteOptions) (*operation, error) {
	o := new(operation)
	return o, c.prepare(o, key, v, opts)
}

// prepare makes o the write of v.
func (c *Cache[V]) prepare(o *operation, key string, v V, opts []WriteOptions) error {
	var w WriteOptions
	switch len(opts) {
	case 0:
	case 1:
		w = opts[0]
	default:
		return errors.New("strata: Set takes at most one WriteOptions")
	}
	p := c.chain.plan(key)
	if c.opts.Clone != nil {
		v = c.opts.Clone(v)
	}
	now := time.Now().UnixNano()
	l := p.lifeFor(now, w.TTL)
	tags := p.tagsFor(key, w.Tags)
	o.key, o.plan, o.at = key, p, now
	if o.lazy, o.room = c.lazily(p, v); o.lazy != nil {
		o.entry.Codec = o.lazy.(*codecOf[V]).name
	} else if len(p.tiers) > 0 {
		var err error
		if o.entry, err = c.encode(p, key, v); err != nil {
			return err
		}
	}
	l.apply(&o.entry)
	o.entry.Tags = tags
	if p.memory {
		o.obj = c.object(p, v, l, now, &o.entry, 0, c.chain.epoch.Load())
	}
	return nil
}

// tagsFor returns the rule's tags for key and those given.
func (p *plan) tagsFor(key string, more []string) []string {
	if p.rule == nil || len(p.rule.Tags) == 0 {
		return more
	}
	return p.rule.AppendTags(append([]string(nil), more...), key)
}

// object wraps v for memory, with the deadlines that this tier may give it. The
// epoch is one that was read before the version was drawn or the entry found
// valid.
func (c *Cache[V]) object(p *plan, v V, l life, now int64, e *store.Entry, load time.Duration, epoch uint64) *object[V] {
	whole := l
	l = l.bounded(now, p.memoryTTL)
	o := &object[V]{value: v, fresh: l.fresh, expires: l.expires, version: e.Version}
	if p.early == 0 {
		load = 0 // nobody asks, and most objects are loaded: they need no second allocation
	}
	if raw := c.opts.Codec != nil && c.opts.Codec.Name() == anyCodec; len(e.Tags) > 0 || load > 0 || raw && e.Codec != "" {
		o.more = &objectMore{tags: e.Tags, loadTime: load}
		if raw {
			o.more.codec = e.Codec
		}
	}
	born := now
	if e.Version != 0 {
		born = p.born(whole, e.Version)
	}
	o.hot = min(l.fresh, p.hotUntil(whole, born, load))
	if whole.fresh != l.fresh && (p.refreshAhead > 0 || p.early > 0) {
		if o.more == nil {
			o.more = &objectMore{}
		}
		o.more.soft = whole.fresh
	}
	o.epoch.Store(epoch)
	switch {
	case c.opts.Size != nil:
		o.cost = c.size + max(c.opts.Size(v), 0)
	case c.flat:
		o.cost = c.size
	case len(e.Value) > 0:
		o.cost = c.size + int64(len(e.Value))
	default:
		o.cost = c.size + sizeOf(&o.value)
	}
	return o
}

// Delete removes keys from every tier. When it returns nil, no Get in this
// process sees an older value, whatever loads and fills are under way. It
// carries on past failures and returns them all as a *store.BatchError; for a
// single key it returns that key's error.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	return c.chain.Delete(ctx, keys...)
}

// Delete removes keys; see Cache.Delete.
func (c *Chain) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 1 {
		if err := c.check(keys[0]); err != nil {
			return err
		}
		return c.write(ctx, c.deletion(keys[0]))
	}
	var be *store.BatchError
	ops := make([]*operation, 0, len(keys))
	for _, key := range keys {
		if err := c.check(key); err != nil {
			be = be.Add(key, err)
			continue
		}
		ops = append(ops, c.deletion(key))
	}
	return c.writeMany(ctx, ops, be)
}

func (c *Chain) deletion(key string) *operation {
	return &operation{key: key, plan: c.deletePlan(key), deleted: true, at: time.Now().UnixNano()}
}

// deletePlan returns the plan of key widened to every tier, for a key may lie in
// a tier that its rule no longer names.
func (c *Chain) deletePlan(key string) *plan {
	p := c.plan(key)
	if len(p.tiers) == len(c.bytes) {
		return p
	}
	wide := *p
	wide.tiers = nil
	for _, t := range c.bytes {
		mode := policy.WriteThrough
		if len(p.tiers) > 0 && p.backOnly() {
			mode = policy.WriteBack
		}
		for _, own := range p.tiers {
			if own.tier == t {
				mode = own.mode
			}
		}
		wide.tiers = append(wide.tiers, placed{tier: t, at: len(wide.tiers), mode: mode})
	}
	return &wide
}

// give hands out the value of an object.
func (c *Cache[V]) give(o *object[V]) V {
	if c.opts.Clone != nil {
		return c.opts.Clone(o.value)
	}
	return o.value
}

// value is give with an error passed through.
func (c *Cache[V]) value(o *object[V], err error) (V, error) {
	if err != nil {
		var zero V
		return zero, err
	}
	return c.give(o), nil
}

// peek returns the object of key if memory holds one that needs no thought. It
// is the whole way of a memory hit: no allocation, no lock of ours, no channel,
// no policy, no clock but the coarse one. held says that memory holds something.
func (c *Cache[V]) peek(key string) (o *object[V], held bool) {
	if c.objects == nil {
		return nil, false
	}
	x, held := c.objects.GetObject(key)
	if !held {
		return nil, false
	}
	o, ok := x.(*object[V])
	if !ok || !c.hot(key, o) {
		return nil, true
	}
	return o, true
}

// hot reports whether o, which memory holds under key, needs no thought, and counts
// the hit then.
func (c *Cache[V]) hot(key string, o *object[V]) bool {
	if o.epoch.Load() != c.chain.epoch.Load() || !c.chain.hitUntil(o.hot) {
		return false
	}
	if ob := c.chain.opts.Observer; ob != nil {
		ob.Hit(c.chain.memory.Name, key)
	}
	return true
}
