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
	epoch   atomic.Uint64
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
	t.epoch.Store(first)
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

// Find returns the object of key, or nil. It notes that there was a read in this
// epoch.
func (t *Table) Find(k Key) (obj any) {
	h := t.lookup(k)
	if h == nil {
		return nil
	}
	if epoch := t.epoch.Load(); h.uses.Load()>>1 != epoch {
		if found, _ := h.read(epoch); !found {
			return nil
		}
	}
	return h.Object()
}

// Peek is Find for a look that is no read: nothing is to be reported.
func (t *Table) Peek(k Key) (obj any) {
	h := t.lookup(k)
	if h == nil || !indexed(h.uses.Load()) {
		return nil
	}
	return h.Object()
}

// Claim makes obj one of the table, for k, and returns its header; nil if it is no
// Object, or was claimed before. It is found once it has been Put.
func (t *Table) Claim(k Key, obj any) *Header {
	o, ok := obj.(Object)
	if !ok {
		return nil
	}
	h := o.IndexHeader()
	if h == nil || !h.uses.CompareAndSwap(unused, claimed) || !h.own(obj) {
		return nil
	}
	h.check = k.Check
	return h
}

// Put indexes what was claimed for k, if there is room and it was not withdrawn
// meanwhile. The caller is the only one who writes k, and has withdrawn what was
// there, which had been used so. A write is a use, too, but none that the policy is told
// of: so it counts for the epoch before this one, and the first read does for this one.
func (t *Table) Put(k Key, h *Header, uses uint64) {
	if last := t.epoch.Load() - 1; uses>>1 < last {
		uses = last<<1 | uses&told
	}
	if h.uses.CompareAndSwap(claimed, uses) {
		t.place(k.Hash, h)
	}
}

// Use notes a read of obj that did not go through the table, and of which the policy
// was told. It returns true if it is the first in this epoch, which makes obj worth a
// Restore.
func (t *Table) Use(obj any) (news bool) {
	o, ok := obj.(Object)
	if !ok {
		return false
	}
	h := o.IndexHeader()
	if _, news = h.read(t.epoch.Load()); news {
		h.Untold()
	}
	return news
}

// Restore indexes obj again, which has lost its place. The caller keeps others from
// writing key, and has seen that obj is what key holds.
func (t *Table) Restore(k Key, obj any) {
	if o, ok := obj.(Object); ok && t.lookup(k) == nil {
		t.place(k.Hash, o.IndexHeader())
	}
}

// place puts h into a slot, at the cost of the object that was not read for the longest
// time if none is free.
func (t *Table) place(hash uint64, h *Header) {
	mu := t.lock(hash)
	mu.Lock()
	defer mu.Unlock()
	uses := h.uses.Load()
	if !indexed(uses) {
		return // the engine has dropped it meanwhile, or it is of another table
	}
	b := t.bucket(hash)
	if at := b.place(uses); at >= 0 {
		b.objs[at].Store(h)
		b.retag(at, tag(hash))
	}
}

// place returns the slot for an object of these uses, -1 if there is none. It looks at
// the others only where there is no free slot: each would be a cache line. The caller
// holds the bucket's lock.
func (b *bucket) place(uses uint64) (at int) {
	for i, tags := 0, b.tags.Load(); i < slots; i, tags = i+1, tags>>8 {
		if tags&0xff == 0 {
			return i
		}
	}
	at, least := -1, uses>>1
	for i := range b.objs {
		if n := b.objs[i].Load().uses.Load() >> 1; n < least {
			at, least = i, n
		}
	}
	return at
}

// retag sets the tag of a slot. The caller holds the bucket's lock.
func (b *bucket) retag(at int, tag uint64) {
	shift := at * 8
	b.tags.Store(b.tags.Load()&^(0xff<<shift) | tag<<shift)
}

// fresh is the uses of a key that nobody has read.
const fresh = told

// Withdraw takes what is indexed under k out of the table, for good, and returns its
// header, nil if there is nothing, and how its key was used, for Put. The caller is the
// only one who writes k.
func (t *Table) Withdraw(k Key) (h *Header, uses uint64) {
	if h = t.lookup(k); h == nil {
		return nil, fresh
	}
	if uses = t.withdraw(k.Hash, h); !indexed(uses) { // the engine has dropped it
		uses = fresh
	}
	return h, uses
}

// Drop takes h, whose key has this hash, out of the table for good, or keeps it from
// getting in.
func (t *Table) Drop(hash uint64, h *Header) { t.withdraw(hash, h) }

// Forget is Drop for what is hardly ever there to be dropped.
func (t *Table) Forget(hash uint64, h *Header) {
	if h.uses.Load() != withdrawn {
		t.Drop(hash, h)
	}
}

func (t *Table) withdraw(hash uint64, h *Header) (was uint64) {
	was = h.retire() // before the lock: place looks after it has locked
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
	return was
}

// Clear withdraws everything. Nobody else writes.
func (t *Table) Clear() {
	for i := range t.buckets {
		b := &t.buckets[i]
		b.tags.Store(0)
		for j := range b.objs {
			if h := b.objs[j].Swap(nil); h != nil {
				h.retire()
			}
		}
	}
}

// NextEpoch begins an epoch.
func (t *Table) NextEpoch() { t.epoch.Add(1) }

// Buckets is the number of buckets.
func (t *Table) Buckets() uint64 { return uint64(len(t.buckets)) }

// Look calls f with each object of the bucket of this number, modulo Buckets, and for
// how many epochs it has not been used. It may be called at any time.
func (t *Table) Look(bucket uint64, f func(h *Header, idle uint64)) {
	b, epoch := &t.buckets[bucket&(t.Buckets()-1)], t.epoch.Load()
	if b.tags.Load() == 0 {
		return
	}
	for i := range b.objs {
		h := b.objs[i].Load()
		if h == nil {
			continue
		}
		if uses := h.uses.Load(); indexed(uses) && uses>>1 <= epoch {
			f(h, epoch-uses>>1)
		}
	}
}
