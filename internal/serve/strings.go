package serve

import (
	"math"
	"slices"
	"time"

	"github.com/stratacache/strata/internal/resp"
	"github.com/stratacache/strata/store"
)

const (
	errInt    = "ERR value is not an integer or out of range"
	errSyntax = "ERR syntax error"
	errLength = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
)

// reply answers with a value, or its absence.
func (c *conn) reply(v []byte, ok bool, err error) {
	switch {
	case err != nil:
		c.failed(err)
	case ok:
		c.did.hits.Add(1)
		c.w.Bulk(v)
	default:
		c.did.misses.Add(1)
		c.w.Null()
	}
}

// isolated runs f, which reads key, outside of transactions.
func (c *conn) isolated(key []byte, f func()) {
	if c.held || c.s.locks.multi.Load() == 0 {
		f()
		return
	}
	st := c.s.locks.of(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	f()
}

func get(c *conn, args [][]byte) {
	if c.held || c.s.locks.multi.Load() != 0 {
		c.isolated(args[1], func() { c.reply(c.value(args[1])) })
		return
	}
	if v, ok := c.near(args[1]); ok {
		c.reply(v, true, nil)
		return
	}
	c.getFar(args[1])
}

func strlen(c *conn, args [][]byte) {
	c.isolated(args[1], func() {
		v, _, err := c.value(args[1])
		if err != nil {
			c.failed(err)
			return
		}
		c.w.Int(int64(len(v)))
	})
}

// setArgs are the options of SET and GETEX.
type setArgs struct {
	nx, xx, get, keep, persist bool
	unit                       string // ex, px, exat, pxat; empty: no deadline
	when                       []byte
}

// parse reads the options behind the first n arguments. What excludes what is as
// in parseExtendedStringArgumentsOrReply of Redis.
func (o *setArgs) parse(args [][]byte, isSet bool) bool {
	for i := 0; i < len(args); i++ {
		switch word := lower(args[i]); word {
		case "nx", "xx", "get":
			if !isSet || word == "nx" && o.xx || word == "xx" && o.nx {
				return false
			}
			o.nx, o.xx, o.get = o.nx || word == "nx", o.xx || word == "xx", o.get || word == "get"
		case "keepttl":
			if !isSet || o.unit != "" {
				return false
			}
			o.keep = true
		case "persist":
			if isSet || o.unit != "" {
				return false
			}
			o.persist = true
		case "ex", "px", "exat", "pxat":
			if o.keep || o.persist || o.unit != "" && o.unit != word || i+1 == len(args) {
				return false
			}
			i++
			o.unit, o.when = word, args[i]
		default:
			return false
		}
	}
	return true
}

// lower returns a short argument in lower case.
func lower(b []byte) string {
	var low [16]byte
	if len(b) > len(low) {
		return ""
	}
	for i, ch := range b {
		if 'A' <= ch && ch <= 'Z' {
			ch += 'a' - 'A'
		}
		low[i] = ch
	}
	return string(low[:len(b)])
}

// deadlineOf reads a deadline in one of the four units, or answers why not.
func (c *conn) deadlineOf(when []byte, unit, cmd string) (at int64, ok bool) {
	n, valid := resp.Int(when)
	if !valid {
		c.fail(errInt)
		return 0, false
	}
	seconds := unit == "ex" || unit == "exat"
	ok = n > 0 && (!seconds || n <= math.MaxInt64/1000)
	if seconds {
		n *= 1000
	}
	if now := time.Now().UnixMilli(); unit == "ex" || unit == "px" {
		ok = ok && n <= math.MaxInt64-now
		n += now
	}
	if !ok {
		c.fail("ERR invalid expire time in '" + cmd + "' command")
		return 0, false
	}
	return n, true
}

func doSet(c *conn, args [][]byte) {
	if len(args) == 3 {
		c.setPlain(args[1], args[2])
		return
	}
	var o setArgs
	if !o.parse(args[3:], true) {
		c.fail(errSyntax)
		return
	}
	c.setValue(args[1], args[2], &o, "set", func(done bool) {
		if done {
			c.w.Simple("OK")
		} else {
			c.w.Null()
		}
	})
}

// setPlain is SET without options.
func (c *conn) setPlain(key, value []byte) {
	st := c.s.locks.of(key)
	if !c.held {
		st.mu.Lock()
	}
	err := c.put(st, key, value, life{}, nil)
	if !c.held {
		st.mu.Unlock()
	}
	if err != nil {
		c.failed(err)
		return
	}
	c.w.Simple("OK")
}

// setValue is SET with options; answer says whether it was done, unless the old
// value is the answer.
func (c *conn) setValue(key, value []byte, o *setArgs, cmd string, answer func(done bool)) {
	l := life{keep: o.keep}
	if o.unit != "" {
		at, ok := c.deadlineOf(o.when, o.unit, cmd)
		if !ok {
			return
		}
		l.at = at
	}
	c.with(key, func(st *stripe) {
		var old store.Entry
		var found bool
		var err error
		if o.nx || o.xx || o.get || o.keep {
			if old, found, err = c.get(key); err != nil {
				c.failed(err)
				return
			}
		}
		done := !(o.nx && found || o.xx && !found)
		if done {
			var before *store.Entry
			if found {
				before = &old
			}
			if err := c.put(st, key, value, l, before); err != nil {
				c.failed(err)
				return
			}
		}
		if o.get {
			c.reply(old.Value, found, nil)
		} else {
			answer(done)
		}
	})
}

func setex(c *conn, args [][]byte)  { c.setFor(args, "ex", "setex") }
func psetex(c *conn, args [][]byte) { c.setFor(args, "px", "psetex") }

func (c *conn) setFor(args [][]byte, unit, cmd string) {
	c.setValue(args[1], args[3], &setArgs{unit: unit, when: args[2]}, cmd, func(bool) { c.w.Simple("OK") })
}

func setnx(c *conn, args [][]byte) {
	c.setValue(args[1], args[2], &setArgs{nx: true}, "setnx", c.yes)
}

// yes answers 1 or 0.
func (c *conn) yes(ok bool) {
	if ok {
		c.w.Int(1)
	} else {
		c.w.Int(0)
	}
}

func getset(c *conn, args [][]byte) {
	c.setValue(args[1], args[2], &setArgs{get: true}, "getset", nil)
}

func getdel(c *conn, args [][]byte) {
	key := args[1]
	c.with(key, func(st *stripe) {
		e, ok, err := c.get(key)
		if ok && err == nil {
			err = c.remove(st, key)
		}
		c.reply(e.Value, ok, err)
	})
}

func getex(c *conn, args [][]byte) {
	var o setArgs
	if !o.parse(args[2:], false) {
		c.fail(errSyntax)
		return
	}
	key := args[1]
	c.with(key, func(st *stripe) {
		e, ok, err := c.get(key)
		if err != nil || !ok {
			c.reply(nil, false, err)
			return
		}
		var at int64
		if o.unit != "" {
			if at, ok = c.deadlineOf(o.when, o.unit, "getex"); !ok {
				return
			}
		}
		switch {
		case at != 0 && at <= time.Now().UnixMilli():
			err = c.remove(st, key)
		case at != 0:
			err = c.put(st, key, e.Value, life{at: at}, nil)
		case o.persist && deadline(&e) != 0:
			err = c.put(st, key, e.Value, life{ever: true}, nil)
		}
		c.reply(e.Value, true, err)
	})
}

func doAppend(c *conn, args [][]byte) {
	key := args[1]
	c.with(key, func(st *stripe) {
		old, ok, err := c.get(key)
		if err != nil {
			c.failed(err)
			return
		}
		if len(old.Value)+len(args[2]) > c.s.opts.MaxRequest {
			c.fail(errLength)
			return
		}
		value := slices.Concat(old.Value, args[2])
		if err := c.put(st, key, value, life{keep: ok}, &old); err != nil {
			c.failed(err)
			return
		}
		c.w.Int(int64(len(value)))
	})
}
