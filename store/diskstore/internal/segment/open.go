package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"sync/atomic"
	"syscall"

	"github.com/stratacache/strata/internal/vfs"
)

// Open opens the segment that meta describes. It reads the footer and the
// index's header and small sections, and checks them against meta.
func Open(fsys vfs.FS, dir string, meta Meta) (*Reader, error) {
	r := &Reader{Meta: meta}
	r.refs.Store(1)
	if err := r.openData(fsys, dir); err != nil {
		r.unmap()
		return nil, err
	}
	if err := r.openIndex(fsys, dir); err != nil {
		r.unmap()
		return nil, err
	}
	return r, nil
}

// OpenIndex opens the index alone, of a segment whose Parquet file is lost: Has
// works, reading a row gives ErrData.
func OpenIndex(fsys vfs.FS, dir string, meta Meta) (*Reader, error) {
	r := &Reader{Meta: meta}
	r.refs.Store(1)
	if err := r.openIndex(fsys, dir); err != nil {
		r.unmap()
		return nil, err
	}
	return r, nil
}

func mapName(fsys vfs.FS, name string) (*vfs.Mapping, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	m, err := f.Map()
	return m, errors.Join(err, f.Close())
}

func (r *Reader) openData(fsys vfs.FS, dir string) (err error) {
	name := Name(dir, r.Meta.ID)
	if r.data, err = mapName(fsys, name); err != nil {
		return damage(ErrData, err)
	}
	r.pq = r.data.Data
	if int64(len(r.pq)) != r.Meta.Size {
		return fmt.Errorf("%w: %s has %d bytes, not %d", ErrData, name, len(r.pq), r.Meta.Size)
	}
	footer, err := footerOf(fsys, name)
	if err != nil {
		return err
	}
	if crc32.Checksum(footer, castagnoli) != r.Meta.FooterCRC {
		return fmt.Errorf("%w: %s: footer checksum", ErrData, name)
	}
	return nil
}

// footerOf reads a file's footer. It does not go through a mapping, so that a
// file on a failing disk gives an error and not a fault.
func footerOf(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, damage(ErrData, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	var tail [8]byte
	if size < 12 {
		return nil, fmt.Errorf("%w: %s is too short", ErrData, name)
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, damage(ErrData, err)
	}
	n := int64(le.Uint32(tail[:]))
	if string(tail[4:]) != parMagic || n > size-12 || n > maxFooter {
		return nil, fmt.Errorf("%w: %s: not a footer", ErrData, name)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-8-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, damage(ErrData, err)
	}
	return footer, nil
}

func (r *Reader) openIndex(fsys vfs.FS, dir string) (err error) {
	name := IndexName(dir, r.Meta.ID)
	if r.index, err = mapName(fsys, name); err != nil {
		return damage(ErrIndex, err)
	}
	r.ix = r.index.Data
	head := make([]byte, pageSize)
	if err := readHead(fsys, name, head); err != nil {
		return damage(ErrIndex, err)
	}
	m := &r.Meta
	switch {
	case string(head[:8]) != indexMagic || crc32.Checksum(head[16:hdrEnd], castagnoli) != le.Uint32(head[hdrCRC:]):
		return fmt.Errorf("%w: %s: header", ErrIndex, name)
	case le.Uint32(head[hdrVersion:]) > formatVersion:
		return fmt.Errorf("%w: %s has version %d", ErrVersion, name, le.Uint32(head[hdrVersion:]))
	case le.Uint64(head[hdrID:]) != m.ID || le.Uint64(head[hdrRows:]) != uint64(m.Rows) ||
		le.Uint64(head[hdrParquet:]) != uint64(m.Size) || le.Uint32(head[hdrFooter:]) != m.FooterCRC:
		return fmt.Errorf("%w: %s belongs to another file", ErrIndex, name)
	}
	r.seed = le.Uint64(head[hdrSeed:])
	r.expiry.Base = int64(le.Uint64(head[hdrExpiry:]))
	for i := range r.expiry.Bytes {
		r.expiry.Bytes[i] = le.Uint64(head[hdrExpiry+8+8*i:])
	}
	m.Poisoned = int64(le.Uint64(head[hdrPoisoned:]))
	m.Deleted = int64(le.Uint64(head[hdrDeleted:]))
	m.Tables, m.TableBytes = int64(le.Uint64(head[hdrTables:])), int64(le.Uint64(head[hdrTabBytes:]))
	if err := r.sections(head); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrIndex, name, err)
	}
	return nil
}

func readHead(fsys vfs.FS, name string, head []byte) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.ReadAt(head, 0)
	if n < len(head) {
		return fmt.Errorf("%s: too short: %w", name, err)
	}
	return nil
}

// damage marks an error as damage of a file, if it is: a file that is missing or
// short, or a disk that cannot read it. Where the system merely lacks something
// (descriptors, memory, permissions) nothing is lost, and the error stays what it
// is.
func damage(kind, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

var errLayout = errors.New("sections do not fit")

// sections reads the table of sections and those that are kept in memory.
func (r *Reader) sections(head []byte) error {
	size := uint64(len(r.ix))
	for i := range r.secs {
		s := section{le.Uint64(head[hdrSections+16*i:]), le.Uint64(head[hdrSections+16*i+8:])}
		if s.off > size || s.len > size-s.off || s.off < pageSize {
			return errLayout
		}
		r.secs[i] = s
	}
	sums := r.secs[secSums]
	for _, s := range r.secs[:secSums] {
		if s.off+s.len > sums.off { // what is there has no checksum
			return errLayout
		}
	}
	bits := le.Uint64(head[hdrDirBits:])
	if bits > 40 || r.secs[secRecords].len != uint64(r.Meta.Rows)*recordSize || r.secs[secDir].len != 4<<bits+4 ||
		r.secs[secFilter].len%filterBlock != 0 || r.secs[secFilter].len == 0 || r.secs[secGroups].len%groupEntry != 0 ||
		r.secs[secExtras].len%extraEntry != 0 || sums.off%pageSize != 0 || sums.len != (sums.off/pageSize-1)*4 ||
		sums.off+sums.len != size || r.Meta.Rows > math.MaxUint32 {
		return errLayout
	}
	r.dirBits = int(bits)
	if crc32.Checksum(r.ix[sums.off:], castagnoli) != le.Uint32(head[hdrSums:]) {
		return errors.New("checksum of checksums")
	}
	r.checked = make([]atomic.Uint64, (sums.off/pageSize+63)/64)
	if err := r.readGroups(); err != nil {
		return err
	}
	return r.readCodecs()
}

func (r *Reader) readGroups() error {
	b, err := r.bytes(secGroups, 0, r.secs[secGroups].len)
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[groupEntry:] {
		for off := 0; off < 48; off += 8 {
			if le.Uint64(b[off:]) > 1<<56 { // sums with it must not overflow
				return errLayout
			}
		}
		r.groups = append(r.groups, groupInfo{
			le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:]),
		})
	}
	if len(r.groups) == 0 && r.Meta.Rows > 0 || len(r.groups) > 0 && r.groups[0].first != 0 {
		return errLayout
	}
	return nil
}

func (r *Reader) readCodecs() error {
	b, err := r.bytes(secCodecs, 0, r.secs[secCodecs].len)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		n := int(b[0])
		if n >= len(b) {
			return errLayout
		}
		r.codecs = append(r.codecs, string(b[1:1+n]))
		b = b[1+n:]
	}
	return nil
}
