package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"path"
	"strconv"
	"strings"
)

// Sizes and limits of the format.
const (
	pageSize   = 4096 // of the index: what is checked at a time
	recordSize = 32
	groupEntry = 64
	extraEntry = 16
	indexMagic = "STRATAIX"
	parMagic   = "PAR1"

	formatVersion = 1

	// MaxText bounds the stored form of keys, MaxValue that of values.
	MaxText  = 1 << 18
	MaxValue = 1 << 30
	// noCodec stands for a codec beyond the table of an index.
	noCodec   = 255
	maxCodecs = 255

	flagKind = 0x03
	flagTags = 0x04

	// maxFooter bounds Parquet's footer.
	maxFooter = 64 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

func putU64(b []byte, v uint64) { le.PutUint64(b, v) }

// record is one row in the index.
type record struct {
	hash  Hash
	crc   uint32
	vLen  uint32
	vOff  uint64 // of the value's bytes
	kOff  uint64 // of the length before the key's text
	codec uint8
	flags uint8
}

func (r *record) kind() Kind { return Kind(r.flags & flagKind) }

func appendRecord(dst []byte, r *record) []byte {
	dst = le.AppendUint64(dst, r.hash.Hi)
	dst = le.AppendUint32(dst, r.hash.Lo)
	dst = le.AppendUint32(dst, r.crc)
	dst = le.AppendUint32(dst, r.vLen)
	dst = le.AppendUint64(dst, r.vOff&(1<<40-1)|r.kOff<<40)
	dst = append(dst, byte(r.kOff>>24), byte(r.kOff>>32), r.codec, r.flags)
	return dst
}

func parseRecord(b []byte, r *record) {
	_ = b[recordSize-1]
	r.hash.Hi = le.Uint64(b)
	r.hash.Lo = le.Uint32(b[8:])
	r.crc = le.Uint32(b[12:])
	r.vLen = le.Uint32(b[16:])
	v := le.Uint64(b[20:])
	r.vOff = v & (1<<40 - 1)
	r.kOff = v>>40 | uint64(b[28])<<24 | uint64(b[29])<<32
	r.codec = b[30]
	r.flags = b[31]
}

// rowCRC is the checksum of a row: of what a read returns, except for the codec,
// which the index covers.
func rowCRC(kind Kind, expires, fresh int64, version uint64, text, tags string, value []byte) uint32 {
	c := crcByte(^uint32(0), byte(kind))
	c = crcUint64(crcUint64(crcUint64(c, uint64(expires)), uint64(fresh)), version)
	c = crc32.Update(^c, castagnoli, bytesOf(text))
	if tags != "" {
		c = crc32.Update(c, castagnoli, bytesOf(tags))
	}
	return crc32.Update(c, castagnoli, value)
}

// Meta describes a segment to the manifest.
type Meta struct {
	ID         uint64 `json:"id"`
	Rows       int64  `json:"rows"`
	Deleted    int64  `json:"deleted"`       // tombstones among the rows
	Size       int64  `json:"size"`          // of the Parquet file
	FooterCRC  uint32 `json:"footer_crc"`    // CRC32C of the footer
	IndexSize  int64  `json:"index_size"`    // of the index file
	IndexCRC   uint32 `json:"index_crc"`     // CRC32C of the index's header
	MinSeq     uint64 `json:"min_seq"`       // of the journal records sealed here
	MaxSeq     uint64 `json:"max_seq"`       //
	MaxWritten int64  `json:"max_written"`   // microseconds
	MaxExpires int64  `json:"max_expires"`   // microseconds
	DeadRows   int64  `json:"dead_rows"`     // superseded by later segments
	DeadBytes  int64  `json:"dead_bytes"`    //
	Poisoned   int64  `json:"poisoned_rows"` // lost to damage, kept as errors
	Tables     int64  `json:"tables"`        // rows that refer to table files
	TableBytes int64  `json:"table_bytes"`   // of these files
}

// Bytes is what the segment takes on the disk, with its table files.
func (m *Meta) Bytes() int64 { return m.Size + m.IndexSize + m.TableBytes }

// Name returns the name of a segment's Parquet file, IndexName of its index.
func Name(dir string, id uint64) string { return path.Join(dir, fmt.Sprintf("%08d.parquet", id)) }

// IndexName returns the name of a segment's index.
func IndexName(dir string, id uint64) string { return path.Join(dir, fmt.Sprintf("%08d.idx", id)) }

// TempSuffix ends the names of files being written: no *.parquet matches them.
const TempSuffix = ".tmp"

// ParseName returns the id in the base name of a segment's file. kind is
// ".parquet", ".idx", or TempSuffix for either being written.
func ParseName(base string) (id uint64, kind string, ok bool) {
	stem, kind, ok := strings.Cut(base, ".")
	if !ok || len(stem) < 8 {
		return 0, "", false
	}
	id, err := strconv.ParseUint(stem, 10, 64)
	if err != nil {
		return 0, "", false
	}
	switch kind {
	case "parquet", "idx":
		return id, "." + kind, true
	case "parquet" + TempSuffix, "idx" + TempSuffix:
		return id, TempSuffix, true
	}
	return 0, "", false
}

// Expiry counts bytes by deadline, in steps of a half power of two of tenths of
// a second after Base, so that it can be told how much has expired.
type Expiry struct {
	Base  int64 // microseconds
	Bytes [expirySteps]uint64
}

const expirySteps = 64

func (x *Expiry) step(expires int64) int {
	s := uint64(max(expires-x.Base, 0) / 100_000)
	n := bits.Len64(s)
	if n < 2 {
		return 0
	}
	half := int(s >> (n - 2) & 1)
	return min(2*n-3+half, expirySteps-2)
}

func (x *Expiry) add(expires int64, bytes int) { x.Bytes[x.step(expires)] += uint64(bytes) }

// Expired returns how many bytes have expired at now, or somewhat fewer.
func (x *Expiry) Expired(now int64) int64 {
	n, sum := x.step(now), uint64(0)
	for _, b := range x.Bytes[:n] {
		sum += b
	}
	return int64(sum)
}
