package journal

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// Never is the deadline, in microseconds since 1970, of what does not expire:
// 2200-01-01, so that SQL can compare it. Later deadlines are taken for it.
const Never = 7258118400 * 1_000_000

// Limits of what AppendEntry can encode. They are those of the disk format.
const (
	MaxKey   = 1<<16 - 1
	MaxCodec = 1<<8 - 1
	MaxTags  = 1<<16 - 1
)

const entryHeader = 8 + 8 + 8 + 8 + 1 + 2 + 2

var errEntry = errors.New("journal: malformed entry")

// Micros returns a deadline in microseconds, rounded down: never late.
func Micros(t time.Time) int64 {
	if t.IsZero() || t.Unix() >= Never/1_000_000 {
		return Never
	}
	return t.UnixMicro()
}

// FromMicros is the inverse of Micros.
func FromMicros(us int64) time.Time {
	if us >= Never {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

// AppendEntry appends the encoding of an entry, all but the value, which
// follows it as a second part of the payload. written is when the entry was
// written, in microseconds.
func AppendEntry(dst []byte, key string, e *store.Entry, written int64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, e.Version)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(Micros(e.Expires)))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(Micros(e.FreshUntil())))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(written))
	dst = append(dst, byte(len(e.Codec)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(key)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(e.Tags)))
	dst = append(dst, e.Codec...)
	dst = append(dst, key...)
	for _, tag := range e.Tags {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(tag)))
		dst = append(dst, tag...)
	}
	return dst
}

// ParseEntry decodes what AppendEntry and a value make. The value aliases p.
func ParseEntry(p []byte) (key string, e store.Entry, written int64, err error) {
	if len(p) < entryHeader {
		return "", e, 0, errEntry
	}
	le := binary.LittleEndian
	e.Version = le.Uint64(p)
	e.Expires = FromMicros(int64(le.Uint64(p[8:])))
	e.Fresh = FromMicros(int64(le.Uint64(p[16:])))
	written = int64(le.Uint64(p[24:]))
	codec, klen, tags := int(p[32]), int(le.Uint16(p[33:])), int(le.Uint16(p[35:]))
	p = p[entryHeader:]
	if len(p) < codec+klen+2*tags {
		return "", e, 0, errEntry
	}
	e.Codec, key, p = string(p[:codec]), string(p[codec:codec+klen]), p[codec+klen:]
	if e.Fresh.Equal(e.Expires) {
		e.Fresh = time.Time{}
	}
	if tags > 0 {
		e.Tags = make([]string, 0, tags)
	}
	for range tags {
		if len(p) < 2 || len(p)-2 < int(le.Uint16(p)) {
			return "", e, 0, errEntry
		}
		n := 2 + int(le.Uint16(p))
		e.Tags = append(e.Tags, string(p[2:n]))
		p = p[n:]
	}
	e.Value = p
	return key, e, written, nil
}
