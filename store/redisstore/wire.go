package redisstore

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// errExpired: the entry has nothing left to live and is not sent.
var errExpired = errors.New("redisstore: expired")

// maxTTL is the longest time to live that is asked of Redis, which refuses what
// ends too late for its clock.
const maxTTL = 290 * 365 * 24 * time.Hour

// wireValue is a value as it is sent.
type wireValue struct {
	bytes  []byte
	ttl    time.Duration // whole milliseconds; 0: the key does not expire
	framed bool
}

// encode returns the wire form of e. A plain value that reads like a frame would
// be taken for one, so it is framed, plain key or not.
func (s *Store) encode(key string, e *store.Entry) (wireValue, error) {
	return s.encodeAt(time.Now(), nil, key, e)
}

// encodeAt is encode at a given time, with the frame in frames unless that is nil.
func (s *Store) encodeAt(now time.Time, frames *arena[byte], key string, e *store.Entry) (wireValue, error) {
	left, expires := e.TTL(now)
	if expires && left <= 0 {
		return wireValue{}, errExpired
	}
	left = min(left, maxTTL)
	plain, _ := s.wire(key)
	var ttl time.Duration
	if expires { // rounded down: the write itself takes some time
		ttl = max(left.Truncate(time.Millisecond), time.Millisecond)
	}
	if plain && !frame.Is(e.Value) {
		return wireValue{bytes: e.Value, ttl: ttl}, s.checkSize(len(e.Value))
	}
	size := frame.Size(e)
	if err := s.checkSize(size); err != nil {
		return wireValue{}, err
	}
	b, err := frame.Append(frames.take(size)[:0], key, e)
	return wireValue{bytes: b, ttl: ttl, framed: true}, err
}

func (s *Store) checkSize(n int) error {
	if int64(n) > s.opts.MaxValue {
		return fmt.Errorf("%w: %d bytes on the wire, at most %d are allowed", store.ErrTooLarge, n, s.opts.MaxValue)
	}
	return nil
}

// framed reports whether b is to be decoded as a frame. Under a key that is not
// declared plain, whatever begins like a frame has to be one.
func framed(b []byte, plain bool) bool {
	return frame.Is(b) || !plain && frame.Suspect(b)
}

// noTTL is the PTTL reply of a key without expiry, as go-redis returns it.
const noTTL = time.Duration(-1)

// plainEntry returns the entry of a plain value whose PTTL was asked for at
// sent. The deadline is counted from then, so that it never comes out later than
// it is. ok is false where the key was gone when PTTL ran.
func plainEntry(b []byte, pttl time.Duration, sent time.Time, grace time.Duration) (e store.Entry, ok bool) {
	e.Value = b
	switch {
	case pttl == noTTL:
		return e, true
	case pttl < 0:
		return store.Entry{}, false
	}
	e.Expires = sent.Add(pttl)
	if grace > 0 {
		e.Fresh = e.Expires.Add(-grace)
	}
	return e, true
}

// bytesOf returns the bytes of a reply without copying them. Entries are
// read-only for those who get them, as strings are.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
