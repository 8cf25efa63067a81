// Package frame is the framed form of a value: an entry with its deadlines,
// version, tags and codec name in one self-checking string of bytes, for stores
// that hold nothing but bytes per key (Redis, a gocache store).
//
// # Format 1
//
// All integers are big endian.
//
//	offset  size
//	     0     3  magic: C1 73 74
//	     3     1  format: 01
//	     4     4  CRC-32C (Castagnoli) of bytes 0 to 3, bytes 8 to the end, and the key
//	     8     8  version of the entry; 0: unknown
//	    16     1  flags: 1 expires, 2 fresh, 4 codec, 8 tags, 16 deleted; the others are zero
//	    17     8  hard deadline, signed microseconds since the Unix epoch; with flag 1
//	           8  soft deadline, likewise; with flag 2
//	         1+n  codec name: length, then bytes; with flag 4
//	           *  tags: their number, then for each its length and bytes, numbers as
//	              unsigned varints (protobuf's); with flag 8
//	           *  the value, to the end
//
// With flag 16 the frame is a tombstone: the key was deleted by an operation of
// that version, and there is no value. It lives until its deadline, so that what is
// older cannot be filled in again meanwhile.
//
// The magic begins no value that other programs write: the byte C1 is in no
// UTF-8 text (so in no JSON and no number in digits), starts no msgpack value
// (it is the one code msgpack never uses), no Parquet file, no zstd or gzip
// stream and no pickle. In CBOR it is the tag of a time in seconds, which 73
// (the start of a 19-byte text) cannot follow.
//
// The key is part of the checksum, so that a value that arrives under the wrong
// key is damage and not an answer. It is the key without the store's prefix.
package frame

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"
	"unsafe"

	"github.com/stratacache/strata/store"
)

const (
	magic  = "\xc1st"
	format = 1

	crcOffset     = 4
	versionOffset = 8
	flagsOffset   = 16
	// HeaderLen is the length of the fixed part, which ends with the flags. The
	// version is its bytes VersionOffset to VersionOffset+8.
	HeaderLen = 17
	// VersionOffset is where the version lies, for scripts that compare it.
	VersionOffset = versionOffset

	// MaxCodecName is the longest codec name, in bytes.
	MaxCodecName = math.MaxUint8
)

const (
	flagExpires = 1 << iota
	flagFresh
	flagCodec
	flagTags
	flagDeleted
	allFlags = flagExpires | flagFresh | flagCodec | flagTags | flagDeleted
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Is reports whether b is a frame, sound or damaged.
func Is(b []byte) bool { return len(b) >= len(magic) && string(b[:len(magic)]) == magic }

// Suspect reports whether b begins with the first byte of a frame. Where only
// frames and text are written, such a value that is no sound frame is damage.
func Suspect(b []byte) bool { return len(b) > 0 && b[0] == magic[0] }

// Newer reports whether b is of a format that this program does not know yet.
func Newer(b []byte) bool { return Is(b) && len(b) > len(magic) && b[len(magic)] > format }

// Size returns the length of the frame of e.
func Size(e *store.Entry) int {
	n := HeaderLen + len(e.Value)
	if !e.Expires.IsZero() {
		n += 8
	}
	if !e.Fresh.IsZero() {
		n += 8
	}
	if e.Codec != "" {
		n += 1 + len(e.Codec)
	}
	if len(e.Tags) > 0 {
		n += uvarintLen(len(e.Tags))
		for _, tag := range e.Tags {
			n += uvarintLen(len(tag)) + len(tag)
		}
	}
	return n
}

// Append appends the frame of e under key to dst. Deadlines are cut to the
// microsecond, downwards. It fails only on a codec name longer than
// MaxCodecName.
func Append(dst []byte, key string, e *store.Entry) ([]byte, error) {
	if len(e.Codec) > MaxCodecName {
		return dst, fmt.Errorf("strata: codec name of %d bytes, at most %d fit", len(e.Codec), MaxCodecName)
	}
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, format, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, e.Version)
	dst = append(dst, 0)
	flags := byte(0)
	if !e.Expires.IsZero() {
		flags |= flagExpires
		dst = binary.BigEndian.AppendUint64(dst, uint64(micros(e.Expires)))
	}
	if !e.Fresh.IsZero() {
		flags |= flagFresh
		dst = binary.BigEndian.AppendUint64(dst, uint64(micros(e.Fresh)))
	}
	if e.Codec != "" {
		flags |= flagCodec
		dst = append(dst, byte(len(e.Codec)))
		dst = append(dst, e.Codec...)
	}
	if len(e.Tags) > 0 {
		flags |= flagTags
		dst = appendTags(dst, e.Tags)
	}
	dst = append(dst, e.Value...)
	b := dst[start:]
	b[flagsOffset] = flags
	binary.BigEndian.PutUint32(b[crcOffset:], checksum(key, b))
	return dst, nil
}

// Tombstone returns the frame that stands for the deletion of key by an operation
// of the given version.
func Tombstone(key string, version uint64, expires time.Time) []byte {
	b := make([]byte, 0, HeaderLen+8)
	b = append(b, magic...)
	b = append(b, format, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, version)
	b = append(b, flagExpires|flagDeleted)
	b = binary.BigEndian.AppendUint64(b, uint64(micros(expires)))
	binary.BigEndian.PutUint32(b[crcOffset:], checksum(key, b))
	return b
}

