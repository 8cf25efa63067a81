package packstore

import (
	"container/list"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// big is an entry or object that is kept as it is: one beyond the size of the
// log's records, or one that has no packed form.
type big struct {
	key     string
	obj     any // *store.Entry, or an object
	cost    int64
	expires int64
	read    bool
	place   *list.Element
}

// bigOverhead is about what a big costs beside its key and object: itself, its
// place in the list and in the map.
const bigOverhead = 200

func (sh *shard) putBig(key string, obj any, cost, expires int64) {
	b := &big{key: key, obj: obj, cost: cost, expires: expires}
	b.place = sh.bigs.PushBack(b)
	if sh.byKey == nil {
		sh.byKey = make(map[string]*big)
	}
	sh.byKey[key] = b
	sh.bigBytes += cost
	sh.account(cost)
}

func (sh *shard) dropBig(b *big) {
	delete(sh.byKey, b.key)
	sh.bigs.Remove(b.place)
	sh.bigBytes -= b.cost
	sh.account(-b.cost)
}

// evictBig drops the oldest big that was not read since it was last looked at.
func (sh *shard) evictBig() bool {
	now := time.Now().UnixNano()
	for {
		front := sh.bigs.Front()
		if front == nil {
			return false
		}
		b := front.Value.(*big)
		if b.expires != never && now >= b.expires {
			sh.expired++
			sh.dropBig(b)
			return true
		}
		if b.read {
			b.read = false
			sh.bigs.MoveToBack(front)
			continue
		}
		sh.evictions++
		sh.dropBig(b)
		if f := sh.st.told.Load(); f != nil {
			(*f)(b.obj)
		}
		return true
	}
}

// entry returns the entry that b is, if it is one.
func (b *big) entry() *store.Entry {
	e, _ := b.obj.(*store.Entry)
	return e
}

// packEntry returns e in packed form; ok is false where it has more to it.
func packEntry(e *store.Entry, p *store.Packed) (ok bool) {
	if len(e.Tags) > 0 || e.Codec != "" {
		return false
	}
	*p = store.Packed{Value: e.Value, Version: e.Version, Expires: clock.Nanos(e.Expires)}
	p.Fresh = p.Expires
	if !e.Fresh.IsZero() {
		p.Fresh = clock.Nanos(e.Fresh)
	}
	p.Hot = p.Expires
	return true
}

// unpackEntry is the inverse of packEntry.
func unpackEntry(p *store.Packed) store.Entry {
	e := store.Entry{Value: p.Value, Version: p.Version, Expires: clock.FromNanos(p.Expires)}
	if p.Fresh != p.Expires {
		e.Fresh = clock.FromNanos(p.Fresh)
	}
	return e
}
