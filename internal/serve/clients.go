package serve

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stratacache/strata/internal/resp"
)

// Version is the version of Redis whose commands and replies these are. Clients
// decide by it what they may ask for.
const Version = "7.0.15"

func ping(c *conn, args [][]byte) {
	switch {
	case len(args) > 2:
		c.fail("ERR wrong number of arguments for 'ping' command")
	case c.sub != nil && c.w.Proto < 3 && c.s.topic.has(c):
		c.w.Array(2)
		c.w.BulkString("pong")
		if len(args) == 2 {
			c.w.Bulk(args[1])
		} else {
			c.w.BulkString("")
		}
	case len(args) == 2:
		c.w.Bulk(args[1])
	default:
		c.w.Simple("PONG")
	}
}

func echo(c *conn, args [][]byte) { c.w.Bulk(args[1]) }

func quit(c *conn, _ [][]byte) {
	c.w.Simple("OK")
	c.quit = true
}

// doSelect knows one database: keys have one policy, and one place on disk.
func doSelect(c *conn, args [][]byte) {
	n, ok := resp.Int(args[1])
	switch {
	case !ok || n > 1<<31-1 || n < -1<<31:
		c.fail(errInt)
	case n != 0:
		c.fail("ERR DB index is out of range")
	default:
		c.w.Simple("OK")
	}
}

const wrongPass = "WRONGPASS invalid username-password pair or user is disabled."

// login checks a user and password in a time that says nothing of either.
func (c *conn) login(user, password []byte) bool {
	o := &c.s.opts
	right := subtle.ConstantTimeCompare(user, []byte(o.User)) & subtle.ConstantTimeCompare(password, []byte(o.Password))
	if o.Password == "" {
		right = subtle.ConstantTimeCompare(user, []byte(o.User)) // any password will do, as in Redis
	}
	if right == 1 {
		c.authed = true
		c.rd.SetTimid(false)
	}
	return right == 1
}

func auth(c *conn, args [][]byte) {
	user := []byte(c.s.opts.User)
	switch {
	case len(args) > 3:
		c.fail(errSyntax)
		return
	case len(args) == 2 && c.s.opts.Password == "":
		c.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		return
	case len(args) == 3:
		user = args[1]
	}
	if !c.login(user, args[len(args)-1]) {
		c.fail(wrongPass)
		return
	}
	c.w.Simple("OK")
}

func hello(c *conn, args [][]byte) {
	proto := max(c.w.Proto, 2)
	if len(args) > 1 {
		n, ok := resp.Int(args[1])
		switch {
		case !ok:
			c.fail("ERR Protocol version is not an integer or out of range")
			return
		case n < 2 || n > 3:
			c.fail("NOPROTO unsupported protocol version")
			return
		}
		proto = int(n)
	}
	name, named := []byte(nil), false
	var user, password []byte
	for i := 2; i < len(args); i++ {
		switch word, more := lower(args[i]), len(args)-1-i; {
		case word == "auth" && more >= 2:
			user, password = args[i+1], args[i+2]
			i += 2
		case word == "setname" && more >= 1:
			name, named = args[i+1], true
			i++
			if !validName(name) {
				c.fail(badName)
				return
			}
		default:
			c.fail("ERR Syntax error in HELLO option '" + string(cut(args[i], 128)) + "'")
			return
		}
	}
	if user != nil && !c.login(user, password) {
		c.fail(wrongPass)
		return
	}
	if !c.authed {
		c.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if named {
		c.setName(string(name))
	}
	c.w.Proto = proto
	c.greet()
}

func (c *conn) greet() {
	if s := c.sub; s != nil {
		c.s.topic.mu.Lock()
		s.proto = c.w.Proto
		c.s.topic.mu.Unlock()
	}
	c.w.Map(7)
	for _, p := range [][2]string{{"server", "redis"}, {"version", Version}} {
		c.w.BulkString(p[0])
		c.w.BulkString(p[1])
	}
	c.w.BulkString("proto")
	c.w.Int(int64(c.w.Proto))
	c.w.BulkString("id")
	c.w.Int(c.id)
	for _, p := range [][2]string{{"mode", "standalone"}, {"role", "master"}} {
		c.w.BulkString(p[0])
		c.w.BulkString(p[1])
	}
	c.w.BulkString("modules")
	c.w.Array(0)
}

const badName = "ERR Client names cannot contain spaces, newlines or special characters."

func validName(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r < '!' || r > '~' }) < 0
}

func (c *conn) setName(name string) {
	c.info.Lock()
	c.name = name
	c.info.Unlock()
}

// client answers those subcommands that clients ask for when they connect, and
// CLIENT LIST and INFO.
func client(c *conn, args [][]byte) {
	switch lower(args[1]) {
	case "setname":
		if !validName(args[2]) {
			c.fail(badName)
			return
		}
		c.setName(string(args[2]))
		c.w.Simple("OK")
	case "getname":
		if c.name == "" {
			c.w.Null()
		} else {
			c.w.BulkString(c.name)
		}
	case "id":
		c.w.Int(c.id)
	case "info":
		c.w.Text(c.line() + "\n")
	case "setinfo":
		c.setInfo(args[2], args[3])
	case "list":
		c.list(args[2:])
	}
}

