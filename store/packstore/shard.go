package packstore

import (
	"container/list"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// shard is a part of the keys, with a table and a log of its own.
type shard struct {
	mu    sync.Mutex // guards all of it
	st    *Store
	table []slot // open addressing, a power of two
	n     int    // slots in use
	sweep int    // next slot to look at for expiry

	segs  []segment
	order []int // numbers of the segments in use, oldest first
	free  []int // numbers that are free
	spare []byte
	live  int64 // bytes of records that a slot points at

	byKey    map[string]*big
	bigs     list.List // of *big, oldest first
	bigBytes int64

	bytes                              int64 // of everything
	hits, misses                       uint64
	sets, deletes, evictions, rejected uint64
	expired                            uint64
	_                                  [64]byte
}

// reset makes the shard empty.
func (sh *shard) reset() {
	sh.account(-sh.bytes)
	sh.table, sh.n, sh.sweep = make([]slot, minTable), 0, 0
	sh.segs, sh.order, sh.free, sh.spare, sh.live = nil, nil, nil, nil, 0
	sh.byKey, sh.bigBytes = nil, 0
	sh.bigs.Init()
	sh.account(minTable * 8)
}

// get returns the record of key, marked as read, or its big.
func (sh *shard) get(hash uint64, key string) (record, *big) {
	if i := sh.find(hash, key); i >= 0 {
		sh.table[i] |= wasRead
		return sh.at(sh.table[i]), nil
	}
	if b := sh.byKey[key]; b != nil {
		b.read = true
		return nil, b
	}
	return nil, nil
}

// remove drops key in whatever form.
func (sh *shard) remove(hash uint64, key string) {
	if i := sh.find(hash, key); i >= 0 {
		s := sh.table[i]
		sh.dead(s, sh.at(s).size())
		sh.erase(i)
		return
	}
	if b := sh.byKey[key]; b != nil {
		sh.dropBig(b)
	}
}

// put stores p's record.
func (sh *shard) put(hash uint64, key string, p *store.Packed, size int, flags byte) {
	i := sh.find(hash, key)
	if i >= 0 {
		s := sh.table[i]
		if r := sh.at(s); r.size() == size {
			r[:size].write(key, p, flags)
			return
		}
		sh.dead(s, sh.at(s).size())
		seg, off := sh.reserve(size)
		sh.at(makeSlot(hash, seg, off))[:size].write(key, p, flags)
		sh.table[i] = makeSlot(hash, seg, off) | s&wasRead
	} else {
		if b := sh.byKey[key]; b != nil {
			sh.dropBig(b)
		}
		seg, off := sh.reserve(size)
		sh.at(makeSlot(hash, seg, off))[:size].write(key, p, flags)
		sh.insert(hash, makeSlot(hash, seg, off))
	}
	sh.tidy()
}

// sweepStep looks at a few slots for entries that have expired, so that a store
// that is written to forgets them without being asked.
func (sh *shard) sweepStep(n int, now int64) {
	for n > 0 {
		if sh.sweep >= len(sh.table) {
			sh.sweep = 0
		}
		s := sh.table[sh.sweep]
		if s == 0 || !sh.at(s).expired(now) {
			sh.sweep++
			n--
			continue
		}
		sh.dead(s, sh.at(s).size())
		sh.erase(sh.sweep) // another may have moved here
		sh.expired++
	}
}

// Sweep removes what has expired.
func (s *Store) Sweep() {
	now := time.Now().UnixNano()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.sweepStep(len(sh.table), now)
		for e := sh.bigs.Front(); e != nil; {
			b := e.Value.(*big)
			e = e.Next()
			if b.expires != never && now >= b.expires {
				sh.expired++
				sh.dropBig(b)
			}
		}
		sh.tidy()
		sh.mu.Unlock()
	}
}
