package serve

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// txn is a connection's transaction, and the keys it watches.
type txn struct {
	on     bool
	broken bool // a command was refused: EXEC fails
	queue  []queued
	bytes  int
	watch  []watched
	dirty  atomic.Bool // a watched key was written
}

type queued struct {
	cmd  *command
	args [][]byte
}

// watched is a key and what it was when it was watched, by which writes of other
// processes and deadlines are noticed.
type watched struct {
	key     []byte
	version uint64
	value   []byte // where there is no version
	present bool
}

func multi(c *conn, _ [][]byte) {
	if c.tx.on {
		c.fail("ERR MULTI calls can not be nested")
		return
	}
	c.tx.on = true
	c.w.Simple("OK")
}

// enqueue keeps a command for EXEC.
func (c *conn) enqueue(cmd *command, args [][]byte) {
	size := 0
	for _, a := range args {
		size += len(a) + 24
	}
	if len(c.tx.queue) >= c.s.opts.MaxQueued || c.tx.bytes+size > c.s.opts.MaxRequest {
		c.reject("ERR the transaction is too large")
		return
	}
	whole := make([]byte, 0, size)
	kept := make([][]byte, len(args))
	for i, a := range args {
		at := len(whole)
		whole = append(whole, a...)
		kept[i] = whole[at:len(whole):len(whole)]
	}
	c.tx.queue = append(c.tx.queue, queued{cmd, kept})
	c.tx.bytes += size
	c.w.Simple("QUEUED")
}

// end forgets the transaction and the watched keys.
func (c *conn) endTx() {
	c.dropWatches()
	c.tx.on, c.tx.broken, c.tx.queue, c.tx.bytes = false, false, nil, 0
}

func discard(c *conn, _ [][]byte) {
	if !c.tx.on {
		c.fail("ERR DISCARD without MULTI")
		return
	}
	c.endTx()
	c.w.Simple("OK")
}

func exec(c *conn, _ [][]byte) {
	switch {
	case !c.tx.on:
		c.fail("ERR EXEC without MULTI")
		return
	case c.tx.broken:
		c.endTx()
		c.fail("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	defer c.endTx()
	var keys [][]byte
	all := false
	for _, q := range c.tx.queue {
		keys = q.cmd.keysOf(q.args, keys)
		all = all || q.cmd.flags&allKeys != 0
	}
	for _, w := range c.tx.watch {
		keys = append(keys, w.key)
	}
	s := c.s.locks.begin(keys, all)
	defer c.s.locks.end(s)
	if c.tx.dirty.Load() || !c.unchanged() {
		c.w.NullArray()
		return
	}
	c.held, c.tx.on = true, false
	defer func() { c.held = false }()
	c.w.Array(len(c.tx.queue))
	for _, q := range c.tx.queue {
		start := len(c.w.Buf)
		q.cmd.run(c, q.args) // carried out in any case: a transaction is whole
		c.overflows(start)
	}
}

// unchanged looks the watched keys up again.
func (c *conn) unchanged() bool {
	for _, w := range c.tx.watch {
		e, ok, err := c.get(w.key)
		if err != nil || ok != w.present || e.Version != w.version || e.Version == 0 && !bytes.Equal(e.Value, w.value) {
			return false
		}
	}
	return true
}

func watch(c *conn, args [][]byte) {
	if c.tx.on {
		c.fail("ERR WATCH inside MULTI is not allowed")
		return
	}
	for _, key := range args[1:] {
		if slices.ContainsFunc(c.tx.watch, func(w watched) bool { return bytes.Equal(w.key, key) }) {
			continue
		}
		if len(c.tx.watch) >= c.s.opts.MaxQueued {
			c.fail("ERR too many watched keys")
			return
		}
		if err := c.watch(slices.Clone(key)); err != nil {
			c.failed(err)
			return
		}
	}
	c.w.Simple("OK")
}

func (c *conn) watch(key []byte) error {
	st := c.s.locks.of(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	e, ok, err := c.get(key)
	if err != nil {
		return err
	}
	w := watched{key: key, present: ok, version: e.Version}
	if e.Version == 0 {
		w.value = slices.Clone(e.Value)
	}
	c.tx.watch = append(c.tx.watch, w)
	if st.watches == nil {
		st.watches = make(map[string]map[*conn]struct{})
	}
	if st.watches[string(key)] == nil {
		st.watches[string(key)] = make(map[*conn]struct{})
	}
	st.watches[string(key)][c] = struct{}{}
	return nil
}

func unwatch(c *conn, _ [][]byte) {
	if !c.held { // in EXEC the watches are about to end anyway
		c.dropWatches()
	}
	c.w.Simple("OK")
}

// dropWatches ends the watches. The caller holds no stripe, or, at the end of
// EXEC, all that matter.
func (c *conn) dropWatches() {
	for _, w := range c.tx.watch {
		st := c.s.locks.of(w.key)
		st.mu.Lock()
		delete(st.watches[string(w.key)], c)
		if len(st.watches[string(w.key)]) == 0 {
			delete(st.watches, string(w.key))
		}
		if len(st.watches) == 0 {
			st.watches = nil
		}
		st.mu.Unlock()
	}
	c.tx.watch = nil
	c.tx.dirty.Store(false)
}

// touchAll tells those who watch a key of the stripe that is there that all are
// about to go. A key that is not there stays what it is.
func (st *stripe) touchAll(c *conn) {
	for key, watchers := range st.watches {
		if ok, err := c.exists([]byte(key)); err == nil && !ok {
			continue
		}
		for w := range watchers {
			w.tx.dirty.Store(true)
		}
	}
}
