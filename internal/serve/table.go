package serve

import (
	"slices"
	"strings"
)

// command is one entry of the table.
type command struct {
	name  string // in lower case
	arity int    // of arguments, the name included; negative: at least so many
	flags flags
	// Where the keys are: the first, the last (negative: from the end) and the step
	// between them; 0: there are none.
	first, last, step int
	group, summary    string
	run               func(c *conn, args [][]byte)
	subs              map[string][2]int // subcommands: how many arguments at least and at most
}

type flags uint

const (
	writes     flags = 1 << iota // it may change the data
	beforeAuth                   // it needs no password
	inTx                         // it is carried out, not queued, in a transaction
	whileSub                     // it is allowed to subscribers
	allKeys                      // it concerns every key
	fast
	notInTx // it cannot be queued in a transaction
)

// anyMany is no bound of the number of arguments.
const anyMany = 1 << 30

func clientSubs() map[string][2]int {
	return map[string][2]int{"setname": {3, 3}, "getname": {2, 2}, "id": {2, 2}, "info": {2, 2}, "setinfo": {4, 4}, "list": {2, anyMany}}
}

// refuses returns what is wrong with the number of arguments or the subcommand,
// or "".
func (cmd *command) refuses(args [][]byte) string {
	if n := len(args); n != cmd.arity && (cmd.arity > 0 || n < -cmd.arity) {
		return "wrong number of arguments for '" + cmd.name + "' command"
	}
	if cmd.subs == nil || len(args) < 2 {
		return ""
	}
	sub := lower(args[1])
	n, known := cmd.subs[sub]
	switch {
	case !known:
		return "unknown subcommand '" + string(cut(args[1], 128)) + "'. Try " + strings.ToUpper(cmd.name) + " HELP."
	case len(args) < n[0] || len(args) > n[1]:
		return "wrong number of arguments for '" + cmd.name + "|" + sub + "' command"
	}
	return ""
}

// keysOf returns the keys among args.
func (cmd *command) keysOf(args [][]byte, keys [][]byte) [][]byte {
	if cmd.first == 0 {
		return keys
	}
	last := cmd.last
	if last < 0 {
		last += len(args)
	}
	for i := cmd.first; i <= last; i += cmd.step {
		keys = append(keys, args[i])
	}
	return keys
}

// table is the commands by their names in lower case.
type table map[string]*command

// lookup finds a command by its name in any case, or returns nil.
func (t table) lookup(name []byte) *command {
	var low [16]byte
	if len(name) > len(low) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return t[string(low[:len(name)])]
}

func newTable() table {
	m := make(table)
	for _, part := range [][]command{stringCommands(), keyCommands(), topicCommands(), txCommands(), clientCommands()} {
		for i := range part {
			m[part[i].name] = &part[i]
		}
	}
	return m
}

