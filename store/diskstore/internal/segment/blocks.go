package segment

import "github.com/stratacache/strata/internal/vfs"

const (
	// blockBytes is what a large page of memory has on most processors. A file
	// system lays its cache out by calls: a call that writes all of a block, at
	// its place, gets one large page for it, and whoever maps the file later
	// finds everything in the block with one entry of the processor's translation
	// cache, and faults once. That is a third of what a random read costs.
	blockBytes = 2 << 20
	// blockLeast is the least of a piece that is held rather than copied.
	blockLeast = blockBytes / 4
)

// blocks writes pieces to a file in blocks. It holds pieces until they fill one.
type blocks struct {
	f        vfs.File
	throttle func(bytes int)
	block    int64   // bytes of a block; 1: pieces are written as they come
	held     []piece // what is not written yet
	size     int64   // bytes of it: less than what is missing to a block
	put      int64   // bytes written
	begun    int64   // up to here the system has been told to write
	copies   []byte  // where small pieces and what was lent are copied to
	vec      [][]byte
	err      error
}

// add appends a piece. It calls done with each piece whose buffer may be used
// again: those that are written, and those that were copied.
func (b *blocks) add(p piece, done func(piece)) {
	n := len(p.buf) - p.at
	if b.throttle != nil && n > 0 && b.err == nil {
		b.throttle(n)
	}
	b.held = append(b.held, p)
	b.size += int64(n)
	if full := (b.put+b.size)/b.block*b.block - b.put; full > 0 {
		b.write(full, done)
		b.copies = b.copies[:0] // at most the end of p is left
	}
	b.settle(done)
}

// end writes what is held.
func (b *blocks) end(done func(piece)) error {
	b.write(b.size, done)
	return b.err
}

// write writes the first n bytes of what is held. After an error it only drops
// them.
func (b *blocks) write(n int64, done func(piece)) {
	b.vec = b.vec[:0]
	left := n
	for i := range b.held {
		p := &b.held[i]
		part := int(min(left, int64(len(p.buf)-p.at)))
		if part > 0 {
			b.vec = append(b.vec, p.buf[p.at:p.at+part])
		}
		p.at += part
		left -= int64(part)
	}
	if b.err == nil && n > 0 {
		b.err = b.f.WriteAll(b.vec)
	}
	clear(b.vec)
	b.size -= n
	if b.put += n; b.err == nil && b.put-b.begun >= writeBackEvery {
		b.f.WriteBack(b.begun, b.put-b.begun)
		b.begun = b.put
	}
	through := 0
	for through < len(b.held) && b.held[through].at == len(b.held[through].buf) {
		b.release(b.held[through], done)
		through++
	}
	b.held = append(b.held[:0], b.held[through:]...)
}

// settle copies the piece that came last if it was lent, or is small.
func (b *blocks) settle(done func(piece)) {
	last := len(b.held) - 1
	if last < 0 || !b.held[last].lent && len(b.held[last].buf)-b.held[last].at >= blockLeast {
		return
	}
	p := b.held[last]
	from := len(b.copies)
	b.copies = append(b.copies, p.buf[p.at:]...)
	if last > 0 && b.held[last-1].copied { // goes on where that ends
		b.held = b.held[:last]
		b.held[last-1].buf = b.copies[b.held[last-1].from:]
	} else {
		b.held[last] = piece{buf: b.copies[from:], from: from, copied: true}
	}
	b.release(p, done)
}

func (b *blocks) release(p piece, done func(piece)) {
	if p.copied {
		return
	}
	p.err = b.err
	done(p)
}
