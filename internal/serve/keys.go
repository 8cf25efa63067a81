package serve

import (
	"math"
	"time"

	"github.com/stratacache/strata/internal/resp"
)

func del(c *conn, args [][]byte) {
	n := int64(0)
	remove := func(key []byte) error {
		st := c.s.locks.of(key)
		ok, err := c.exists(key)
		if ok && err == nil {
			if err = c.remove(st, key); err == nil {
				n++
			}
		}
		return err
	}
	keys := args[1:]
	if !c.held && len(keys) == 1 {
		st := c.s.locks.of(keys[0])
		st.mu.Lock()
		defer st.mu.Unlock()
	} else if !c.held {
		s := c.s.locks.begin(keys, false)
		defer c.s.locks.end(s)
	}
	for _, key := range keys {
		if err := remove(key); err != nil {
			c.failed(err)
			return
		}
	}
	c.w.Int(n)
}

func exists(c *conn, args [][]byte) {
	keys := args[1:]
	if !c.held && (len(keys) > 1 || c.s.locks.multi.Load() != 0) {
		s := c.s.locks.lockAll(keys, false)
		defer c.s.locks.unlockAll(s)
	}
	n := int64(0)
	for _, key := range keys {
		ok, err := c.exists(key)
		if err != nil {
			c.failed(err)
			return
		}
		if ok {
			n++
		}
	}
	c.w.Int(n)
}

func expire(c *conn, args [][]byte) { c.expire(args, time.Now().UnixMilli(), 1000, "expire") }
func pexpire(c *conn, args [][]byte) {
	c.expire(args, time.Now().UnixMilli(), 1, "pexpire")
}
func expireat(c *conn, args [][]byte)  { c.expire(args, 0, 1000, "expireat") }
func pexpireat(c *conn, args [][]byte) { c.expire(args, 0, 1, "pexpireat") }

// expireArgs are the conditions of EXPIRE.
type expireArgs struct{ nx, xx, gt, lt bool }

// parse returns what is wrong with the options, or "".
func (o *expireArgs) parse(args [][]byte) string {
	for _, a := range args {
		switch lower(a) {
		case "nx":
			o.nx = true
		case "xx":
			o.xx = true
		case "gt":
			o.gt = true
		case "lt":
			o.lt = true
		default:
			return "ERR Unsupported option " + string(cut(a, len(a)))
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		return "ERR NX and XX, GT or LT options at the same time are not compatible"
	case o.gt && o.lt:
		return "ERR GT and LT options at the same time are not compatible"
	}
	return ""
}

// allow reports whether a deadline may be replaced; 0 is none.
func (o *expireArgs) allow(old, at int64) bool {
	return !(o.nx && old != 0 || o.xx && old == 0 || o.gt && (old == 0 || at <= old) || o.lt && old != 0 && at >= old)
}

// expire sets a deadline of args[2] units of so many milliseconds after base.
func (c *conn) expire(args [][]byte, base, unit int64, cmd string) {
	var o expireArgs
	if msg := o.parse(args[3:]); msg != "" {
		c.fail(msg)
		return
	}
	at, ok := resp.Int(args[2])
	if !ok {
		c.fail(errInt)
		return
	}
	if at > math.MaxInt64/unit || at < math.MinInt64/unit || at*unit > math.MaxInt64-base {
		c.fail("ERR invalid expire time in '" + cmd + "' command")
		return
	}
	at = at*unit + base
	key := args[1]
	c.with(key, func(st *stripe) {
		e, ok, err := c.get(key)
		switch {
		case err != nil:
		case !ok || !o.allow(deadline(&e), at):
			ok = false
		case at <= time.Now().UnixMilli():
			err = c.remove(st, key)
		default:
			err = c.put(st, key, e.Value, life{at: at}, nil)
		}
		if err != nil {
			c.failed(err)
			return
		}
		c.yes(ok)
	})
}

func persist(c *conn, args [][]byte) {
	key := args[1]
	c.with(key, func(st *stripe) {
		e, ok, err := c.get(key)
		if ok = ok && deadline(&e) != 0; ok && err == nil {
			err = c.put(st, key, e.Value, life{ever: true}, nil)
		}
		if err != nil {
			c.failed(err)
			return
		}
		c.yes(ok)
	})
}

func ttl(c *conn, args [][]byte) {
	c.left(args[1], func(at int64) int64 { return (at - time.Now().UnixMilli() + 500) / 1000 })
}

func pttl(c *conn, args [][]byte) {
	c.left(args[1], func(at int64) int64 { return at - time.Now().UnixMilli() })
}

func expiretime(c *conn, args [][]byte) {
	c.left(args[1], func(at int64) int64 { return (at + 500) / 1000 })
}

func pexpiretime(c *conn, args [][]byte) { c.left(args[1], func(at int64) int64 { return at }) }

// left answers -2 for what is not there, -1 for what has no deadline, and what f
// makes of the deadline.
func (c *conn) left(key []byte, f func(at int64) int64) {
	c.isolated(key, func() {
		e, ok, err := c.get(key)
		switch {
		case err != nil:
			c.failed(err)
		case !ok:
			c.w.Int(-2)
		case deadline(&e) == 0:
			c.w.Int(-1)
		default:
			c.w.Int(max(f(deadline(&e)), 0))
		}
	})
}

func doType(c *conn, args [][]byte) {
	c.isolated(args[1], func() {
		ok, err := c.exists(args[1])
		switch {
		case err != nil:
			c.failed(err)
		case ok:
			c.w.Simple("string")
		default:
			c.w.Simple("none")
		}
	})
}

func flushdb(c *conn, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && lower(args[1]) != "async" && lower(args[1]) != "sync" {
		c.fail(errSyntax)
		return
	}
	if !c.held {
		s := c.s.locks.begin(nil, true)
		defer c.s.locks.end(s)
	}
	for i := range c.s.locks.stripes {
		c.s.locks.stripes[i].touchAll(c)
	}
	if err := c.s.chain.Clear(c.s.ctx); err != nil {
		c.failed(err)
		return
	}
	c.w.Simple("OK")
}
