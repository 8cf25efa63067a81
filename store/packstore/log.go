package packstore

import (
	"hash/maphash"
	"time"
)

// segment is a part of the log.
type segment struct {
	buf  []byte // nil: the number is free
	end  int    // bytes written
	live int    // bytes of records that a slot points at
}

func (sh *shard) at(s slot) record {
	return record(sh.segs[s.segment()].buf[s.offset():])
}

func (sh *shard) hashOf(s slot) uint64 { return maphash.Bytes(sh.st.seed, sh.at(s).key()) }

// account notes n bytes more in use, of the shard and the store.
func (sh *shard) account(n int64) {
	sh.bytes += n
	sh.st.bytes.Add(n)
}

// reserve returns room for n bytes at the end of the log.
func (sh *shard) reserve(n int) (seg, off int) {
	if len(sh.order) == 0 || sh.segs[sh.newest()].end+n > sh.st.segSize {
		sh.begin()
	}
	seg = sh.newest()
	s := &sh.segs[seg]
	off = s.end
	s.end += n
	s.live += n
	sh.live += int64(n)
	return seg, off
}

func (sh *shard) newest() int { return sh.order[len(sh.order)-1] }

// begin starts a segment.
func (sh *shard) begin() {
	buf := sh.spare
	if sh.spare = nil; buf == nil {
		buf = make([]byte, sh.st.segSize)
		sh.account(int64(sh.st.segSize))
	}
	seg := len(sh.segs)
	if n := len(sh.free); n > 0 {
		seg, sh.free = sh.free[n-1], sh.free[:n-1]
	} else {
		sh.segs = append(sh.segs, segment{})
	}
	sh.segs[seg] = segment{buf: buf}
	sh.order = append(sh.order, seg)
}

// dead notes that nothing points at the record any more.
func (sh *shard) dead(s slot, size int) {
	sh.segs[s.segment()].live -= size
	sh.live -= int64(size)
}

// tidy rewrites a segment where a good part of the log is garbage, which is the
// price of overwriting and deleting. It does at most one, so that no write waits
// long.
func (sh *shard) tidy() {
	n := len(sh.order)
	if n < 4 || int64(n)*int64(sh.st.segSize) < sh.live*4/3+2*int64(sh.st.segSize) {
		return
	}
	worst := 0
	for i, seg := range sh.order[:n-1] {
		if sh.segs[seg].live < sh.segs[sh.order[worst]].live {
			worst = i
		}
	}
	sh.clean(worst, false)
}

// clean frees the i-th oldest segment: what is live in it moves to the end of the
// log, or, with evict set, only what was read since it came there. It reports
// whether anything was evicted.
func (sh *shard) clean(i int, evict bool) (evicted bool) {
	seg := sh.order[i]
	sh.order = append(sh.order[:i], sh.order[i+1:]...)
	now := time.Now().UnixNano()
	old := sh.segs[seg]
	for off := 0; off < old.end && sh.segs[seg].live > 0; {
		r := record(old.buf[off:])
		size := r.size()
		hash := maphash.Bytes(sh.st.seed, r.key())
		at := sh.findPlace(hash, makeSlot(hash, seg, off))
		off += size
		if at < 0 {
			continue
		}
		s := sh.table[at]
		sh.dead(s, size)
		switch {
		case r.expired(now):
			sh.erase(at)
			sh.expired++
		case evict && s&wasRead == 0:
			sh.erase(at)
			sh.evictions++
			sh.st.evicted(r)
			evicted = true
		default:
			to, toOff := sh.reserve(size)
			copy(sh.segs[to].buf[toOff:], old.buf[off-size:off])
			sh.table[at] = makeSlot(hash, to, toOff)
		}
	}
	sh.segs[seg] = segment{}
	sh.free = append(sh.free, seg)
	if sh.spare == nil && !evict {
		sh.spare = old.buf
	} else {
		sh.account(-int64(sh.st.segSize))
	}
	return evicted
}

// evict frees memory, and reports whether there was anything to free: the oldest
// of the two kinds of entries, by their share of the bytes.
func (sh *shard) evict() bool {
	if sh.spare != nil {
		sh.spare = nil
		sh.account(-int64(sh.st.segSize))
		return true
	}
	if sh.bigBytes > int64(len(sh.order))*int64(sh.st.segSize) {
		return sh.evictBig()
	}
	if len(sh.order) == 0 {
		return sh.evictBig()
	}
	before := sh.bytes
	sh.clean(0, true)
	return sh.bytes < before || sh.n > 0
}
