package table

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// mapping is the content of one file as it was when it was opened. It is
// released by the last of those who hold it.
type mapping struct {
	rel  string
	data []byte
	sum  Sum
	refs atomic.Int32
	file *vfs.Mapping
	elem *list.Element // in cache.lru; nil once dropped
}

// done gives up one hold.
func (m *mapping) done() {
	if m.refs.Add(-1) == 0 {
		_ = m.file.Close()
	}
}

// cache keeps the mappings that were read last. It holds each of them.
type cache struct {
	mu       sync.Mutex
	byRel    map[string]*mapping
	lru      list.List // of *mapping, the last read in front
	bytes    int64
	maxOpen  int
	maxBytes int64
	closed   bool
}

func (c *cache) init(maxOpen int, maxBytes int64) {
	c.byRel, c.maxOpen, c.maxBytes = make(map[string]*mapping), maxOpen, maxBytes
	c.lru.Init()
}

// get returns the mapping of rel with a hold for the caller, nil if there is
// none.
func (c *cache) get(rel string) (*mapping, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, store.ErrClosed
	}
	m := c.byRel[rel]
	if m != nil {
		m.refs.Add(1)
		c.lru.MoveToFront(m.elem)
	}
	return m, nil
}

// add keeps m, which is not in the cache, and drops others for it.
func (c *cache) add(m *mapping) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || int64(len(m.data)) > c.maxBytes {
		return
	}
	if old := c.byRel[m.rel]; old != nil {
		c.remove(old)
	}
	m.refs.Add(1)
	m.elem = c.lru.PushFront(m)
	c.byRel[m.rel] = m
	c.bytes += int64(len(m.data))
	for c.lru.Len() > c.maxOpen || c.bytes > c.maxBytes {
		c.remove(c.lru.Back().Value.(*mapping))
	}
}

// drop forgets the mapping of rel.
func (c *cache) drop(rel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.byRel[rel]; m != nil {
		c.remove(m)
	}
}

// dropThis forgets m, unless another took its place.
func (c *cache) dropThis(m *mapping) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.elem != nil {
		c.remove(m)
	}
}

// remove takes m out. The caller holds mu.
func (c *cache) remove(m *mapping) {
	c.lru.Remove(m.elem)
	m.elem = nil
	delete(c.byRel, m.rel)
	c.bytes -= int64(len(m.data))
	m.done()
}

func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.lru.Len() > 0 {
		c.remove(c.lru.Front().Value.(*mapping))
	}
}

func (c *cache) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *cache) stats() (open int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Len(), c.bytes
}
