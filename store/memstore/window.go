package memstore

import (
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/internal/index"
)

// The window has at most maxShards shards of maxShardItems slots. Between two
// waits a shard sends the engine fewer than three items per slot, removals of idle
// entries included, so that the engine's queue of 32,768, which drops what does not
// fit, never fills.
const (
	maxShards     = 16
	maxShardItems = 256
)

// shard is one part of the window of recent writes, and the lock that orders the
// writes of its keys.
type shard struct {
	mu sync.Mutex // held by a writer from beginning to end, hand-over included
	// The rest is written with mu and rw held; rw is for readers, and is never
	// held across a wait.
	rw    sync.RWMutex
	slots map[string]*slot
	oldest,
	newest *slot
	bytes int64
	free  *slot         // slots to use again
	left  atomic.Uint64 // slots that have left the window

	// flight are the slots whose entries were sent to the engine and not yet
	// waited for. They stay in the window meanwhile; see handOver.
	flight      []*slot
	flightBytes int64

	// What the engine was sent since the last wait: items, and bytes of updates.
	sent      int
	sentBytes int64

	maxItems int
	maxBytes int64
	_        [64]byte
}

// slot is an entry of the window, in a list by age of its last write.
type slot struct {
	key        string
	hash       uint64 // of key
	obj        any
	cost       int64
	large      bool          // its cost is taken from the engine's budget
	header     *index.Header // of obj; where the engine was given it, it has a cell
	flying     bool          // in shard.flight
	prev, next *slot
}

// get looks key up in the window, and returns nil if it is not there. The caller holds
// mu or rw.
func (sh *shard) get(key string) (obj any) {
	if sl := sh.slots[key]; sl != nil {
		return sl.obj
	}
	return nil
}

// put makes h's object the newest entry of the window.
func (sh *shard) put(key string, hash uint64, h *index.Header, cost int64) *slot {
	sl := sh.slots[key]
	if sl != nil {
		sh.unlink(sl)
	} else {
		if sl = sh.free; sl != nil {
			sh.free = sl.next
		} else {
			sl = new(slot)
		}
		sh.slots[key] = sl
	}
	*sl = slot{key: key, hash: hash, obj: h.Object(), header: h, cost: cost, prev: sh.newest}
	if sh.newest != nil {
		sh.newest.next = sl
	} else {
		sh.oldest = sl
	}
	sh.newest = sl
	sh.bytes += cost
	return sl
}

// drop removes a slot from the window.
func (sh *shard) drop(sl *slot) {
	sh.unlink(sl)
	sh.left.Add(1)
	delete(sh.slots, sl.key)
	*sl = slot{next: sh.free}
	sh.free = sl
}

func (sh *shard) unlink(sl *slot) {
	if sl.prev != nil {
		sl.prev.next = sl.next
	} else {
		sh.oldest = sl.next
	}
	if sl.next != nil {
		sl.next.prev = sl.prev
	} else {
		sh.newest = sl.prev
	}
	sh.bytes -= sl.cost
}

// clear empties the window.
func (sh *shard) clear() {
	clear(sh.slots)
	sh.oldest, sh.newest, sh.free, sh.flight = nil, nil, nil, nil
	sh.bytes, sh.flightBytes, sh.sent, sh.sentBytes = 0, 0, 0, 0
}

// full reports whether it is time to hand over: one half of the window is for
// entries in flight, the other for those that come meanwhile.
func (sh *shard) full() bool {
	return len(sh.slots)-len(sh.flight) >= sh.maxItems/2 || sh.sent >= sh.maxItems || sh.sentBytes > sh.maxBytes ||
		sh.bytes-sh.flightBytes > sh.maxBytes/2 && sh.oldest != sh.newest
}

// takeOff marks the oldest entries, of which there are too many, as in flight. An
// eighth of the window stays, and always the newest entry, which its writer may
// be about to read. None is in flight before.
func (sh *shard) takeOff() {
	n, bytes := len(sh.slots), sh.bytes
	for sl := sh.oldest; sl != sh.newest && (n > sh.maxItems/8 || bytes > sh.maxBytes/8); sl = sl.next {
		sh.fly(sl)
		n--
		bytes -= sl.cost
	}
}

func (sh *shard) fly(sl *slot) {
	sl.flying = true
	sh.flight = append(sh.flight, sl)
	sh.flightBytes += sl.cost
}
