package serve

import (
	"errors"
	"slices"
	"time"

	"github.com/stratacache/strata/store"
)

// maxRun bounds the GETs that are answered as one batch, for all their values are
// in memory at once.
const maxRun = 32

// next returns the next request: one that a run of GETs ended at, or the reader's.
func (c *conn) next() (args [][]byte, ok bool, err error) {
	if args, err = c.ahead, c.aheadErr; args != nil || err != nil {
		c.ahead, c.aheadErr = nil, nil
		return args, args != nil, err
	}
	return c.rd.Next()
}

// gather returns key, and those of the GETs that have arrived directly behind it,
// which leave the reader.
func (c *conn) gather(key []byte) []string {
	keys := []string{string(key)}
	for c.s.far && len(keys) < maxRun {
		args, ok, err := c.rd.Next()
		switch {
		case err != nil:
			c.aheadErr = err
			return keys
		case !ok:
			return keys
		case len(args) != 2 || lower(args[0]) != "get":
			c.ahead = args
			return keys
		}
		c.did.commands.Add(1)
		keys = append(keys, string(args[1]))
	}
	return keys
}

// getFar answers a GET that memory cannot. Where other tiers have to be asked, the
// GETs behind it go the way with it: a pipeline costs one round trip to Redis, not
// one for each key.
func (c *conn) getFar(key []byte) {
	keys := c.gather(key)
	if len(keys) == 1 {
		e, ok, err := c.get(key)
		c.reply(e.Value, ok, err)
		return
	}
	names := slices.DeleteFunc(slices.Clone(keys), func(s string) bool { return s == "" })
	rounds := c.s.locks.rounds.Load()
	found, err := store.GetMany(c.s.ctx, c.s.store, names)
	if c.s.locks.multi.Load() != 0 || c.s.locks.rounds.Load() != rounds { // as in mget
		raw := make([][]byte, len(keys))
		for i, k := range keys {
			raw[i] = []byte(k)
		}
		s := c.s.locks.lockAll(raw, false)
		found, err = store.GetMany(c.s.ctx, c.s.store, names)
		c.s.locks.unlockAll(s)
	}
	now := time.Now()
	for _, k := range keys {
		e, ok := found[k]
		var kerr error
		if !ok {
			kerr = store.KeyError(err, k)
		}
		if errors.Is(kerr, store.ErrNotFound) || errors.Is(kerr, store.ErrInvalidKey) || k == "" {
			kerr = nil
		}
		c.reply(e.Value, ok && !e.Stale(now), kerr)
		if len(c.w.Buf) >= maxOut && !c.flush() {
			c.quit = true
			return
		}
	}
}
