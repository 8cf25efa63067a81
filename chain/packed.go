package chain

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// This file is for memory tiers that keep values of bytes in packed form, and for
// servers that copy such values to a connection.

// Pack implements store.Packer for objects whose value is bytes.
func (o *object[V]) Pack(p *store.Packed) bool {
	value, ok := any(&o.value).(*[]byte)
	if !ok || o.more != nil || o.loaded() {
		return false
	}
	*p = store.Packed{
		Value: *value, Version: o.version, Epoch: o.epoch.Load(),
		Hot: o.hot, Fresh: o.fresh, Expires: o.expires,
	}
	return true
}

// Unpack makes an object of a packed one, for a memory tier that packs.
func Unpack(p *store.Packed) any {
	o := &object[[]byte]{value: p.Value, hot: p.Hot, fresh: p.Fresh, expires: p.Expires, version: p.Version}
	o.cost = unpackedSize + int64(len(p.Value))
	o.epoch.Store(p.Epoch)
	return o
}

const unpackedSize = 80 // of an object[[]byte] itself

// Peeker is what the store of Chain.Store is beside a store.Store.
type Peeker interface {
	// Peek returns the value of key if memory holds one that needs no thought:
	// no deadline, refresh or invalidation is due. The value may have been
	// appended to buf, which is returned; it is read-only, and good until buf is
	// used again. key is not kept. Without a value, ask Get: Peek counts as a read
	// only where it has one.
	Peek(key string, buf []byte) (value, newBuf []byte, ok bool)
	// SetCopy is Set for a key and value that stay the caller's. Where the value
	// goes nowhere but into a memory tier that packs, it allocates nothing.
	SetCopy(ctx context.Context, key string, e store.Entry) error
	// Count returns the number of keys that Scan lists, with less ado where the
	// chain is memory only.
	Count(ctx context.Context) (int64, error)
}

var _ Peeker = (*view)(nil)

// Peek implements Peeker.
func (v *view) Peek(key string, buf []byte) (value, newBuf []byte, ok bool) {
	if v.packed != nil {
		var p store.Packed
		if p, buf, ok = v.packed.GetPacked(key, buf); ok {
			if p.Epoch != v.c.epoch.Load() || !v.c.hitUntil(p.Hot) {
				return nil, buf, false
			}
			if ob := v.c.opts.Observer; ob != nil {
				ob.Hit(v.c.memory.Name, key)
			}
			return p.Value, buf, true
		}
	}
	if o, _ := v.bytes.peek(key); o != nil {
		return o.value, buf, true
	}
	return nil, buf, false
}

// SetCopy implements Peeker.
func (v *view) SetCopy(ctx context.Context, key string, e store.Entry) error {
	if v.packer != nil && v.setPacked(key, &e) {
		return nil
	}
	e.Value = slices.Clone(e.Value)
	return v.Set(ctx, strings.Clone(key), e)
}

// setPacked is writeFree for a plan without any tier but a memory tier that packs:
// the same steps, without an operation to carry from one to the next. It does
// nothing and reports false where there is more to the entry or its rule.
func (v *view) setPacked(key string, e *store.Entry) bool {
	c := v.c
	p := c.plan(key)
	if len(p.tiers) > 0 || !p.memory || p.keys != nil || p.refreshAhead > 0 || p.early > 0 ||
		p.rule != nil && len(p.rule.Tags) > 0 || c.notices != nil || len(e.Tags) > 0 || e.Codec != "" || c.check(key) != nil {
		return false
	}
	now := time.Now().UnixNano()
	l := lifeOf(e)
	if e.Expires.IsZero() && e.Fresh.IsZero() && p.rule != nil {
		l = p.lifeFor(now, 0)
	}
	if l = l.bounded(now, p.memoryTTL); l.expires <= now {
		return false
	}
	packed := store.Packed{Value: e.Value, Epoch: c.epoch.Load(), Hot: l.fresh, Fresh: l.fresh, Expires: l.expires}
	s := c.fences.of(key)
	s.mu.Lock()
	packed.Version = c.hlc.NextAt(now)
	if !v.packer.PutPacked(key, packed) {
		s.mu.Unlock()
		return false
	}
	c.absent.remove(key)
	s.at = max(s.at, c.hlc.Tick())
	end := s.at
	s.mu.Unlock()
	c.flights.forget(key, end)
	return true
}

// Count implements Peeker.
func (v *view) Count(ctx context.Context) (n int64, err error) {
	if v.c.memory != nil && len(v.c.bytes) == 0 {
		if counter, ok := v.c.memory.Store.(store.Counter); ok {
			return counter.Count(), v.c.closedError("count")
		}
	}
	for _, err := range v.c.Scan(ctx, "") {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