func (c *conn) setInfo(what, value []byte) {
	at := 0
	switch lower(what) {
	case "lib-name":
	case "lib-ver":
		at = 1
	default:
		c.fail("ERR Unrecognized option '" + string(cut(what, 128)) + "'")
		return
	}
	if !validName(value) {
		c.fail("ERR " + lower(what) + " cannot contain spaces, newlines or special characters.")
		return
	}
	c.info.Lock()
	c.lib[at] = string(value)
	c.info.Unlock()
	c.w.Simple("OK")
}

func (c *conn) list(args [][]byte) {
	only := map[int64]bool{}
	if len(args) > 0 {
		if lower(args[0]) != "id" || len(args) < 2 {
			c.fail(errSyntax)
			return
		}
		for _, a := range args[1:] {
			id, ok := resp.Int(a)
			if !ok || id < 1 {
				c.fail("ERR Invalid client ID")
				return
			}
			only[id] = true
		}
	}
	var b strings.Builder
	for _, other := range c.s.all() {
		if len(args) == 0 || only[other.id] {
			b.WriteString(other.line())
			b.WriteByte('\n')
		}
	}
	c.w.Text(b.String())
}

// line describes the connection, in the words of Redis.
func (c *conn) line() string {
	c.info.Lock()
	name, lib := c.name, c.lib
	c.info.Unlock()
	last := "NULL"
	if cmd := c.last.Load(); cmd != nil {
		last = cmd.name
	}
	flags, now := "N", time.Now().UnixNano()
	if c.s.topic.has(c) {
		flags = "P"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s name=%s age=%d idle=%d flags=%s db=0 cmd=%s user=%s lib-name=%s lib-ver=%s",
		c.id, c.nc.RemoteAddr(), c.nc.LocalAddr(), name, (now-c.born)/1e9, max(now-c.active.Load(), 0)/1e9, flags, last, c.s.opts.User, lib[0], lib[1])
}

// settings are what CONFIG GET knows.
func (s *Server) settings() [][2]string {
	return [][2]string{
		{"appendonly", "no"},
		{"databases", "1"},
		{"maxclients", strconv.Itoa(s.opts.MaxClients)},
		{"maxmemory", strconv.FormatInt(s.memory().Capacity, 10)},
		{"proto-max-bulk-len", strconv.Itoa(s.opts.MaxRequest)},
		{"save", ""},
		{"timeout", strconv.Itoa(int(s.opts.IdleTimeout / time.Second))},
	}
}

func config(c *conn, args [][]byte) {
	var found [][2]string
	for _, p := range c.s.settings() {
		for _, pattern := range args[2:] {
			if match(bytes.ToLower(pattern), []byte(p[0])) {
				found = append(found, p)
				break
			}
		}
	}
	c.w.Map(len(found))
	for _, p := range found {
		c.w.BulkString(p[0])
		c.w.BulkString(p[1])
	}
}

func doCommand(c *conn, args [][]byte) {
	if len(args) == 1 {
		c.w.Array(len(c.s.table))
		for _, name := range c.s.table.names() {
			c.describe(c.s.table[name])
		}
		return
	}
	switch lower(args[1]) {
	case "count":
		c.w.Int(int64(len(c.s.table)))
	case "info":
		c.commandInfo(args[2:])
	case "docs":
		c.commandDocs(args[2:])
	}
}

func (c *conn) commandInfo(wanted [][]byte) {
	if len(wanted) == 0 {
		doCommand(c, [][]byte{nil})
		return
	}
	c.w.Array(len(wanted))
	for _, name := range wanted {
		if cmd := c.s.table.lookup(name); cmd != nil {
			c.describe(cmd)
		} else {
			c.w.NullArray()
		}
	}
}

// describe writes what COMMAND says of a command: name, arity, flags, places of
// the keys, and four lists that are empty here.
func (c *conn) describe(cmd *command) {
	flags := []string{"readonly"}
	if cmd.flags&writes != 0 {
		flags[0] = "write"
	}
	if cmd.flags&fast != 0 {
		flags = append(flags, "fast")
	}
	if cmd.flags&beforeAuth != 0 {
		flags = append(flags, "no_auth")
	}
	c.w.Array(10)
	c.w.BulkString(cmd.name)
	c.w.Int(int64(cmd.arity))
	c.w.Set(len(flags))
	for _, f := range flags {
		c.w.Simple(f)
	}
	for _, n := range []int{cmd.first, cmd.last, cmd.step} {
		c.w.Int(int64(n))
	}
	c.w.Set(0)
	c.w.Set(0)
	c.w.Set(0)
	c.w.Array(0)
}

func (c *conn) commandDocs(wanted [][]byte) {
	var cmds []*command
	if len(wanted) == 0 {
		for _, name := range c.s.table.names() {
			cmds = append(cmds, c.s.table[name])
		}
	}
	for _, name := range wanted {
		if cmd := c.s.table.lookup(name); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	c.w.Map(len(cmds))
	for _, cmd := range cmds {
		c.w.BulkString(cmd.name)
		c.w.Map(2)
		c.w.BulkString("summary")
		c.w.BulkString(cmd.summary)
		c.w.BulkString("group")
		c.w.BulkString(cmd.group)
	}
}
