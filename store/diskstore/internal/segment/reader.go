package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"

	"github.com/stratacache/strata/internal/vfs"
)

// Errors of a reader.
var (
	// ErrIndex: the index is missing or damaged; Rebuild makes a new one.
	ErrIndex = errors.New("segment: damaged index")
	// ErrData: the Parquet file is missing, cut or damaged.
	ErrData = errors.New("segment: damaged file")
	// ErrVersion: a newer version wrote the segment.
	ErrVersion = errors.New("segment: written by a newer version")
)

// Reader reads a sealed segment. Safe for concurrent use. It is reference
// counted: Open returns it with one reference.
type Reader struct {
	Meta Meta
	seed uint64

	data, index *vfs.Mapping
	pq, ix      []byte // their content

	secs    [numSections]section
	dirBits int
	groups  []groupInfo
	codecs  []string
	expiry  Expiry
	checked []atomic.Uint64 // a bit per page of the index: its checksum was right

	damaged atomic.Bool // a page's checksum was wrong

	refs    atomic.Int64
	onClose func()
}

// groupInfo has the places of a row group's fixed columns.
type groupInfo struct {
	first                                   uint64
	expires, fresh, written, version, kinds uint64
}

// bytes returns part of a section, once its pages' checksums have been found
// right.
func (r *Reader) bytes(sec int, off, n uint64) ([]byte, error) {
	s := &r.secs[sec]
	if off > s.len || n > s.len-off {
		return nil, ErrIndex
	}
	from := s.off + off
	to := from + n
	if n == 0 {
		return nil, nil
	}
	for page := from / pageSize; page <= (to-1)/pageSize; page++ {
		if r.checked[page/64].Load()&(1<<(page%64)) == 0 && !r.checkPage(page) {
			return nil, fmt.Errorf("%w: page %d of segment %d", ErrIndex, page, r.Meta.ID)
		}
	}
	return r.ix[from:to], nil
}

func (r *Reader) checkPage(page uint64) bool {
	sums := r.ix[r.secs[secSums].off:]
	sum := le.Uint32(sums[4*(page-1):])
	if crc32.Checksum(r.ix[page*pageSize:(page+1)*pageSize], castagnoli) != sum {
		r.damaged.Store(true)
		return false
	}
	r.checked[page/64].Or(1 << (page % 64))
	return true
}

// warmBytes bounds what Warm touches.
const warmBytes = 256 << 20

// Warm spares the first readers of a segment just written, which is in the page
// cache, the page faults and the checks of the index. It does nothing to large
// ones, of which part may be on the disk only. Callers guard against memory
// faults.
func (r *Reader) Warm() {
	if r.Meta.Size+r.Meta.IndexSize > warmBytes {
		return
	}
	r.data.Populate()
	r.index.Populate()
	for page := uint64(1); page < r.secs[secSums].off/pageSize; page++ {
		if r.checked[page/64].Load()&(1<<(page%64)) == 0 && !r.checkPage(page) {
			return
		}
	}
}

// MayHave reports whether the segment may have a row of the probe's key. An
// error means that the answer is not known.
func (r *Reader) MayHave(p *Probe) (bool, error) {
	size := r.secs[secFilter].len
	b, err := r.bytes(secFilter, uint64(filterOffset(p.Hi, int(size))), filterBlock)
	if err != nil {
		return true, err
	}
	return p.has(b), nil
}

// Loc is a row that Find has found.
type Loc struct {
	rec record
	row uint64
	met byte // of what touch has read
}

// Kind returns what the row is.
func (l *Loc) Kind() Kind { return l.rec.kind() }

// Offset is where the value is in the file, to sort reads by.
func (l *Loc) Offset() uint64 { return l.rec.vOff }

// ValueLen is the length of the value.
func (l *Loc) ValueLen() int { return int(l.rec.vLen) }

// span returns the records that may have a hash: those of its directory entry.
func (r *Reader) span(hi uint64) (from, to uint64, err error) {
	d, err := r.bytes(secDir, hi>>1>>(63-r.dirBits)*4, 8)
	if err != nil {
		return 0, 0, err
	}
	from, to = uint64(le.Uint32(d)), uint64(le.Uint32(d[4:]))
	if from > to || to > uint64(r.Meta.Rows) {
		return 0, 0, ErrIndex
	}
	return from, to, nil
}

