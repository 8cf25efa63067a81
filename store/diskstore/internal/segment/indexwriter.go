package segment

import (
	"hash/crc32"
	"math/bits"

	"github.com/stratacache/strata/internal/vfs"
)

// extra is the place of a row's tags.
type extra struct{ row, off uint64 }

// The sections of an index, in the order of its header.
const (
	secRecords = iota
	secGroups
	secDir
	secFilter
	secExtras
	secCodecs
	secSums
	numSections
)

// Offsets in the header page.
const (
	hdrMagic    = 0
	hdrVersion  = 8
	hdrCRC      = 12 // of [16, hdrEnd)
	hdrID       = 16
	hdrSeed     = 24
	hdrRows     = 32
	hdrDeleted  = 40
	hdrParquet  = 48 // size of the Parquet file
	hdrFooter   = 56 // CRC32C of its footer
	hdrSums     = 60 // CRC32C of the section of checksums
	hdrMinSeq   = 64
	hdrMaxSeq   = 72
	hdrWritten  = 80
	hdrExpires  = 88
	hdrPoisoned = 96
	hdrDirBits  = 104
	hdrTables   = 112
	hdrTabBytes = 120
	hdrSections = 128 // offset and length of each
	hdrExpiry   = hdrSections + 16*numSections
	hdrEnd      = hdrExpiry + 8 + 8*expirySteps
)

type section struct{ off, len uint64 }

// indexWriter writes an index. The records go to the file as they come; the
// rest, about 3 bytes a row, is kept until the end.
type indexWriter struct {
	file    vfs.File
	out     *output
	opts    WriterOptions
	sums    []byte // CRC32C of each page after the header
	page    uint32 // checksum of the page being written
	filled  int    // bytes in it
	rows    uint64
	dir     []uint32
	dirBits int
	filter  []byte
	groups  []byte
	extras  []byte
	codecs  map[string]uint8
	last    string // the codec asked for last, and its number
	lastID  uint8
	known   bool
	names   []byte
	expiry  Expiry
	secs    [numSections]section
	scratch []byte
}

func newIndexWriter(fsys vfs.FS, dir string, opts WriterOptions) (*indexWriter, error) {
	x := &indexWriter{opts: opts, codecs: map[string]uint8{}}
	x.dirBits = max(0, bits.Len(uint(max(opts.Rows, 1)))-2)
	x.dir = make([]uint32, 1<<x.dirBits)
	x.filter = make([]byte, filterSize(opts.Rows))
	x.expiry.Base = opts.Now
	var err error
	if x.file, err = fsys.Create(IndexName(dir, opts.ID) + TempSuffix); err != nil {
		return nil, err
	}
	x.out = newOutput(x.file, &opts)
	x.out.Write(make([]byte, pageSize))
	x.secs[secRecords].off = pageSize
	return x, nil
}

// codec returns the number of a codec's name.
func (x *indexWriter) codec(name string) uint8 {
	if name == x.last && x.known {
		return x.lastID
	}
	x.last, x.known = name, true
	x.lastID = x.codecID(name)
	return x.lastID
}

func (x *indexWriter) codecID(name string) uint8 {
	if id, ok := x.codecs[name]; ok {
		return id
	}
	id := len(x.codecs)
	if id >= maxCodecs || len(name) > 255 {
		return noCodec
	}
	x.codecs[name] = uint8(id)
	x.names = append(append(x.names, byte(len(name))), name...)
	return uint8(id)
}

// write appends p and sums its pages.
func (x *indexWriter) write(p []byte) {
	x.out.Write(p)
	for len(p) > 0 {
		n := min(len(p), pageSize-x.filled)
		x.page = crc32.Update(x.page, castagnoli, p[:n])
		x.filled += n
		p = p[n:]
		if x.filled == pageSize {
			x.endPage()
		}
	}
}

func (x *indexWriter) endPage() {
	x.sums = le.AppendUint32(x.sums, x.page)
	x.page, x.filled = 0, 0
}

