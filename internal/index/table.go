package index

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// slots is how many objects a bucket holds.
const slots = 7

// bucket is a cache line.
type bucket struct {
	tags atomic.Uint64 // a byte for each slot; 0: free
	objs [slots]atomic.Pointer[Header]
}

// BucketSize is the bytes of a bucket, which holds up to seven objects.
const BucketSize = 64

// Table is the index. Create it with New. Finding is safe for concurrent use; for
// the rest, see each method.
type Table struct {
	buckets []bucket
	shift   uint
	seeds   [2]maphash.Seed
	full    atomic.Uint64 // the Header.uses of what has been read often in this period
	locks   [64]sync.Mutex
}

// New makes a table of n buckets, rounded up to a power of two.
func New(n int64) *Table {
	log := uint(bits.Len64(uint64(max(n, 2) - 1)))
	t := &Table{
		buckets: make([]bucket, 1<<log),
		shift:   64 - log,
		seeds:   [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
	t.full.Store(first | Often)
	return t
}

// Size is the bytes of the table.
func (t *Table) Size() int64 { return int64(len(t.buckets)) * BucketSize }

// Hashes returns two independent hashes of a key, of seeds that no other table has.
// The first says where the key lies.
func (t *Table) Hashes(key string) (hash, check uint64) {
	return maphash.String(t.seeds[0], key), maphash.String(t.seeds[1], key)
}

// Key is a key as a Table knows it: by its hashes.
type Key struct{ Hash, Check uint64 }

// Key returns the hashes of key.
func (t *Table) Key(key string) Key {
	hash, check := t.Hashes(key)
	return Key{hash, check}
}

func (t *Table) bucket(hash uint64) *bucket { return &t.buckets[hash>>(t.shift&63)] }

func (t *Table) lock(hash uint64) *sync.Mutex { return &t.locks[hash>>t.shift%uint64(len(t.locks))] }

const ones = 0x0101_0101_0101_0101

// tag is a byte of hash that is not 0 and not part of the bucket's number.
func tag(hash uint64) uint64 { return hash&0xff | 1 }

// candidates has bit 7 of the bytes that may equal tag, of which the highest byte
// is none.
func candidates(tags, tag uint64) uint64 {
	x := tags ^ tag*ones
	return (x - ones) & ^x & 0x0080_8080_8080_8080
}

// lookup returns the header of key, withdrawn or not.
func (t *Table) lookup(k Key) *Header {
	b := t.bucket(k.Hash)
	for m := candidates(b.tags.Load(), tag(k.Hash)); m != 0; m &= m - 1 {
		h := b.objs[bits.TrailingZeros64(m)>>3%slots].Load()
		if h != nil && h.check == k.Check {
			return h
		}
	}
	return nil
}

// Find returns the object of key, or nil. The read has to be reported to the
// policy unless known.
func (t *Table) Find(k Key) (obj any, known bool) {
	h := t.lookup(k)
	if h == nil {
		return nil, false
	}
	if full := t.full.Load(); h.uses.Load() != full {
		if found, _ := h.use(full >> usesBits); !found {
			return nil, false
		}
		return h.self, false
	}
	return h.self, true
}

// Peek is Find for a look that is no read: nothing is to be reported.
func (t *Table) Peek(k Key) (obj any) {
	h := t.lookup(k)
	if h == nil {
		return nil
	}
	if uses := h.uses.Load(); uses <= claimed || uses >= last {
		return nil
	}
	return h.self
}

// Put indexes obj under k if it is an Object that was in no table before, and
// there is room. The caller is the only one who writes k, and has withdrawn what
// was there. It returns the object's header if it was in no table before: what that
// says of the engine is then so.
func (t *Table) Put(k Key, obj any) *Header {
	o, ok := obj.(Object)
	if !ok {
		return nil
	}
	h := o.IndexHeader()
	if !h.uses.CompareAndSwap(unused, claimed) {
		return nil
	}
	h.check, h.self = k.Check, obj
	if h.uses.CompareAndSwap(claimed, t.full.Load()&^usesMask) {
		t.place(k.Hash, h)
	}
	return h
}

// Use counts a read of obj that did not go through the table, and was reported. It
// returns true if obj has just been read often enough to be worth a Restore.
func (t *Table) Use(obj any) (often bool) {
	o, ok := obj.(Object)
	if !ok {
		return false
	}
	found, n := o.IndexHeader().use(t.full.Load() >> usesBits)
	return found && n == Often
}

// Restore indexes obj again, which has lost its place. The caller keeps others from
// writing key, and has seen that obj is what key holds.
func (t *Table) Restore(k Key, obj any) {
	if o, ok := obj.(Object); ok && t.lookup(k) == nil {
		t.place(k.Hash, o.IndexHeader())
	}
}

// place puts h into a slot, at the cost of an object that was read less if none is
// free.
func (t *Table) place(hash uint64, h *Header) {
	mu := t.lock(hash)
	mu.Lock()
	defer mu.Unlock()
	uses := h.uses.Load()
	if uses <= claimed || uses >= last {
		return // the engine has dropped it meanwhile, or it is of another table
	}
	b, period := t.bucket(hash), t.full.Load()>>usesBits
	at, least := -1, count(uses, period)
	for i := range b.objs {
		o := b.objs[i].Load()
		if o == nil {
			at = i
			break
		}
		if n := count(o.uses.Load(), period); n < least {
			at, least = i, n
		}
	}
	if at >= 0 {
		b.objs[at].Store(h)
		b.retag(at, tag(hash))
	}
}

// retag sets the tag of a slot. The caller holds the bucket's lock.
func (b *bucket) retag(at int, tag uint64) {
	shift := at * 8
	b.tags.Store(b.tags.Load()&^(0xff<<shift) | tag<<shift)
}

// Withdraw takes what is indexed under k out of the table, for good, and returns its
// header, nil if there is nothing. The caller is the only one who writes k.
func (t *Table) Withdraw(k Key) *Header {
	h := t.lookup(k)
	if h != nil {
		t.withdraw(k.Hash, h, withdrawn)
	}
	return h
}

// DropObject takes obj, whose key has this hash, out of the table for good, or keeps
// it from getting in: the engine has dropped it.
func (t *Table) DropObject(hash uint64, obj any) {
	if o, ok := obj.(Object); ok {
		t.withdraw(hash, o.IndexHeader(), dropped)
	}
}

func (t *Table) withdraw(hash uint64, h *Header, state uint64) {
	h.retire(state) // before the lock: place looks after it has locked
	mu := t.lock(hash)
	mu.Lock()
	defer mu.Unlock()
	b := t.bucket(hash)
	for i := range b.objs {
		if b.objs[i].Load() == h {
			b.retag(i, 0)
			b.objs[i].Store(nil)
		}
	}
}

// Clear withdraws everything. Nobody else writes.
func (t *Table) Clear() {
	for i := range t.buckets {
		b := &t.buckets[i]
		b.tags.Store(0)
		for j := range b.objs {
			if h := b.objs[j].Swap(nil); h != nil {
				h.retire(withdrawn)
			}
		}
	}
}

// NextPeriod begins a period: the policy has halved its counters.
func (t *Table) NextPeriod() { t.full.Add(1 << usesBits) }
