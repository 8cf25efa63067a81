package packstore

import (
	"encoding/binary"
	"math"

	"github.com/stratacache/strata/store"
)

// A record of the log, padded to 8 bytes:
//
//	0  key length, 2 bytes
//	2  value length, 2 bytes
//	4  flags, 1 byte
//	5  epoch, 3 bytes
//	8  version, 8 bytes
//	   expires, 8 bytes, if flagExpires
//	   fresh and hot, 8 bytes each, if flagSoft
//	   key, value
const headSize = 16

const (
	flagExpires = 1 << iota
	flagSoft
	flagEntry // set by Set, not by SetObject
)

const (
	never    = int64(math.MaxInt64)
	maxEpoch = 1<<24 - 1
)

// record is one record in place.
type record []byte

func (r record) keyLen() int   { return int(binary.LittleEndian.Uint16(r)) }
func (r record) valueLen() int { return int(binary.LittleEndian.Uint16(r[2:])) }
func (r record) flags() byte   { return r[4] }

// head is the offset of the key.
func (r record) head() int {
	n := headSize
	if r.flags()&flagExpires != 0 {
		n += 8
	}
	if r.flags()&flagSoft != 0 {
		n += 16
	}
	return n
}

func (r record) key() []byte {
	h := r.head()
	return r[h : h+r.keyLen()]
}

func (r record) value() []byte {
	h := r.head() + r.keyLen()
	return r[h : h+r.valueLen()]
}

// size is the length with the padding.
func (r record) size() int { return padded(r.head() + r.keyLen() + r.valueLen()) }

func padded(n int) int { return (n + 7) &^ 7 }

// expires is the hard deadline.
func (r record) expires() int64 {
	if r.flags()&flagExpires == 0 {
		return never
	}
	return int64(binary.LittleEndian.Uint64(r[headSize:]))
}

// expired reports whether the hard deadline has passed at now.
func (r record) expired(now int64) bool { return r.flags()&flagExpires != 0 && now >= r.expires() }

// version is that of the entry.
func (r record) version() uint64 { return binary.LittleEndian.Uint64(r[8:]) }

// unpack fills p, with a value that lies in the log.
func (r record) unpack(p *store.Packed) {
	p.Epoch = uint64(r[5]) | uint64(r[6])<<8 | uint64(r[7])<<16
	p.Version = r.version()
	p.Expires = r.expires()
	p.Fresh, p.Hot = p.Expires, p.Expires
	if r.flags()&flagSoft != 0 {
		h := r.head()
		p.Fresh = int64(binary.LittleEndian.Uint64(r[h-16:]))
		p.Hot = int64(binary.LittleEndian.Uint64(r[h-8:]))
	}
	p.Value = r.value()
}

// packedSize is the length of p's record under key, and its flags.
func packedSize(key string, p *store.Packed) (n int, flags byte) {
	n = headSize + len(key) + len(p.Value)
	if p.Expires != never {
		flags, n = flags|flagExpires, n+8
	}
	if p.Fresh != p.Expires || p.Hot != p.Expires {
		flags, n = flags|flagSoft, n+16
	}
	return padded(n), flags
}

// write puts p's record into r, which has its size.
func (r record) write(key string, p *store.Packed, flags byte) {
	binary.LittleEndian.PutUint16(r, uint16(len(key)))
	binary.LittleEndian.PutUint16(r[2:], uint16(len(p.Value)))
	r[4], r[5], r[6], r[7] = flags, byte(p.Epoch), byte(p.Epoch>>8), byte(p.Epoch>>16)
	binary.LittleEndian.PutUint64(r[8:], p.Version)
	n := headSize
	if flags&flagExpires != 0 {
		binary.LittleEndian.PutUint64(r[n:], uint64(p.Expires))
		n += 8
	}
	if flags&flagSoft != 0 {
		binary.LittleEndian.PutUint64(r[n:], uint64(p.Fresh))
		binary.LittleEndian.PutUint64(r[n+8:], uint64(p.Hot))
		n += 16
	}
	n += copy(r[n:], key)
	copy(r[n:], p.Value)
}
