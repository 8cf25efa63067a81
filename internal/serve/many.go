package serve

import (
	"errors"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// mget asks for all that memory lacks at once.
func mget(c *conn, args [][]byte) {
	keys := args[1:]
	if c.held {
		c.mget(keys)
		return
	}
	// Without locks, unless something that writes several keys is, or was, under way.
	start := len(c.w.Buf)
	rounds := c.s.locks.rounds.Load()
	if c.s.locks.multi.Load() == 0 {
		c.mget(keys)
		if c.s.locks.rounds.Load() == rounds {
			return
		}
		c.w.Buf = c.w.Buf[:start]
	}
	s := c.s.locks.lockAll(keys, false)
	defer c.s.locks.unlockAll(s)
	c.mget(keys)
}

func (c *conn) mget(keys [][]byte) {
	start := len(c.w.Buf)
	c.w.Array(len(keys))
	for _, key := range keys {
		v, newVal, ok := c.s.peek.Peek(text(key), c.val[:0])
		c.val = newVal
		if !ok {
			c.w.Buf = c.w.Buf[:start]
			c.mgetAll(keys)
			return
		}
		c.w.Bulk(v)
		if c.overflows(start) {
			return
		}
	}
	c.did.hits.Add(uint64(len(keys)))
}

// mgetAll is mget for keys of which memory lacks some.
func (c *conn) mgetAll(keys [][]byte) {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = string(key)
	}
	found, err := store.GetMany(c.s.ctx, c.s.store, slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" }))
	if err = notFound(err); err != nil {
		c.failed(err)
		return
	}
	now, start := time.Now(), len(c.w.Buf)
	c.w.Array(len(keys))
	for _, name := range names {
		e, ok := found[name]
		c.reply(e.Value, ok && !e.Stale(now), nil)
		if c.overflows(start) {
			return
		}
	}
}

// overflows replaces a reply that has grown beyond MaxReply by an error.
func (c *conn) overflows(start int) bool {
	if len(c.w.Buf) <= c.s.opts.MaxReply {
		return false
	}
	c.w.Buf = c.w.Buf[:start]
	c.fail(errReply)
	return true
}

const errReply = "ERR the reply is too large"

// notFound drops what only says that there is nothing.
func notFound(err error) error {
	var be *store.BatchError
	if !errors.As(err, &be) {
		return err
	}
	for _, kerr := range be.Errs {
		if !errors.Is(kerr, store.ErrNotFound) && !errors.Is(kerr, store.ErrInvalidKey) {
			return kerr
		}
	}
	return nil
}

func mset(c *conn, args [][]byte)   { c.msetUnless(args, "mset", false) }
func msetnx(c *conn, args [][]byte) { c.msetUnless(args, "msetnx", true) }

func (c *conn) msetUnless(args [][]byte, cmd string, nx bool) {
	if len(args)%2 == 0 {
		c.fail("ERR wrong number of arguments for '" + cmd + "' command")
		return
	}
	keys := make([][]byte, 0, len(args)/2)
	for i := 1; i < len(args); i += 2 {
		keys = append(keys, args[i])
	}
	if !c.held {
		s := c.s.locks.begin(keys, false)
		defer c.s.locks.end(s)
	}
	if nx {
		for _, key := range keys {
			if ok, err := c.exists(key); ok || err != nil {
				c.answerMset(nx, false, err)
				return
			}
		}
	}
	entries := make(map[string]store.Entry, len(keys))
	for i, key := range keys {
		c.s.locks.of(key).touch(key)
		entries[string(key)] = store.Entry{Value: slices.Clone(args[2*i+2])}
	}
	err := store.SetMany(c.s.ctx, c.s.store, entries)
	var be *store.BatchError
	if errors.As(err, &be) {
		for _, err = range be.Errs {
			break
		}
	}
	c.answerMset(nx, true, refusal(err))
}

func (c *conn) answerMset(nx, done bool, err error) {
	switch {
	case err != nil:
		c.failed(err)
	case nx:
		c.yes(done)
	default:
		c.w.Simple("OK")
	}
}
