package redisstore

import (
	"cmp"
	"context"
	"errors"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// write is one entry of a batch on its way.
type write struct {
	key string
	v   wireValue
	cmd redis.Cmder
	at  int // its place among the keys of cmd, where that is a script for many
}

// scriptKeys is how many keys share the call of a script, which keeps the server from
// its other clients while it runs: half a millisecond.
const scriptKeys = 64

// writeBatch is what one round trip writes, one value or many, and the memory that its
// commands point into. That is used again for a later batch once go-redis has let go of it.
type writeBatch struct {
	now     time.Time // when the first write was prepared: deadlines count from there
	size    int       // bytes of values
	writes  []write
	cmds    []redis.Cmder
	scripts [][]int // which writes share a script, of those that have no command yet
	frames  arena[byte]
	args    arena[any]
	texts   arena[string] // of the values: a pointer to one needs no allocation as an argument
	life    any           // the last time to live, as an argument
}

// arena hands out parts of a slice. Where the slice is too short a longer one takes
// its place; what was handed out before stays with those who have it.
type arena[T any] struct{ all []T }

// take returns n elements, of any content. Of a nil arena they are new.
func (a *arena[T]) take(n int) []T {
	if a == nil {
		return make([]T, n)
	}
	from := len(a.all)
	if cap(a.all)-from < n {
		a.all, from = make([]T, 0, max(2*cap(a.all), n)), 0
	}
	a.all = a.all[:from+n]
	return a.all[from : from+n : from+n]
}

// full reports whether a value of n bytes is too much for the round trip.
func (w *writeBatch) full(n int) bool {
	return len(w.writes) == batchKeys || len(w.writes) > 0 && w.size+n > batchBytes
}

// empty forgets the writes. No command of theirs may be in use any more.
func (w *writeBatch) empty() {
	clear(w.writes)
	clear(w.cmds)
	clear(w.args.all)
	clear(w.texts.all)
	w.writes, w.cmds, w.size, w.scripts = w.writes[:0], w.cmds[:0], 0, nil
	w.frames.all, w.args.all, w.texts.all = w.frames.all[:0], w.args.all[:0], w.texts.all[:0]
}

// set is the unconditional write of v.
func (w *writeBatch) set(ctx context.Context, name string, v *wireValue) *redis.StatusCmd {
	if v.ttl == 0 {
		return redis.NewStatusCmd(ctx, append(w.args.take(3)[:0], "set", name, w.text(v))...)
	}
	return redis.NewStatusCmd(ctx, append(w.args.take(5)[:0], "set", name, w.text(v), "px", w.ms(v))...)
}

// compareAndSet is the call of the script for v alone.
func (w *writeBatch) compareAndSet(ctx context.Context, verb, script, name string, v *wireValue, now time.Time, mode any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, append(w.args.take(8)[:0], verb, script, 1, name, w.text(v), w.ms(v), now.UnixMicro(), mode)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// text returns the value as an argument.
func (w *writeBatch) text(v *wireValue) *string {
	text := &w.texts.take(1)[0]
	*text = unsafe.String(unsafe.SliceData(v.bytes), len(v.bytes))
	return text
}

// ms returns the time to live as an argument, the same one while it stays the same.
func (w *writeBatch) ms(v *wireValue) any {
	if ms := v.ttl.Milliseconds(); w.life != ms {
		w.life = ms
	}
	return w.life
}

// newBatch returns an empty batch, one that was used before if there is any.
func (s *Store) newBatch() *writeBatch {
	if w, ok := s.batches.Get().(*writeBatch); ok {
		return w
	}
	return new(writeBatch)
}

// SetMany writes entries in pipelines of up to 512 keys and 4 MiB.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	return s.setMany(ctx, entries, s.ordered.Load())
}

// SetNewer implements store.NewerSetter. Plain values do not tell their age and are
// stored only where there is no value at all, as by Fill.
func (s *Store) SetNewer(ctx context.Context, entries map[string]store.Entry) error {
	framed, plain := make(map[string]store.Entry, len(entries)), make(map[string]store.Entry)
	for key, e := range entries {
		if is, _ := s.wire(key); is {
			plain[key] = e
		} else {
			framed[key] = e
		}
	}
	err, plainErr := s.setMany(ctx, framed, true), store.FillMany(ctx, s, plain)
	be, other := (*store.BatchError)(nil), (*store.BatchError)(nil)
	if !errors.As(err, &be) || !errors.As(plainErr, &other) {
		return cmp.Or(err, plainErr) // at most one failed, or all did
	}
	for key, kerr := range other.Errs {
		be = be.Add(key, kerr)
	}
	return be
}

// setMany is SetMany; ordered says whether a newer version is to stay.
func (s *Store) setMany(ctx context.Context, entries map[string]store.Entry, ordered bool) error {
	const op = "set"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	var failed *store.BatchError
	w := s.newBatch()
	for key, e := range entries {
		if w.full(frame.Size(&e)) {
			failed = s.send(ctx, w, failed)
			w = s.newBatch()
		}
		if err := s.prepare(ctx, w, key, &e, ordered); err != nil {
			failed = failed.Add(key, s.fail(ctx, op, key, err))
		}
	}
	return s.send(ctx, w, failed).ErrOrNil()
}

// prepare adds to w the command that Set would send for e.
func (s *Store) prepare(ctx context.Context, w *writeBatch, key string, e *store.Entry, ordered bool) error {
	if key == "" {
		return store.ErrInvalidKey
	}
	if len(w.writes) == 0 {
		w.now = time.Now()
	}
	v, err := s.encodeAt(w.now, &w.frames, key, e)
	name := s.opts.Prefix + key
	var cmd redis.Cmder
	switch {
	case err == errExpired: //nolint:errorlint // never wrapped
		cmd = redis.NewIntCmd(ctx, "unlink", name)
	case err != nil:
		return err
	case v.framed && ordered && e.Version != 0 && s.single:
		w.share(len(w.writes))
	case v.framed && ordered && e.Version != 0:
		cmd = w.compareAndSet(ctx, "evalsha", compareAndSetScript.digest, name, &v, w.now, setMode)
	default:
		cmd = w.set(ctx, name, &v)
	}
	w.writes = append(w.writes, write{key: key, v: v, cmd: cmd})
	if cmd != nil {
		w.cmds = append(w.cmds, cmd)
	}
	w.size += len(v.bytes)
	return nil
}

// share has the i-th write carried out by a script for many.
func (w *writeBatch) share(i int) {
	if n := len(w.scripts); n == 0 || len(w.scripts[n-1]) == scriptKeys {
		w.scripts = append(w.scripts, make([]int, 0, scriptKeys))
	}
	last := &w.scripts[len(w.scripts)-1]
	*last = append(*last, i)
}

// addScripts makes the commands of the writes that share one.
func (s *Store) addScripts(ctx context.Context, w *writeBatch) {
	for _, group := range w.scripts {
		cmd := redis.NewCmd(ctx, w.scriptArgs(s, group, "evalsha", compareAndSetManyScript.digest)...)
		cmd.SetFirstKeyPos(3)
		for at, i := range group {
			w.writes[i].cmd, w.writes[i].at = cmd, at
		}
		w.cmds = append(w.cmds, cmd)
	}
}

// scriptArgs returns the call of the script for many for a group of writes.
func (w *writeBatch) scriptArgs(s *Store, group []int, verb, script string) []any {
	args := append(w.args.take(5 + 3*len(group))[:0], verb, script, len(group))
	for _, i := range group {
		args = append(args, s.opts.Prefix+w.writes[i].key)
	}
	args = append(args, w.now.UnixMicro(), setMode)
	for _, i := range group {
		v := &w.writes[i].v
		args = append(args, w.text(v), w.ms(v))
	}
	return args
}

// send carries w out and adds what failed to failed. w may not be used afterwards.
func (s *Store) send(ctx context.Context, w *writeBatch, failed *store.BatchError) *store.BatchError {
	if len(w.writes) == 0 {
		return failed
	}
	s.addScripts(ctx, w)
	done, sendErr := s.calls.WriteAlone(ctx, w.cmds...)
	if done {
		sendErr = s.runUnknown(ctx, w, sendErr)
	}
	if done && sendErr == nil && !w.refused() {
		s.count.sets.Add(uint64(len(w.writes)))
		s.keep(w)
		return failed
	}
	for i := range w.writes {
		x, err := &w.writes[i], sendErr
		if done {
			err = x.cmd.Err()
		}
		if done && (redis.HasErrorPrefix(err, "NOSCRIPT") || x.refused()) {
			_, err = s.compareAndSet(ctx, w, x.key, &x.v, setMode)
		}
		if err != nil {
			failed = failed.Add(x.key, s.fail(ctx, "set", x.key, err))
			continue
		}
		s.count.sets.Add(1)
	}
	return failed
}

// runUnknown runs those scripts for many by their text that the server did not know,
// and returns the first error of the batch, which was err before.
func (s *Store) runUnknown(ctx context.Context, w *writeBatch, err error) error {
	if !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return err
	}
	err = nil
	for _, group := range w.scripts {
		old := w.writes[group[0]].cmd
		if !redis.HasErrorPrefix(old.Err(), "NOSCRIPT") {
			continue
		}
		cmd := redis.NewCmd(ctx, w.scriptArgs(s, group, "eval", compareAndSetManyScript.text)...)
		cmd.SetFirstKeyPos(3)
		done, cerr := s.calls.WriteAlone(ctx, cmd)
		if !done { // its reply may not be looked at
			cmd = redis.NewCmd(ctx)
			cmd.SetErr(cerr)
		}
		for _, i := range group {
			w.writes[i].cmd = cmd
		}
	}
	for i := range w.writes {
		err = cmp.Or(err, w.writes[i].cmd.Err())
	}
	return err
}

// refused reports whether a script for many says that the key is of another type.
func (x *write) refused() bool {
	cmd, ok := x.cmd.(*redis.Cmd)
	if !ok || cmd.Err() != nil {
		return false
	}
	digits, ok := cmd.Val().(string)
	return ok && x.at < len(digits) && digits[x.at] == '2'
}

func (w *writeBatch) refused() bool {
	for i := range w.writes {
		if w.writes[i].refused() {
			return true
		}
	}
	return false
}

// keep keeps w for a later batch. The server has answered all its commands: they
// have been read from w's memory to the last byte, and nobody will read them there
// again. After any failure, of which a context's end is one, w is the collector's.
func (s *Store) keep(w *writeBatch) {
	if cap(w.frames.all) <= 2*batchBytes {
		w.empty()
		s.batches.Put(w)
	}
}
