package frame

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/stratacache/strata/store"
)

// HeadLen is the length of the part of a frame that Renew may need: the header and
// two deadlines.
const HeadLen = HeaderLen + 16

// Renew returns the head of a frame with the version and the deadlines of e
// instead of its own, and the checksum of the whole frame that follows: what a
// client needs to renew an entry without moving its value. head is the frame's
// first HeadLen bytes, or all of it, and is overwritten; size is the length of the
// frame. The checksum is that of the new head if the old one's was right: damage
// stays damage. ok is false where the frame is not of that version, or would
// change its length.
func Renew(key string, head []byte, size int64, version uint64, e *store.Entry) (renewed []byte, ok bool) {
	if len(head) < HeaderLen || !Is(head) || head[len(magic)] != format || binary.BigEndian.Uint64(head[versionOffset:]) != version {
		return nil, false
	}
	at, flags := HeaderLen, head[flagsOffset]
	if flags&^(flagExpires|flagFresh|flagCodec|flagTags) != 0 {
		return nil, false // a tombstone, or nothing that this program knows
	}
	old := append([]byte(nil), head...)
	binary.BigEndian.PutUint64(head[versionOffset:], e.Version)
	for _, d := range []struct {
		flag byte
		zero bool
		t    int64
	}{{flagExpires, e.Expires.IsZero(), micros(e.Expires)}, {flagFresh, e.Fresh.IsZero(), micros(e.Fresh)}} {
		if (flags&d.flag != 0) == d.zero {
			return nil, false
		}
		if d.zero {
			continue
		}
		if len(head) < at+8 {
			return nil, false
		}
		binary.BigEndian.PutUint64(head[at:], uint64(d.t))
		at += 8
	}
	// A CRC is linear: what the bytes that changed do to it does not depend on those
	// that did not, only on how many follow, those of the key included.
	if size < int64(at) {
		return nil, false
	}
	patch(head[:at], old[:at], size-int64(at)+int64(len(key)))
	return head[:at], true
}

// patch puts the checksum of a frame that begins with head instead of old, with
// rest bytes after that, into head.
func patch(head, old []byte, rest int64) {
	diff := make([]byte, len(head)-versionOffset)
	for i := range diff {
		diff[i] = head[versionOffset+i] ^ old[versionOffset+i]
	}
	var zeros [4096]byte
	// Update complements its register on the way in and out; diff starts from 0.
	reg := crc32.Update(^uint32(0), castagnoli, diff)
	for rest > 0 {
		n := min(rest, int64(len(zeros)))
		reg = crc32.Update(reg, castagnoli, zeros[:n])
		rest -= n
	}
	binary.BigEndian.PutUint32(head[crcOffset:], binary.BigEndian.Uint32(old[crcOffset:])^^reg)
}
