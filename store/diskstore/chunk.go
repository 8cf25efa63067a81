package diskstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// chunk is what a Load gathers for one segment. Rows are put into buckets by the
// first bits of their hash as they come, small values with them, so that sorting
// and writing a bucket stays within a processor's cache: it is the first pass of
// a radix sort. Buckets are lists of blocks without pointers, which cost the
// garbage collector nothing, and are used again for the next chunk.
type chunk struct {
	buckets [chunkBuckets]bucket
	free    [][]byte
	rows    int
	bytes   int64
	large   [][]byte // values that are not copied
	codecs  []string
	tags    [][]string // the first is nil
}

const (
	chunkBuckets = 512
	blockBytes   = 16 << 10
	slabBytes    = 1 << 20
	copyBytes    = 512 // values up to here are copied into the blocks
)

type bucket struct {
	blocks [][]byte // all but the last are full
	rows   int
}

// chunkRef is what is sorted.
type chunkRef struct {
	hash segment.Hash
	n    uint32 // in order of arrival
	row  []byte
}

// A row in a block: hash, order of arrival, lengths of key and value, deadlines,
// version, numbers of codec, tags and large value; then key and value. A value
// that was not copied has a number from 1.
const (
	rowLo, rowN, rowKey, rowValue        = 8, 12, 16, 20
	rowExpires, rowFresh, rowVersion     = 24, 32, 40
	rowCodec, rowTags, rowLarge, rowHead = 48, 52, 56, 60
)

var le = binary.LittleEndian

func newChunk() *chunk { return &chunk{tags: make([][]string, 1)} }

func (c *chunk) add(h segment.Hash, key string, e *store.Entry) {
	size := rowHead + len(key)
	large := uint32(0)
	if len(e.Value) <= copyBytes {
		size += len(e.Value)
	} else {
		c.large = append(c.large, e.Value)
		large = uint32(len(c.large))
	}
	tags := uint32(0)
	if len(e.Tags) > 0 {
		tags = uint32(len(c.tags))
		c.tags = append(c.tags, e.Tags)
	}
	b := c.room(&c.buckets[h.Hi>>(64-9)], size)
	le.PutUint64(b, h.Hi)
	le.PutUint32(b[rowLo:], h.Lo)
	le.PutUint32(b[rowN:], uint32(c.rows))
	le.PutUint32(b[rowKey:], uint32(len(key)))
	le.PutUint32(b[rowValue:], uint32(len(e.Value)))
	le.PutUint64(b[rowExpires:], uint64(journal.Micros(e.Expires)))
	le.PutUint64(b[rowFresh:], uint64(journal.Micros(e.FreshUntil())))
	le.PutUint64(b[rowVersion:], e.Version)
	le.PutUint32(b[rowCodec:], c.codec(e.Codec))
	le.PutUint32(b[rowTags:], tags)
	le.PutUint32(b[rowLarge:], large)
	copy(b[rowHead:], key)
	if large == 0 {
		copy(b[rowHead+len(key):], e.Value)
	}
	c.rows++
	c.bytes += int64(segment.RowBytes(len(key), len(e.Value)))
}

// room returns size bytes at the end of a bucket.
func (c *chunk) room(b *bucket, size int) []byte {
	b.rows++
	if n := len(b.blocks); n > 0 {
		last := &b.blocks[n-1]
		if at := len(*last); cap(*last)-at >= size {
			*last = (*last)[:at+size]
			return (*last)[at:]
		}
	}
	block := c.block(size)
	b.blocks = append(b.blocks, block)
	return block
}

// block returns a block with size bytes in use.
func (c *chunk) block(size int) []byte {
	if size > blockBytes {
		return make([]byte, size) // of a long key
	}
	if len(c.free) == 0 {
		for slab := make([]byte, slabBytes); len(slab) > 0; slab = slab[blockBytes:] {
			c.free = append(c.free, slab[:blockBytes:blockBytes])
		}
	}
	b := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	return b[:size]
}

func (c *chunk) codec(name string) uint32 {
	for i := len(c.codecs) - 1; i >= 0; i-- { // there are few
		if c.codecs[i] == name {
			return uint32(i)
		}
	}
	c.codecs = append(c.codecs, name)
	return uint32(len(c.codecs) - 1)
}

// reset makes the chunk empty and keeps its blocks.
func (c *chunk) reset() {
	for i := range c.buckets {
		b := &c.buckets[i]
		for _, block := range b.blocks {
			if cap(block) == blockBytes {
				c.free = append(c.free, block[:blockBytes])
			}
		}
		b.blocks, b.rows = b.blocks[:0], 0
	}
	clear(c.large)
	clear(c.tags)
	c.rows, c.bytes, c.large, c.tags = 0, 0, c.large[:0], c.tags[:1]
}

// inOrder sends the rows of each bucket to out, and ends it when it is through or
// ctx ends. It sorts one bucket while others are written; used takes the slices
// back.
func (c *chunk) inOrder(ctx context.Context, out chan<- []chunkRef, used <-chan []chunkRef) {
	defer close(out)
	for n := range c.buckets {
		var refs []chunkRef
		select {
		case refs = <-used:
		default:
		}
		select {
		case out <- c.sorted(n, refs):
		case <-ctx.Done():
			return
		}
	}
}

// sorted returns the rows of a bucket by hash, and those of one hash latest
// first, in the memory of refs.
func (c *chunk) sorted(n int, refs []chunkRef) []chunkRef {
	refs = slices.Grow(refs[:0], c.buckets[n].rows)
	for _, block := range c.buckets[n].blocks {
		for len(block) > 0 {
			size := rowHead + int(le.Uint32(block[rowKey:]))
			if le.Uint32(block[rowLarge:]) == 0 {
				size += int(le.Uint32(block[rowValue:]))
			}
			h := segment.Hash{Hi: le.Uint64(block), Lo: le.Uint32(block[rowLo:])}
			refs = append(refs, chunkRef{h, le.Uint32(block[rowN:]), block[:size]})
			block = block[size:]
		}
	}
	slices.SortFunc(refs, func(a, b chunkRef) int {
		if c := a.hash.Compare(b.hash); c != 0 {
			return c
		}
		return cmp.Compare(b.n, a.n)
	})
	return refs
}

// key is the key of a row, which is part of its block.
func (r *chunkRef) key() string {
	b := r.row[rowHead:][:le.Uint32(r.row[rowKey:])]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// fill makes a segment's row of a reference: key and value are those of the
// block.
func (c *chunk) fill(r *chunkRef, row *segment.Row) {
	b, key := r.row, r.key()
	value := b[rowHead+len(key):]
	if n := le.Uint32(b[rowLarge:]); n > 0 {
		value = c.large[n-1]
	}
	*row = segment.Row{
		Hash: r.hash, Value: value, Expires: int64(le.Uint64(b[rowExpires:])), Fresh: int64(le.Uint64(b[rowFresh:])),
		Version: le.Uint64(b[rowVersion:]), Codec: c.codecs[le.Uint32(b[rowCodec:])],
	}
	row.SetKey(key, c.tags[le.Uint32(b[rowTags:])])
}