// Has returns the record of a hash, without looking at its key: to count, and
// where the file is lost.
func (r *Reader) Has(h Hash) (l Loc, ok bool, err error) {
	err = r.each(h, func(found Loc) (bool, error) {
		l, ok = found, true
		return false, nil
	})
	return l, ok, err
}

// Find returns the row of a key.
func (r *Reader) Find(p *Probe, key string) (l Loc, ok bool, err error) {
	from, to, err := r.span(p.Hi)
	if err != nil || from == to {
		return l, false, err
	}
	b, err := r.bytes(secRecords, from*recordSize, (to-from)*recordSize)
	if err != nil {
		return l, false, err
	}
	for row := from; row < to; row, b = row+1, b[recordSize:] {
		hi := le.Uint64(b)
		if hi < p.Hi || hi == p.Hi && le.Uint32(b[8:]) < p.Lo {
			continue
		}
		if hi != p.Hi || le.Uint32(b[8:]) != p.Lo {
			break
		}
		parseRecord(b, &l.rec)
		l.row = row
		r.touch(&l)
		text, err := r.text(l.rec.kOff)
		if err != nil {
			return l, false, err
		}
		if isKey(text, key) {
			return l, true, nil
		}
		if h, ok := parseHashText(text); ok && h == p.Hash {
			return l, true, nil
		}
		if stored, ok := keyOf(text); !ok || HashKey(r.seed, stored) != p.Hash {
			return l, false, fmt.Errorf("%w: key of row %d of segment %d", ErrData, row, r.Meta.ID)
		}
	}
	return l, false, nil
}

// touch begins to fetch what Read will need of a row, while its key is compared:
// the places lie far apart, and each is a miss of the processor's caches, which
// this way overlap.
func (r *Reader) touch(l *Loc) {
	g := r.groupOf(l.row)
	i := 8 * (l.row - g.first)
	if size := uint64(len(r.pq)); l.rec.vOff < size && g.expires+i < size && g.fresh+i < size && g.version+i < size {
		l.met = r.pq[l.rec.vOff] ^ r.pq[g.expires+i] ^ r.pq[g.fresh+i] ^ r.pq[g.version+i]
	}
}

// each calls fn for the records of a hash until it returns false.
func (r *Reader) each(h Hash, fn func(Loc) (bool, error)) error {
	from, to, err := r.span(h.Hi)
	if err != nil {
		return err
	}
	for row := from; row < to; row++ {
		var l Loc
		if err := r.record(row, &l); err != nil {
			return err
		}
		switch l.rec.hash.Compare(h) {
		case 0:
			if more, err := fn(l); err != nil || !more {
				return err
			}
		case 1:
			return nil
		}
	}
	return nil
}

func (r *Reader) record(row uint64, l *Loc) error {
	b, err := r.bytes(secRecords, row*recordSize, recordSize)
	if err != nil {
		return err
	}
	parseRecord(b, &l.rec)
	l.row = row
	return nil
}

// text returns the string that is stored at off, with its length before it.
func (r *Reader) text(off uint64) ([]byte, error) {
	size := uint64(len(r.pq))
	if off > size || size-off < 4 {
		return nil, ErrData
	}
	n := uint64(le.Uint32(r.pq[off:]))
	if off += 4; n > MaxText*4 || n > size-off {
		return nil, ErrData
	}
	return r.pq[off : off+n : off+n], nil
}

// Item is a row that was read. Text, Tags and Value are parts of the mapping.
type Item struct {
	Kind                    Kind
	Text, TagsText, Value   []byte
	Expires, Fresh, Written int64
	Version                 uint64
	Codec                   string
	crc                     uint32
}

// Read gathers a row. The value is not checked: call Check with it, or with a
// copy of it.
func (r *Reader) Read(l *Loc, it *Item) (err error) {
	g := r.groupOf(l.row)
	i := l.row - g.first
	size := uint64(len(r.pq))
	off, n := l.rec.vOff, uint64(l.rec.vLen)
	if off > size || n > size-off || g.expires+8*i+8 > size || g.fresh+8*i+8 > size || g.version+8*i+8 > size {
		return fmt.Errorf("%w: segment %d", ErrData, r.Meta.ID)
	}
	if it.Text, err = r.text(l.rec.kOff); err != nil {
		return err
	}
	it.Value = r.pq[off : off+n : off+n]
	it.Expires = int64(le.Uint64(r.pq[g.expires+8*i:]))
	it.Fresh = int64(le.Uint64(r.pq[g.fresh+8*i:]))
	it.Version = le.Uint64(r.pq[g.version+8*i:])
	it.Kind, it.crc, it.Codec, it.TagsText = l.rec.kind(), l.rec.crc, "", nil
	if c := int(l.rec.codec); c < len(r.codecs) {
		it.Codec = r.codecs[c]
	}
	if l.rec.flags&flagTags != 0 {
		return r.readTags(l, it)
	}
	return nil
}

