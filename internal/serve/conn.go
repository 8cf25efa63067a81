package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/resp"
)

// conn is one client. Its goroutine owns all but what says otherwise.
type conn struct {
	s    *Server
	nc   net.Conn
	id   int64
	rd   *resp.Reader
	w    resp.Writer
	did  tally
	born int64

	active   atomic.Int64 // rough time of the last request
	writing  atomic.Int64 // since when a write is under way; 0: none is
	draining atomic.Bool
	wmu      sync.Mutex // of writes to nc
	info     sync.Mutex // guards name, lib and libVer, which CLIENT LIST reads
	name     string
	lib      [2]string // library's name and version
	last     atomic.Pointer[command]

	authed bool
	quit   bool // close after the reply
	held   bool // the locks of the running command's keys are held

	tx  txn
	sub *subscriber // not nil once something was subscribed to
	val []byte      // a value on its way from memory

	ahead    [][]byte // the request that a run of GETs ended at
	aheadErr error
}

func newConn(s *Server, nc net.Conn) *conn {
	if s.opts.TLS != nil {
		nc = tls.Server(nc, s.opts.TLS)
	}
	c := &conn{s: s, nc: nc, id: s.nextID.Add(1), born: time.Now().UnixNano()}
	c.rd = resp.NewReader(nc, s.opts.MaxRequest)
	c.authed = s.opts.Password == ""
	c.rd.SetTimid(!c.authed)
	c.active.Store(c.born)
	return c
}

// maxOut is how many bytes of replies are gathered before they are sent although
// more requests have come.
const maxOut = 64 << 10

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer func() {
		if r := recover(); r != nil { // one client's misfortune is not the others'
			c.s.opts.Logger.Error("strata: a command panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	if !c.handshake() {
		return
	}
	for {
		args, ok, err := c.next()
		switch {
		case err != nil:
			c.protocolError(err)
			return
		case ok:
			c.do(args)
			if c.quit || len(c.w.Buf) >= maxOut {
				if !c.flush() || c.quit {
					return
				}
			}
			continue
		}
		if !c.flush() {
			return
		}
		if c.draining.Load() && !c.tx.on {
			return
		}
		if c.rd.Fill() != nil {
			return
		}
		c.active.Store(c.s.now.Load())
	}
}

// handshakeTimeout bounds the beginning of a TLS connection.
const handshakeTimeout = 10 * time.Second

func (c *conn) handshake() bool {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(c.s.ctx, handshakeTimeout)
	defer cancel()
	return t.HandshakeContext(ctx) == nil
}

func (c *conn) protocolError(err error) {
	var pe *resp.ProtocolError
	if errors.As(err, &pe) {
		c.w.Error("ERR " + pe.Error())
	}
	c.flush()
	if nc, ok := c.nc.(*net.TCPConn); ok { // so that the client gets to read it
		_ = nc.CloseWrite()
	}
}

// flush sends the replies, and reports whether the connection is sound.
func (c *conn) flush() bool {
	if len(c.w.Buf) == 0 {
		return true
	}
	if c.sub != nil {
		return c.sub.reply(c)
	}
	err := c.send(c.w.Buf)
	if cap(c.w.Buf) > 4*maxOut {
		c.w.Buf = nil
	}
	c.w.Buf = c.w.Buf[:0]
	return err == nil
}

// send writes to the client. Two goroutines may call it.
func (c *conn) send(b []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.writing.Store(c.s.now.Load())
	_, err := c.nc.Write(b)
	c.writing.Store(0)
	return err
}

// overdue reports whether a timeout of the connection has passed.
func (c *conn) overdue(now int64) bool {
	if since := c.writing.Load(); since != 0 && now-since > int64(c.s.opts.WriteTimeout) {
		return true
	}
	idle := c.s.opts.IdleTimeout
	return idle > 0 && now-c.active.Load() > int64(idle+tick) && !c.s.topic.has(c)
}

// drain has the connection end once it has answered what has arrived.
func (c *conn) drain() {
	c.draining.Store(true)
	_ = c.nc.SetReadDeadline(time.Now())
}

func (c *conn) close() {
	c.dropWatches()
	c.s.topic.leave(c)
	_ = c.nc.Close()
}

// do runs one request.
func (c *conn) do(args [][]byte) {
	c.did.commands.Add(1)
	cmd := c.s.table.lookup(args[0])
	if cmd == nil {
		c.reject(unknown(args))
		return
	}
	if msg := cmd.refuses(args); msg != "" {
		if cmd.name == "exec" {
			c.endTx()
			c.fail("EXECABORT Transaction discarded because of: " + msg)
			return
		}
		c.reject("ERR " + msg)
		return
	}
	if !c.authed && cmd.flags&beforeAuth == 0 {
		c.reject("NOAUTH Authentication required.")
		return
	}
	if c.last.Load() != cmd {
		c.last.Store(cmd)
	}
	switch {
	case c.tx.on && cmd.flags&notInTx != 0:
		c.reject("ERR Command not allowed inside a transaction")
		return
	case c.tx.on && cmd.flags&inTx == 0:
		c.enqueue(cmd, args)
		return
	case c.sub != nil && c.w.Proto < 3 && cmd.flags&whileSub == 0 && c.s.topic.has(c):
		c.reject("ERR Can't execute '" + cmd.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
		return
	}
	cmd.run(c, args)
}

// reject answers a command that is not carried out. A transaction that it was to
// be part of fails with it.
func (c *conn) reject(msg string) {
	c.fail(msg)
	if c.tx.on {
		c.tx.broken = true
	}
}

// fail answers with an error.
func (c *conn) fail(msg string) {
	c.did.failures.Add(1)
	c.w.Error(msg)
}

// failed answers with an error of the chain.
func (c *conn) failed(err error) { c.fail("ERR " + err.Error()) }

// unknown is Redis' answer to a command that is not there.
func unknown(args [][]byte) string {
	var b []byte
	for _, a := range args[1:] {
		if len(b) >= 128 {
			break
		}
		b = append(b, '\'')
		b = append(b, cut(a, 128-len(b)+1)...)
		b = append(b, "' "...)
	}
	return "ERR unknown command '" + string(cut(args[0], 128)) + "', with args beginning with: " + string(b)
}

// cut returns the first n bytes of b, up to a zero byte.
func cut(b []byte, n int) []byte {
	b = b[:min(len(b), max(n, 0))]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return b
}
