package redisstore

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// A delete of a given version leaves something behind for a while, so that a fill
// of something older, by a process that began to load before the delete, is
// refused. Under a framed key it is a frame of its own kind in the place of the
// value, which readers take for an absent key. A plain key must look absent to
// every program: there, a key beside it remembers the version.

// DefaultTombstone is how long a delete is remembered unless told otherwise.
const DefaultTombstone = 5 * time.Minute

// gravePrefix begins the keys that remember deletes of plain keys.
const gravePrefix = "__strata:gone:"

const (
	// versionSource compares two versions of 8 bytes, big endian.
	versionSource = `local function newer(a, b)
  local ah, al = struct.unpack('>I4I4', a)
  local bh, bl = struct.unpack('>I4I4', b)
  return ah > bh or ah == bh and al > bl
end
`
	graveSource = versionSource + `local old = redis.call('GET', KEYS[1])
if old and not newer(ARGV[1], old) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	plainFillSource = versionSource + `local gone = redis.call('GET', KEYS[2])
if gone and not newer(ARGV[3], gone) then return 0 end
local done
if ARGV[2] == '0' then
  done = redis.call('SET', KEYS[1], ARGV[1], 'NX')
else
  done = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
end
return done and 1 or 0`
)

var (
	graveScript     = newScript(graveSource)
	plainFillScript = newScript(plainFillSource)
)

// besideName returns the name of a key that belongs to the key called name, in the
// same slot of a Cluster, for scripts that look at both; ok is false for the few
// names that no hash tag can stand for.
func (s *Store) besideName(prefix, name string) (beside string, ok bool) {
	if open := strings.IndexByte(name, '{'); open >= 0 {
		if n := strings.IndexByte(name[open+1:], '}'); n > 0 {
			return prefix + name[open:open+n+2] + ":" + name, true
		}
	}
	return prefix + "{" + name + "}", s.single || !strings.Contains(name, "}")
}

// TombstoneTTL implements store.Tombstoner.
func (s *Store) TombstoneTTL() time.Duration { return max(s.opts.Tombstone, 0) }

// DeleteVersions implements store.Tombstoner, in one round trip for each 512 keys.
// What is under a plain key has no version: it is removed, whatever its age.
func (s *Store) DeleteVersions(ctx context.Context, versions map[string]uint64) error {
	const op = "delete"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	if s.opts.Tombstone < 0 {
		keys := make([]string, 0, len(versions))
		for key := range versions {
			keys = append(keys, key)
		}
		return s.DeleteMany(ctx, keys)
	}
	var failed *store.BatchError
	burials := make([]burial, 0, min(len(versions), batchKeys))
	for key, version := range versions {
		if key == "" {
			failed = failed.Add(key, s.fail(ctx, op, key, store.ErrInvalidKey))
			continue
		}
		if len(burials) == batchKeys {
			failed = s.bury(ctx, burials, failed)
			burials = burials[:0]
		}
		burials = append(burials, s.prepareBurial(ctx, key, version))
	}
	return s.bury(ctx, burials, failed).ErrOrNil()
}

// burial is the delete of one key on its way.
type burial struct {
	key    string
	args   []any // of the script; the first is what is left behind
	script script
	name   string // that the script is run on
	cmds   []redis.Cmder
}

func (s *Store) prepareBurial(ctx context.Context, key string, version uint64) burial {
	now, name := time.Now(), s.opts.Prefix+key
	life := s.opts.Tombstone.Milliseconds()
	b := burial{key: key, name: name}
	if plain, _ := s.wire(key); !plain {
		b.script = compareAndSetScript
		b.args = []any{frame.Tombstone(key, version, now.Add(s.opts.Tombstone)), life, now.UnixMicro(), setMode}
		b.cmds = []redis.Cmder{scriptCmd(ctx, "evalsha", b.script.digest, name, b.args)}
		return b
	}
	if grave, ok := s.besideName(gravePrefix, name); ok {
		b.name, b.script = grave, graveScript
		b.args = []any{binary.BigEndian.AppendUint64(nil, version), life}
		b.cmds = append(b.cmds, scriptCmd(ctx, "evalsha", b.script.digest, grave, b.args))
	}
	b.cmds = append(b.cmds, redis.NewIntCmd(ctx, "unlink", name))
	return b
}

// bury carries deletes out and adds what failed to failed.
func (s *Store) bury(ctx context.Context, burials []burial, failed *store.BatchError) *store.BatchError {
	if len(burials) == 0 {
		return failed
	}
	var cmds []redis.Cmder
	for i := range burials {
		cmds = append(cmds, burials[i].cmds...)
	}
	send := s.calls.WriteAlone
	if len(burials) == 1 {
		send = s.calls.Write
	}
	done, sendErr := send(ctx, cmds...)
	for i := range burials {
		b := &burials[i]
		err := sendErr
		if done {
			err = s.finishBurial(ctx, b)
		}
		if err != nil {
			failed = failed.Add(b.key, s.fail(ctx, "delete", b.key, err))
			continue
		}
		s.count.deletes.Add(1)
	}
	return failed
}

// finishBurial returns what came of a delete, and does what a server without the
// script, or a value of a foreign type, left undone.
func (s *Store) finishBurial(ctx context.Context, b *burial) error {
	for _, cmd := range b.cmds {
		err := cmd.Err()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			_, err = s.runNamed(ctx, b.script, []string{b.name}, b.args...)
		}
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			replace := redis.NewStatusCmd(ctx, "set", b.name, b.args[0], "px", s.opts.Tombstone.Milliseconds())
			_, err = s.calls.Write(ctx, replace)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fillPlain stores a plain value where there is none and no delete is remembered
// that is not older than version.
func (s *Store) fillPlain(ctx context.Context, key string, v wireValue, version uint64) (bool, error) {
	name := s.opts.Prefix + key
	grave, ok := s.besideName(gravePrefix, name)
	if !ok || s.opts.Tombstone < 0 {
		return s.setAbsent(ctx, name, v)
	}
	cmd, err := s.runNamed(ctx, plainFillScript, []string{name, grave},
		v.bytes, v.ttl.Milliseconds(), binary.BigEndian.AppendUint64(nil, version))
	if err != nil {
		return false, err
	}
	n, err := cmd.Int()
	return n == 1, err
}
