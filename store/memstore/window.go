package memstore

import (
	"sync"
)

// The window has at most maxShards shards of maxShardItems slots. Between two
// waits a shard sends the engine fewer than three items per slot, so that the
// engine's queue of 32,768, which drops what does not fit, never fills.
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
	free  *slot // slots to use again

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
	obj        any
	cost       int64
	large      bool
	prev, next *slot
}

// get looks key up in the window. The caller holds mu or rw.
func (sh *shard) get(key string) (any, bool) {
	if sl := sh.slots[key]; sl != nil {
		return sl.obj, true
	}
	return nil, false
}

// put makes obj the newest entry of the window.
func (sh *shard) put(key string, obj any, cost int64, large bool) {
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
	*sl = slot{key: key, obj: obj, cost: cost, large: large, prev: sh.newest}
	if sh.newest != nil {
		sh.newest.next = sl
	} else {
		sh.oldest = sl
	}
	sh.newest = sl
	sh.bytes += cost
}

// drop removes a slot from the window.
func (sh *shard) drop(sl *slot) {
	sh.unlink(sl)
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
	sh.oldest, sh.newest, sh.free = nil, nil, nil
	sh.bytes, sh.sent, sh.sentBytes = 0, 0, 0
}

// full reports whether it is time to hand over.
func (sh *shard) full() bool {
	return len(sh.slots) >= sh.maxItems || sh.sent >= sh.maxItems || sh.sentBytes > sh.maxBytes ||
		sh.bytes > sh.maxBytes && sh.oldest != sh.newest
}

// excess returns the oldest slots, of which the window has too many: it keeps a
// quarter, and always the newest, which its writer may be about to read.
func (sh *shard) excess() []*slot {
	var out []*slot
	n, bytes := len(sh.slots), sh.bytes
	for sl := sh.oldest; sl != sh.newest && (n > sh.maxItems/4 || bytes > sh.maxBytes/4); sl = sl.next {
		out = append(out, sl)
		n--
		bytes -= sl.cost
	}
	return out
}