// names returns the names of all commands, sorted.
func (t table) names() []string {
	all := make([]string, 0, len(t))
	for name := range t {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func stringCommands() []command {
	const group = "string"
	return []command{
		{"get", 2, fast, 1, 1, 1, group, "Get the value of a key", get, nil},
		{"set", -3, writes, 1, 1, 1, group, "Set the value of a key", doSet, nil},
		{"setex", 4, writes, 1, 1, 1, group, "Set a value with seconds to live", setex, nil},
		{"psetex", 4, writes, 1, 1, 1, group, "Set a value with milliseconds to live", psetex, nil},
		{"setnx", 3, writes | fast, 1, 1, 1, group, "Set a value unless there is one", setnx, nil},
		{"getset", 3, writes | fast, 1, 1, 1, group, "Set a value and return the old one", getset, nil},
		{"getdel", 2, writes | fast, 1, 1, 1, group, "Get a value and delete it", getdel, nil},
		{"getex", -2, writes | fast, 1, 1, 1, group, "Get a value and set its deadline", getex, nil},
		{"mget", -2, fast, 1, -1, 1, group, "Get the values of keys", mget, nil},
		{"mset", -3, writes, 1, -1, 2, group, "Set the values of keys", mset, nil},
		{"msetnx", -3, writes, 1, -1, 2, group, "Set the values of keys unless one has one", msetnx, nil},
		{"append", 3, writes | fast, 1, 1, 1, group, "Append to a value", doAppend, nil},
		{"strlen", 2, fast, 1, 1, 1, group, "Get the length of a value", strlen, nil},
		{"incr", 2, writes | fast, 1, 1, 1, group, "Add one", incr, nil},
		{"decr", 2, writes | fast, 1, 1, 1, group, "Take one away", decr, nil},
		{"incrby", 3, writes | fast, 1, 1, 1, group, "Add a whole number", incrby, nil},
		{"decrby", 3, writes | fast, 1, 1, 1, group, "Take a whole number away", decrby, nil},
		{"incrbyfloat", 3, writes | fast, 1, 1, 1, group, "Add a number", incrbyfloat, nil},
	}
}

func keyCommands() []command {
	const group = "generic"
	return []command{
		{"del", -2, writes, 1, -1, 1, group, "Delete keys", del, nil},
		{"unlink", -2, writes | fast, 1, -1, 1, group, "Delete keys", del, nil},
		{"exists", -2, fast, 1, -1, 1, group, "Count keys that are there", exists, nil},
		{"expire", -3, writes | fast, 1, 1, 1, group, "Set the seconds to live", expire, nil},
		{"pexpire", -3, writes | fast, 1, 1, 1, group, "Set the milliseconds to live", pexpire, nil},
		{"expireat", -3, writes | fast, 1, 1, 1, group, "Set the deadline in Unix seconds", expireat, nil},
		{"pexpireat", -3, writes | fast, 1, 1, 1, group, "Set the deadline in Unix milliseconds", pexpireat, nil},
		{"ttl", 2, fast, 1, 1, 1, group, "Get the seconds to live", ttl, nil},
		{"pttl", 2, fast, 1, 1, 1, group, "Get the milliseconds to live", pttl, nil},
		{"expiretime", 2, fast, 1, 1, 1, group, "Get the deadline in Unix seconds", expiretime, nil},
		{"pexpiretime", 2, fast, 1, 1, 1, group, "Get the deadline in Unix milliseconds", pexpiretime, nil},
		{"persist", 2, writes | fast, 1, 1, 1, group, "Remove the deadline", persist, nil},
		{"type", 2, fast, 1, 1, 1, group, "Get the type of a value", doType, nil},
		{"scan", -2, 0, 0, 0, 0, group, "List keys, a part at a time", scan, nil},
		{"keys", 2, 0, 0, 0, 0, group, "List keys", keys, nil},
		{"randomkey", 1, 0, 0, 0, 0, group, "Get some key", randomkey, nil},
		{"dbsize", 1, fast, 0, 0, 0, "server", "Count the keys", dbsize, nil},
		{"flushdb", -1, writes | allKeys, 0, 0, 0, "server", "Delete all keys", flushdb, nil},
	}
}

func topicCommands() []command {
	const group = "pubsub"
	return []command{
		{"publish", 3, fast, 0, 0, 0, group, "Send a message", publish, nil},
		{"subscribe", -2, whileSub, 0, 0, 0, group, "Listen to channels", subscribe, nil},
		{"psubscribe", -2, whileSub, 0, 0, 0, group, "Listen to patterns of channels", psubscribe, nil},
		{"unsubscribe", -1, whileSub, 0, 0, 0, group, "Stop listening to channels", unsubscribe, nil},
		{"punsubscribe", -1, whileSub, 0, 0, 0, group, "Stop listening to patterns", punsubscribe, nil},
	}
}

func txCommands() []command {
	const group = "transactions"
	return []command{
		{"multi", 1, inTx | fast, 0, 0, 0, group, "Begin a transaction", multi, nil},
		{"exec", 1, inTx, 0, 0, 0, group, "Carry a transaction out", exec, nil},
		{"discard", 1, inTx | fast, 0, 0, 0, group, "Give a transaction up", discard, nil},
		{"watch", -2, inTx | fast, 1, -1, 1, group, "Carry the next transaction out only if keys stay as they are", watch, nil},
		{"unwatch", 1, fast, 0, 0, 0, group, "Watch no keys", unwatch, nil},
	}
}

func clientCommands() []command {
	const group = "connection"
	return []command{
		{"ping", -1, fast | whileSub, 0, 0, 0, group, "Answer", ping, nil},
		{"echo", 2, fast, 0, 0, 0, group, "Answer with the argument", echo, nil},
		{"select", 2, fast, 0, 0, 0, group, "Choose a database: there is one, 0", doSelect, nil},
		{"auth", -2, fast | beforeAuth, 0, 0, 0, group, "Give the password", auth, nil},
		{"hello", -1, fast | beforeAuth, 0, 0, 0, group, "Choose the protocol", hello, nil},
		{"quit", -1, fast | beforeAuth | whileSub | inTx, 0, 0, 0, group, "End the connection", quit, nil},
		{"client", -2, 0, 0, 0, 0, group, "Of connections", client, clientSubs()},
		{"info", -1, 0, 0, 0, 0, "server", "Get figures of the server", info, nil},
		{"config", -2, 0, 0, 0, 0, "server", "Get settings", config, map[string][2]int{"get": {3, anyMany}}},
		{"command", -1, 0, 0, 0, 0, "server", "Get what commands there are", doCommand, map[string][2]int{"count": {2, 2}, "info": {2, anyMany}, "docs": {2, anyMany}}},
		{"strata", -2, notInTx, 0, 0, 0, "server", "Look into the tiers", strata, strataSubs()},
	}
}