// Version returns the version in the head of a frame, of which the first HeaderLen
// bytes are enough. ok is false for what is no frame of this format: the version of
// that is unknown.
func Version(head []byte) (version uint64, ok bool) {
	if len(head) < HeaderLen || !Is(head) || head[len(magic)] != format {
		return 0, false
	}
	return binary.BigEndian.Uint64(head[versionOffset:]), true
}

// Deleted reports whether b looks like a tombstone, by its header alone.
func Deleted(b []byte) bool {
	return len(b) >= HeaderLen && Is(b) && b[len(magic)] == format && b[flagsOffset]&flagDeleted != 0
}

func appendTags(dst []byte, tags []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(tags)))
	for _, tag := range tags {
		dst = binary.AppendUvarint(dst, uint64(len(tag)))
		dst = append(dst, tag...)
	}
	return dst
}

// Decode returns the entry that b holds under key. Its Value is a part of b, and
// nothing else is. Any fault is an error for which errors.Is(err,
// store.ErrCorrupt) holds, a newer format among them: nothing in b can be
// trusted then. A sound tombstone is store.ErrNotFound. Memory is in proportion to
// len(b), whatever b says.
func Decode(key string, b []byte) (store.Entry, error) {
	switch {
	case !Is(b):
		return store.Entry{}, fault("no frame")
	case len(b) < HeaderLen:
		return store.Entry{}, fault("cut off in the header")
	case b[len(magic)] != format:
		return store.Entry{}, fault(fmt.Sprintf("frame format %d, this program reads %d", b[len(magic)], format))
	case binary.BigEndian.Uint32(b[crcOffset:]) != checksum(key, b):
		return store.Entry{}, fault("checksum does not match")
	case b[flagsOffset]&^allFlags != 0:
		return store.Entry{}, fault("unknown flags")
	case b[flagsOffset]&flagDeleted != 0:
		return store.Entry{}, store.ErrNotFound
	}
	e := store.Entry{Version: binary.BigEndian.Uint64(b[versionOffset:])}
	r := reader{rest: b[HeaderLen:], ok: true}
	flags := b[flagsOffset]
	if flags&flagExpires != 0 {
		e.Expires = r.time()
	}
	if flags&flagFresh != 0 {
		e.Fresh = r.time()
	}
	if flags&flagCodec != 0 {
		e.Codec = codecName(r.take(r.byte()))
	}
	if flags&flagTags != 0 {
		e.Tags = r.tags()
	}
	if !r.ok {
		return store.Entry{}, fault("lengths exceed the frame")
	}
	e.Value = r.rest
	return e, nil
}

// checksum covers all of b but the checksum itself, and the key.
func checksum(key string, b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:crcOffset])
	c = crc32.Update(c, castagnoli, b[versionOffset:])
	// The key's bytes are only read: no copy is needed.
	return crc32.Update(c, castagnoli, unsafe.Slice(unsafe.StringData(key), len(key)))
}

func fault(what string) error { return fmt.Errorf("%w: %s", store.ErrCorrupt, what) }

// micros returns t in microseconds since the epoch, rounded down, also before
// it. Times beyond the range of an int64 are the end of it.
func micros(t time.Time) int64 {
	sec := t.Unix()
	switch {
	case sec > math.MaxInt64/1_000_000-1:
		return math.MaxInt64
	case sec < math.MinInt64/1_000_000+1:
		return math.MinInt64
	}
	return sec*1_000_000 + int64(t.Nanosecond())/1000
}

func uvarintLen(n int) int {
	var buf [binary.MaxVarintLen64]byte
	return binary.PutUvarint(buf[:], uint64(n))
}

// codecName returns b as a string, without allocation for the usual names.
func codecName(b []byte) string {
	switch string(b) {
	case "json":
		return "json"
	case "text":
		return "text"
	case "bytes":
		return "bytes"
	case "cbor":
		return "cbor"
	case "msgpack":
		return "msgpack"
	case "proto":
		return "proto"
	case "parquet":
		return "parquet"
	}
	return string(b)
}

// reader takes fields off the front of rest. Once ok is false it takes nothing.
type reader struct {
	rest []byte
	ok   bool
}

func (r *reader) take(n uint64) []byte {
	if !r.ok || n > uint64(len(r.rest)) {
		r.ok = false
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() uint64 {
	b := r.take(1)
	if !r.ok {
		return 0
	}
	return uint64(b[0])
}

func (r *reader) time() time.Time {
	b := r.take(8)
	if !r.ok {
		return time.Time{}
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b)))
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.ok = false
		return 0
	}
	r.take(uint64(n))
	return v
}

// tags reads the list of tags. All share one string, so that a list costs two
// allocations.
func (r *reader) tags() []string {
	count := r.uvarint()
	if !r.ok || count > uint64(len(r.rest)) { // each takes a byte at least
		r.ok = false
		return nil
	}
	scan := *r
	for range count {
		scan.take(scan.uvarint())
	}
	if !scan.ok {
		r.ok = false
		return nil
	}
	all := string(r.rest[:len(r.rest)-len(scan.rest)])
	tags := make([]string, 0, count)
	for range count {
		n := r.uvarint()
		at := len(all) - (len(r.rest) - len(scan.rest))
		tags = append(tags, all[at:at+int(n)])
		r.take(n)
	}
	return tags
}