// Written returns when the row was written, in microseconds.
func (r *Reader) Written(l *Loc) int64 {
	g := r.groupOf(l.row)
	if at := g.written + 8*(l.row-g.first); at+8 <= uint64(len(r.pq)) {
		return int64(le.Uint64(r.pq[at:]))
	}
	return 0
}

func (r *Reader) readTags(l *Loc, it *Item) error {
	n := r.secs[secExtras].len / extraEntry
	lo, hi := uint64(0), n
	for lo < hi {
		mid := (lo + hi) / 2
		b, err := r.bytes(secExtras, mid*extraEntry, extraEntry)
		if err != nil {
			return err
		}
		row, off := le.Uint64(b), le.Uint64(b[8:])
		if row == l.row {
			it.TagsText, err = r.text(off)
			return err
		}
		if row < l.row {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return ErrIndex
}

// groupOf returns the row group of a row. Most groups have as many rows as the
// first: the search begins where that says.
func (r *Reader) groupOf(row uint64) *groupInfo {
	g := 0
	if last := len(r.groups) - 1; last > 0 {
		g = int(min(row/max(r.groups[1].first, 1), uint64(last)))
		for g > 0 && r.groups[g].first > row {
			g--
		}
		for g < last && r.groups[g+1].first <= row {
			g++
		}
	}
	return &r.groups[g]
}

// Check reports whether value and all else that Read returned is what was
// written.
func (it *Item) Check(value []byte) bool {
	return rowCRC(it.Kind, it.Expires, it.Fresh, it.Version, stringOf(it.Text), stringOf(it.TagsText), value) == it.crc
}

// Key returns the key.
func (it *Item) Key() (string, bool) { return keyOf(it.Text) }

// KeyFits reports whether the row's key is one that hashes to h.
func (r *Reader) KeyFits(it *Item, h Hash) bool {
	if key, ok := keyOf(it.Text); ok {
		return HashKey(r.seed, key) == h
	}
	return it.HidesHash(h)
}

// HidesHash reports whether the row is a tombstone for all keys of a hash.
func (it *Item) HidesHash(h Hash) bool {
	got, ok := parseHashText(it.Text)
	return ok && got == h && it.Kind == KindDeleted
}

// Tags returns the tags.
func (it *Item) Tags() []string { return tagsOf(it.TagsText) }

// Rows is the number of rows, Row the one at a position in the order of hashes.
func (r *Reader) Rows() uint64 { return uint64(r.Meta.Rows) }

// Row returns the row at a position, with its hash.
func (r *Reader) Row(i uint64) (l Loc, h Hash, err error) {
	if i >= r.Rows() {
		return l, h, io.EOF
	}
	err = r.record(i, &l)
	return l, l.rec.hash, err
}

// IndexDamaged reports whether a page of the index has failed its checksum.
func (r *Reader) IndexDamaged() bool { return r.damaged.Load() }

// Expired returns about how many bytes have expired at now.
func (r *Reader) Expired(now int64) int64 { return r.expiry.Expired(now) }

// Acquire takes a reference; the caller must hold one, or keep the reader from
// being released, meanwhile.
func (r *Reader) Acquire() { r.refs.Add(1) }

// Release drops a reference. With the last the mappings go.
func (r *Reader) Release() {
	if r.refs.Add(-1) > 0 {
		return
	}
	r.unmap()
	if r.onClose != nil {
		r.onClose()
	}
}

// OnClose sets what is called once the mappings are gone. Call it before the
// reader is shared.
func (r *Reader) OnClose(fn func()) { r.onClose = fn }

func (r *Reader) unmap() {
	_ = r.data.Close()
	_ = r.index.Close()
	r.pq, r.ix = nil, nil
}
