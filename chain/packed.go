package chain

import (
	"github.com/stratacache/strata/store"
)

// This file is for memory tiers that keep values of bytes in packed form, and for
// servers that copy such values to a connection.

// Pack implements store.Packer for objects whose value is bytes.
func (o *object[V]) Pack(p *store.Packed) bool {
	value, ok := any(&o.value).(*[]byte)
	if !ok || o.more != nil {
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
}

var _ Peeker = (*view)(nil)

// Peek implements Peeker.
func (v *view) Peek(key string, buf []byte) (value, newBuf []byte, ok bool) {
	if v.packed != nil {
		var p store.Packed
		if p, buf, ok = v.packed.GetPacked(key, buf); ok {
			if p.Epoch != v.c.epoch.Load() || v.c.now.Passed(p.Hot) {
				return nil, buf, false
			}
			v.c.countMemoryHit()
			if ob := v.c.opts.Observer; ob != nil {
				ob.Hit(v.c.memory.Name, key)
			}
			return p.Value, buf, true
		}
	}
	if o := v.bytes.peek(key); o != nil {
		return o.value, buf, true
	}
	return nil, buf, false
}
