package redisstore

import (
	"bytes"
	"context"
	"crypto/sha1" // what Redis offers to compare values by
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// replaceSource writes a value where the key holds what has a given digest, so that
// the old value needs not be sent back.
const replaceSource = `local old = redis.call('GET', KEYS[1])
if not old or redis.sha1hex(old) ~= ARGV[3] then return 0 end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1`

// touchPlainSource gives a plain value that has a given digest another time to
// live.
const touchPlainSource = `local old = redis.call('GET', KEYS[1])
if not old or redis.sha1hex(old) ~= ARGV[2] then return 0 end
if ARGV[1] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1`

// touchFrameSource overwrites the head of a frame with another of the same length.
// The head that is there has to be the one expected: its checksum covers the value.
const touchFrameSource = `if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then return 0 end
redis.call('SETRANGE', KEYS[1], 0, ARGV[3])
if ARGV[1] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1`

var (
	replaceScript    = newScript(replaceSource)
	touchPlainScript = newScript(touchPlainSource)
	touchFrameScript = newScript(touchFrameSource)
)

var (
	_ store.Replacer = (*Store)(nil)
	_ store.Toucher  = (*Store)(nil)
)

// Replace stores e unless Redis holds an entry of key that is neither older nor
// old. A plain value does not tell its age: it is replaced if it has the bytes of
// old, which Redis compares by their SHA-1.
func (s *Store) Replace(ctx context.Context, key string, old, e store.Entry) (stored bool, err error) {
	const op = "replace"
	if err := s.checkKey(ctx, op, key); err != nil {
		return false, err
	}
	v, err := s.encode(key, &e)
	switch {
	case errors.Is(err, errExpired):
		return false, nil
	case err != nil:
	case v.framed:
		stored, err = s.replaceFrame(ctx, key, v, &old)
	default:
		stored, err = s.runBool(ctx, replaceScript, key, v.bytes, v.ttl.Milliseconds(), digest(old.Value))
		if err == nil && !stored { // it may be gone: by its deadline, or by a delete, which fills respect
			stored, err = s.fillPlain(ctx, key, v, e.Version)
		}
	}
	if err != nil {
		return false, s.fail(ctx, op, key, err)
	}
	if stored {
		s.count.sets.Add(1)
	} else {
		s.count.refused.Add(1)
	}
	return stored, nil
}

// replaceFrame is a fill, which compares versions, and where that was refused a
// comparison with the frame of old: its version is in the future, perhaps.
func (s *Store) replaceFrame(ctx context.Context, key string, v wireValue, old *store.Entry) (bool, error) {
	stored, err := s.compareAndSet(ctx, new(writeBatch), key, &v, fillMode)
	if stored || err != nil {
		return stored, err
	}
	was, err := frame.Append(nil, key, old)
	if err != nil {
		return false, err
	}
	return s.runBool(ctx, replaceScript, key, v.bytes, v.ttl.Milliseconds(), digest(was))
}

// Touch gives key's entry new deadlines without sending its value either way: of a
// framed entry the head is read and written again, with the checksum that follows
// from it; a plain value gets another time to live, if it has the bytes of old.
func (s *Store) Touch(ctx context.Context, key string, old, e store.Entry) (touched bool, err error) {
	const op = "touch"
	if err := s.checkKey(ctx, op, key); err != nil {
		return false, err
	}
	left, expires := e.TTL(time.Now())
	if expires && left <= 0 {
		return false, nil
	}
	var ttl int64
	if expires {
		ttl = max(min(left, maxTTL).Milliseconds(), 1)
	}
	if plain, _ := s.wire(key); plain && !frame.Is(old.Value) {
		if old.Value == nil {
			return false, nil // nothing to tell it by
		}
		touched, err = s.runBool(ctx, touchPlainScript, key, ttl, digest(old.Value))
	} else {
		touched, err = s.touchFrame(ctx, key, old.Version, &e, ttl)
	}
	if err != nil {
		return false, s.fail(ctx, op, key, err)
	}
	return touched, nil
}

func (s *Store) touchFrame(ctx context.Context, key string, version uint64, e *store.Entry, ttl int64) (bool, error) {
	name := s.opts.Prefix + key
	get := redis.NewStringCmd(ctx, "getrange", name, 0, frame.HeadLen-1)
	size := redis.NewIntCmd(ctx, "strlen", name)
	if _, err := s.calls.Read(ctx, get, size); err != nil {
		return false, err
	}
	head := []byte(get.Val())
	renewed, ok := frame.Renew(key, bytes.Clone(head), size.Val(), version, e)
	if !ok {
		return false, nil
	}
	return s.runBool(ctx, touchFrameScript, key, ttl, head[:len(renewed)], renewed)
}

// runBool runs a script of one key that answers 1 or 0.
func (s *Store) runBool(ctx context.Context, sc script, key string, args ...any) (bool, error) {
	cmd, err := s.run(ctx, sc, key, args...)
	if err != nil {
		return false, err
	}
	n, err := cmd.Int()
	return n == 1, err
}

func digest(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}
