package redisstore

import (
	"bytes"
	"context"
	"crypto/sha1" // what EVALSHA names scripts by
	_ "embed"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// compareAndSetFunction is run for framed values; see its own comments.
//
//go:embed compareandset.lua
var compareAndSetFunction string

var (
	// compareAndSetSource is for one key.
	compareAndSetSource = compareAndSetFunction + `
return compare_and_set(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])`

	// compareAndSetManySource is for many, each with a frame and a time to live behind
	// what all have. It returns a digit for each, 2 for one of another type.
	compareAndSetManySource = compareAndSetFunction + `
local done = {}
for i = 1, #KEYS do
  local n = compare_and_set(KEYS[i], ARGV[1 + 2 * i], ARGV[2 + 2 * i], ARGV[1], ARGV[2])
  done[i] = type(n) == 'table' and 2 or n
end
return table.concat(done)`
)

// dropSource removes a key that still begins with the bytes that were found to
// be damaged. The checksum is among them, so no other value is meant.
const dropSource = `if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then
  return redis.call('UNLINK', KEYS[1])
end
return 0`

var (
	compareAndSetScript     = newScript(compareAndSetSource)
	compareAndSetManyScript = newScript(compareAndSetManySource)
	dropScript              = newScript(dropSource)
)

// script is a Lua script with the digest that names it on a server. (The one of
// go-redis does not give its text back, which the second try needs.)
type script struct{ text, digest string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, digest: hex.EncodeToString(sum[:])}
}

// The modes of compareAndSetSource.
const (
	fillMode = "fill"
	setMode  = "set"
)

// Fill stores e unless Redis holds an entry of key that is not older. Framed
// entries are compared by version, by a script; a value without a frame is of
// version 0. A plain entry is stored only where there is no value at all, for a
// plain value does not tell its age. Either is refused where the key has been
// deleted by DeleteVersions not long ago, by an operation that is not older.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	const op = "fill"
	if err := s.checkKey(ctx, op, key); err != nil {
		return false, err
	}
	w := s.newBatch()
	v, err := s.encodeAt(time.Now(), &w.frames, key, &e)
	switch {
	case err == errExpired: //nolint:errorlint // never wrapped
		return false, nil
	case err != nil:
	case v.framed:
		if stored, err = s.compareAndSet(ctx, w, key, &v, fillMode); err == nil {
			s.keep(w)
		}
	default:
		stored, err = s.fillPlain(ctx, key, v, e.Version)
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

func (s *Store) setAbsent(ctx context.Context, name string, v wireValue) (bool, error) {
	args := []any{"set", name, v.bytes, "nx"}
	if v.ttl > 0 {
		args = append(args, "px", v.ttl.Milliseconds())
	}
	cmd := redis.NewBoolCmd(ctx, args...)
	if _, err := s.calls.Write(ctx, cmd); err == redis.Nil { //nolint:errorlint // never wrapped
		return false, nil
	} else if err != nil {
		return false, err
	}
	return cmd.Val(), nil
}

// compareAndSet writes v if what Redis holds is older, and reports whether it
// holds v afterwards. The command lies in w.
func (s *Store) compareAndSet(ctx context.Context, w *writeBatch, key string, v *wireValue, mode any) (bool, error) {
	now, name := time.Now(), s.opts.Prefix+key
	cmd := w.compareAndSet(ctx, "evalsha", compareAndSetScript.digest, name, v, now, mode)
	done, err := s.calls.Write(ctx, cmd)
	if done && redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = w.compareAndSet(ctx, "eval", compareAndSetScript.text, name, v, now, mode)
		_, err = s.calls.Write(ctx, cmd)
	}
	if err != nil {
		return false, err
	}
	n, err := cmd.Int()
	return n == 1, err
}

func compareAndSetArgs(v wireValue, now time.Time, mode string) []any {
	return []any{v.bytes, v.ttl.Milliseconds(), now.UnixMicro(), mode}
}

// run runs a script of one key by its digest, and by its text where the server
// does not know it: after a restart, say.
func (s *Store) run(ctx context.Context, sc script, key string, args ...any) (*redis.Cmd, error) {
	return s.runNamed(ctx, sc, []string{s.opts.Prefix + key}, args...)
}

func scriptCmd(ctx context.Context, verb, script, name string, args []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, append([]any{verb, script, 1, name}, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// dropDamaged removes the damaged frame b, so that the next load can be stored:
// its version cannot be trusted, and would keep fills away. A frame of a newer
// format is left to the newer program that wrote it. A failure is nothing to
// act on: the read that found the damage is reported in any case.
func (s *Store) dropDamaged(ctx context.Context, key string, b []byte) {
	if !frame.Is(b) || frame.Newer(b) {
		return
	}
	head := bytes.Clone(b[:min(len(b), frame.HeaderLen)]) // b itself may be large
	if _, err := s.run(ctx, dropScript, key, head); err != nil {
		s.count.errors.Add(1)
	}
}

// String names the store in logs, without anything secret.
func (s *Store) String() string {
	return fmt.Sprintf("redisstore(%s, prefix %q)", s.opts.Name, s.opts.Prefix)
}