// group writes the records of a row group whose pages' bodies begin at the
// given offsets.
func (x *indexWriter) group(recs []record, extras []extra, bodies [numColumns]uint64) {
	x.groups = le.AppendUint64(x.groups, x.rows)
	for _, col := range [...]int{colExpires, colFresh, colWritten, colVersion, colKind} {
		x.groups = le.AppendUint64(x.groups, bodies[col])
	}
	x.groups = append(x.groups, make([]byte, groupEntry-48)...)
	for _, e := range extras {
		x.extras = le.AppendUint64(le.AppendUint64(x.extras, e.row), e.off)
	}
	buf := x.scratch[:0]
	for i := range recs {
		buf = appendRecord(buf, &recs[i])
		filterAdd(x.filter, recs[i].hash)
		x.dir[recs[i].hash.Hi>>1>>(63-x.dirBits)]++
		x.rows++
		if len(buf) >= 64<<10 {
			x.write(buf)
			buf = buf[:0]
		}
	}
	x.write(buf)
	x.scratch = buf[:0]
}

// section writes a section, aligned to a cache line.
func (x *indexWriter) section(n int, p []byte) {
	var pad [64]byte
	x.write(pad[:-x.out.off&63])
	x.secs[n] = section{uint64(x.out.off), uint64(len(p))}
	x.write(p)
}

// shrink folds filter and directory to the number of rows that came, where the
// bound given at the start was too high.
func (x *indexWriter) shrink() {
	for len(x.filter)%(2*filterBlock) == 0 && len(x.filter)/2 >= filterSize(int(x.rows)) {
		half := make([]byte, len(x.filter)/2)
		for i := range x.filter {
			half[i/(2*filterBlock)*filterBlock+i%filterBlock] |= x.filter[i]
		}
		x.filter = half
	}
	for x.dirBits > 0 && 1<<(x.dirBits-1) >= x.rows/4+1 {
		for i := range len(x.dir) / 2 {
			x.dir[i] = x.dir[2*i] + x.dir[2*i+1]
		}
		x.dir = x.dir[:len(x.dir)/2]
		x.dirBits--
	}
}

// finish writes all but the records, and the header, and syncs the file.
func (x *indexWriter) finish(m *Meta) error {
	x.shrink()
	x.secs[secRecords].len = x.rows * recordSize
	x.section(secGroups, x.groups)
	dir := make([]byte, 0, 4*len(x.dir)+4)
	sum := uint32(0)
	for _, n := range x.dir {
		dir = le.AppendUint32(dir, sum)
		sum += n
	}
	x.section(secDir, le.AppendUint32(dir, sum))
	x.section(secFilter, x.filter)
	x.section(secExtras, x.extras)
	x.section(secCodecs, x.names)
	if x.filled > 0 {
		x.write(make([]byte, pageSize-x.filled))
	}
	x.secs[secSums] = section{uint64(x.out.off), uint64(len(x.sums))}
	x.out.Write(x.sums)
	if err := x.out.drain(); err != nil {
		return err
	}
	m.IndexSize = x.out.off
	head := x.header(m)
	m.IndexCRC = le.Uint32(head[hdrCRC:])
	if _, err := x.file.WriteAt(head, 0); err != nil {
		return err
	}
	return x.file.Sync()
}

func (x *indexWriter) header(m *Meta) []byte {
	h := make([]byte, pageSize)
	copy(h, indexMagic)
	le.PutUint32(h[hdrVersion:], formatVersion)
	for off, v := range map[int]uint64{
		hdrID: m.ID, hdrSeed: x.opts.Seed, hdrRows: uint64(m.Rows), hdrDeleted: uint64(m.Deleted),
		hdrParquet: uint64(m.Size), hdrMinSeq: m.MinSeq, hdrMaxSeq: m.MaxSeq, hdrWritten: uint64(m.MaxWritten),
		hdrExpires: uint64(m.MaxExpires), hdrPoisoned: uint64(m.Poisoned), hdrDirBits: uint64(x.dirBits),
		hdrTables: uint64(m.Tables), hdrTabBytes: uint64(m.TableBytes),
		hdrExpiry: uint64(x.expiry.Base),
	} {
		le.PutUint64(h[off:], v)
	}
	le.PutUint32(h[hdrFooter:], m.FooterCRC)
	le.PutUint32(h[hdrSums:], crc32.Checksum(x.sums, castagnoli))
	for i, s := range x.secs {
		le.PutUint64(h[hdrSections+16*i:], s.off)
		le.PutUint64(h[hdrSections+16*i+8:], s.len)
	}
	for i, b := range x.expiry.Bytes {
		le.PutUint64(h[hdrExpiry+8+8*i:], b)
	}
	le.PutUint32(h[hdrCRC:], crc32.Checksum(h[16:hdrEnd], castagnoli))
	return h
}
