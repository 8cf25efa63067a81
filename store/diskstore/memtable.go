package diskstore

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// memtable holds the entries of the journal that are not yet sealed. It is
// sharded by the key's hash.
type memtable struct {
	shards [memShards]memShard
	bytes  atomic.Int64 // appended to the journal for it
	count  atomic.Int64 // keys
	live   atomic.Int64 // keys that are not tombstones
	first  uint64       // sequence of its first journal record, or less
	end    uint64       // of the first record after it; set when it is frozen
}

const memShards = 64

type memShard struct {
	mu sync.RWMutex
	m  map[string]*memEntry
	_  [96]byte
}

// memEntry is an entry in memory. It is never modified.
type memEntry struct {
	hash           segment.Hash
	kind           segment.Kind
	value          []byte
	expires, fresh int64 // microseconds
	written        int64
	version        uint64
	codec          string
	tags           []string
}

// live is 1 for an entry that is no tombstone, as a number to add up.
func (e *memEntry) live() int64 {
	if e == nil || e.kind == segment.KindDeleted {
		return 0
	}
	return 1
}

func newMemtable(first uint64) *memtable { return &memtable{first: first} }

func (m *memtable) shard(h segment.Hash) *memShard { return &m.shards[h.Lo%memShards] }

func (m *memtable) get(h segment.Hash, key string) *memEntry {
	if m.count.Load() == 0 {
		return nil
	}
	s := m.shard(h)
	s.mu.RLock()
	e := s.m[key]
	s.mu.RUnlock()
	return e
}

func (m *memtable) put(key string, e *memEntry) {
	s := m.shard(e.hash)
	s.mu.Lock()
	if s.m == nil {
		s.m = make(map[string]*memEntry)
	}
	old := s.m[key]
	s.m[key] = e
	s.mu.Unlock()
	if old == nil {
		m.count.Add(1)
	}
	m.live.Add(e.live() - old.live())
}

// memRow is an entry with its key.
type memRow struct {
	key string
	*memEntry
}

// rows returns all entries, sorted by hash.
func (m *memtable) rows() []memRow {
	rows := make([]memRow, 0, m.count.Load())
	m.each(func(key string, e *memEntry) { rows = append(rows, memRow{key, e}) })
	slices.SortFunc(rows, func(a, b memRow) int { return a.hash.Compare(b.hash) })
	return rows
}

// each calls fn for all entries, a shard at a time.
func (m *memtable) each(fn func(key string, e *memEntry)) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for key, e := range s.m {
			fn(key, e)
		}
		s.mu.RUnlock()
	}
}

// entry returns what a reader gets: the value is shared.
func (e *memEntry) entry() store.Entry {
	out := store.Entry{Value: e.value, Version: e.version, Codec: e.codec, Tags: e.tags}
	setTimes(&out, e.expires, e.fresh)
	return out
}

// setTimes fills in the deadlines. A soft deadline equal to the hard one is the
// zero time, as the entry says it.
func setTimes(e *store.Entry, expires, fresh int64) {
	if expires < journal.Never {
		e.Expires = journal.FromMicros(expires)
	}
	if fresh != expires && fresh < journal.Never {
		e.Fresh = journal.FromMicros(fresh)
	}
}

func newMemEntry(h segment.Hash, e *store.Entry, written int64) *memEntry {
	return &memEntry{
		hash: h, value: e.Value, expires: journal.Micros(e.Expires), fresh: journal.Micros(e.FreshUntil()),
		written: written, version: e.Version, codec: e.Codec, tags: e.Tags,
	}
}
