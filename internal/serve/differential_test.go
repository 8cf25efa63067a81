package serve_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
)

// commandsToCompare is how many random commands are sent to both servers for each
// shape; STRATA_TORTURE=1 has more.
func commandsToCompare() int {
	if os.Getenv("STRATA_TORTURE") != "" {
		return 150_000
	}
	if testing.Short() {
		return 500
	}
	return 3_000
}

// TestDifferential sends the same random commands to a real Redis and to the
// server: every reply must be the same, errors to the letter.
func TestDifferential(t *testing.T) {
	shapes := map[string]func() *shape{
		"memory":       func() *shape { return &shape{} },
		"memory, disk": func() *shape { return &shape{dir: t.TempDir()} },
		"tiny, disk":   func() *shape { return &shape{dir: t.TempDir(), small: true} },
	}
	for name, sh := range shapes {
		for _, proto := range []string{"2", "3"} {
			t.Run(name+" RESP"+proto, func(t *testing.T) {
				t.Parallel()
				seed := uint64(time.Now().UnixNano())
				if s := os.Getenv("STRATA_SEED"); s != "" {
					seed, _ = strconv.ParseUint(s, 10, 64)
				}
				ours, _ := sh().start(t)
				real := redistest.Start(t, "--databases", "1")
				compare(t, proto, seed, ours, real.Addr)
			})
		}
	}
}

func compare(t *testing.T, proto string, seed uint64, ours, real string) {
	t.Logf("seed %d", seed)
	g := &generator{rand.New(rand.NewPCG(seed, 1))}
	var a, b [2]*client
	for i := range a {
		a[i], b[i] = dial(t, ours), dial(t, real)
		a[i].do("hello", proto)
		b[i].do("hello", proto)
	}
	var log []string
	for i := range commandsToCompare() {
		who := 0
		if g.Uint64()%8 == 0 {
			who = 1 // who writes what the other watches
		}
		cmd := g.command()
		log = append(log, fmt.Sprintf("%d: %s", who, short(fmt.Sprintf("%q", cmd))))
		a[who].send(cmd...)
		b[who].send(cmd...)
		got, want := a[who].read(), b[who].read()
		if !alike(cmd, got, want) {
			t.Fatalf("seed %d, command %d by %d: %q\nstrata %s\nredis  %s\nbefore: %s", seed, i, who, short(fmt.Sprintf("%q", cmd)), short(got.String()), short(want.String()),
				strings.Join(log[max(len(log)-25, 0):], "\n        "))
		}
	}
}

// short cuts the middle out of a long text.
func short(s string) string {
	if len(s) > 400 {
		return s[:200] + " ... " + s[len(s)-200:]
	}
	return s
}

// alike compares two replies. Times may differ by what passed between the two
// servers, and lists of keys in their order.
func alike(cmd []string, a, b value) bool {
	if a.kind == b.kind && a.kind == ':' && a.text != b.text {
		x, _ := strconv.ParseInt(a.text, 10, 64)
		y, _ := strconv.ParseInt(b.text, 10, 64)
		return min(x, y) > 800 && max(x, y)-min(x, y) < 60_000 && (min(x, y) > 100_000 || max(x, y)-min(x, y) <= 60)
	}
	switch strings.ToLower(cmd[0]) {
	case "keys":
		return fmt.Sprint(a.sorted()) == fmt.Sprint(b.sorted())
	case "scan":
		if a.kind == '*' && b.kind == '*' && len(a.list) == 2 && len(b.list) == 2 {
			return a.list[0].String() == b.list[0].String() && fmt.Sprint(a.list[1].sorted()) == fmt.Sprint(b.list[1].sorted())
		}
	case "randomkey":
		return a.null == b.null
	}
	if a.kind == '*' && b.kind == '*' && len(a.list) == len(b.list) && !a.null && !b.null { // EXEC
		for i := range a.list {
			if !alike([]string{"?"}, a.list[i], b.list[i]) && !alike([]string{"keys"}, a.list[i], b.list[i]) && !alike([]string{"scan"}, a.list[i], b.list[i]) {
				return false
			}
		}
		return true
	}
	return a.String() == b.String()
}

// generator makes commands, most of them sensible.
type generator struct{ *rand.Rand }

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) key() string {
	return g.one("a", "b", "c", "d", "price:1", "price:2", "k\r\n\x00\xff", "ключ")
}

func (g *generator) int() string {
	return g.one("0", "1", "-1", "7", "10", "100", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
		"-9223372036854775809", "00", "01", "-0", "+1", " 1", "1 ", "", "x", "1.5", "1e3", "99999999999999999999999", "4611686018427387904")
}

func (g *generator) float() string {
	return g.one("0", "1", "-1", "0.1", "0.2", "10.5", "3.0e3", "5.0e-3", "1e17", "1.7976931348623157e308", "1e400", "1e4932", "1e5000", "-1e4932", "1e-30",
		"inf", "-inf", "nan", "+Infinity", "", "x", "1.", ".5", ".", "0x10", "0x1p-2", "1e", "--1", "+-1", " 1", "1 ", "1_0", "123456789.123456789",
		"0.1234567890123456789", "100000000000000000000.5", "1e-5000", "-0", "0x", "1p3", "1e99999999999")
}

func (g *generator) value() string {
	switch g.IntN(5) {
	case 0:
		return g.int()
	case 1:
		return g.float()
	case 2:
		return strings.Repeat(g.one("x", "\x00", "é"), g.IntN(40))
	case 3:
		return strings.Repeat("0123456789", g.IntN(800))
	default:
		return g.one("hello", "3.14", "42", "")
	}
}

// seconds are far enough for nothing to expire during the test.
func (g *generator) seconds() string {
	return g.one("1000", "5000", "100000", "0", "-1", "9223372036854775", "9223372036854775807", "9223372036854776", "x", "", "1.5")
}

func (g *generator) millis() string {
	return g.one("1000000", "5000000", "100000000", "0", "-1", "9223372036854775807", "x", "9223372036854775808")
}

func (g *generator) unixSeconds() string { return g.one("4102444800", "5000000000", "0", "-5", "x") }
func (g *generator) unixMillis() string {
	return g.one("4102444800000", "5000000000000", "-1", "0", "x")
}

func (g *generator) repeat(n int, f func() string) []string {
	var out []string
	for range n {
		out = append(out, f())
	}
	return out
}

// deadlineOptions are options of SET and GETEX.
func (g *generator) deadlineOptions() []string {
	switch g.IntN(6) {
	case 0:
		return []string{g.one("EX", "ex"), g.seconds()}
	case 1:
		return []string{"PX", g.millis()}
	case 2:
		return []string{"EXAT", g.one("4102444800", "x", "0", "-3")}
	case 3:
		return []string{"PXAT", g.one("4102444800000", "x", "0")}
	case 4:
		return []string{g.one("KEEPTTL", "PERSIST")}
	}
	return nil
}

func (g *generator) setOptions() []string {
	var out []string
	for range g.IntN(4) {
		switch g.IntN(3) {
		case 0:
			out = append(out, g.one("NX", "XX", "GET", "get", "nope", ""))
		default:
			out = append(out, g.deadlineOptions()...)
		}
	}
	return out
}

func (g *generator) expireOptions() []string {
	return g.repeat(g.IntN(3)*g.IntN(2), func() string { return g.one("NX", "XX", "GT", "LT", "gt", "no") })
}

// expireIn is a command with a time from now. Where that is compared with the deadline
// that there is, it is one that nothing else has: the servers do not read their clocks
// in the same millisecond, and one would find equal what the other does not.
func (g *generator) expireIn(command, key, time string) []string {
	options := g.expireOptions()
	if slices.ContainsFunc(options, func(o string) bool { return strings.EqualFold(o, "gt") || strings.EqualFold(o, "lt") }) && len(time) < 10 && time > "1" {
		time = strconv.Itoa(2_000_000 + g.IntN(90_000_000))
	}
	return cat(command, key, time, options)
}

func cat(head string, parts ...any) []string {
	out := []string{head}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			out = append(out, p)
		case []string:
			out = append(out, p...)
		}
	}
	return out
}

func (g *generator) command() []string {
	cmd := g.sensible()
	switch g.IntN(60) {
	case 0:
		cmd[0] = strings.ToUpper(cmd[0])
	case 1:
		cmd = append(cmd, g.value()) // perhaps one too many
	case 2:
		if cmd[0] != "command" { // by itself it lists them all
			cmd = cmd[:1+g.IntN(len(cmd))] // perhaps too few
		}
	case 3:
		return cat(g.one("nosuch", "HGETX", "l push", "NOSUCH\r\nX", strings.Repeat("q", 200)), g.repeat(g.IntN(20), g.value))
	}
	// QUIT ends the connection, and what is random about these is told apart by name.
	return cmd
}

func (g *generator) sensible() []string {
	key := g.key()
	switch g.IntN(44) {
	case 0, 1, 2:
		return cat("set", key, g.value())
	case 3, 4, 5:
		return cat("set", key, g.value(), g.setOptions())
	case 6, 7:
		return cat("get", key)
	case 8:
		return cat("setex", key, g.seconds(), g.value())
	case 9:
		return cat("psetex", key, g.millis(), g.value())
	case 10:
		return cat("setnx", key, g.value())
	case 11:
		return cat("getset", key, g.value())
	case 12:
		return cat("getdel", key)
	case 13, 14:
		return cat("getex", key, g.deadlineOptions(), g.repeat(g.IntN(2)*g.IntN(2), func() string { return g.one("PERSIST", "NX", "x") }))
	case 15:
		return cat("mget", g.repeat(1+g.IntN(4), g.key))
	case 16:
		return cat("mset", g.repeat(1+g.IntN(6), g.key)) // an odd number of them, too
	case 17:
		var pairs []string
		for range 1 + g.IntN(3) {
			pairs = append(pairs, g.key(), g.value())
		}
		return cat(g.one("mset", "msetnx"), pairs)
	case 18:
		return cat("append", key, g.value())
	case 19:
		return cat("strlen", key)
	case 20:
		return cat(g.one("incr", "decr"), key)
	case 21, 22:
		return cat(g.one("incrby", "decrby"), key, g.int())
	case 23, 24:
		return cat("incrbyfloat", key, g.float())
	case 25, 26:
		return cat(g.one("del", "unlink"), g.repeat(1+g.IntN(3), g.key))
	case 27:
		return cat("exists", g.repeat(1+g.IntN(4), g.key))
	case 28, 29:
		return g.expireIn("expire", key, g.seconds())
	case 30:
		return g.expireIn("pexpire", key, g.millis())
	case 31:
		return cat("expireat", key, g.unixSeconds(), g.expireOptions())
	case 32:
		return cat("pexpireat", key, g.unixMillis(), g.expireOptions())
	case 33, 34:
		return cat(g.one("ttl", "pttl", "expiretime", "pexpiretime"), key)
	case 35:
		return cat("persist", key)
	case 36:
		return cat("type", key)
	case 37:
		return cat("keys", g.one("*", "?", "[a-c]", "price:*", "*:1", "[^a]", "\\a", "nothing", "[z-a]", "[", "a*", "p*e:[12]", "*\\*"))
	case 38:
		return cat("scan", g.one("0", "0", "x", "", " 0"), g.scanOptions())
	case 39:
		return cat(g.one("randomkey", "dbsize"))
	case 40:
		return g.rarely()
	case 41:
		return cat(g.one("multi", "multi", "discard"))
	case 42:
		return cat("exec")
	default:
		return cat(g.one("watch", "watch", "unwatch"), g.repeat(1, g.key))
	}
}

// scanOptions have a count that gets all keys in one page.
func (g *generator) scanOptions() []string {
	out := []string{"COUNT", g.one("1000", "1000", "1000", "0", "x", "-1")}
	for range g.IntN(3) {
		out = append(out, [][]string{{"MATCH", "[a-d]"}, {"match", "*:*"}, {"TYPE", "STRING"}, {"type", "hash"}, {"NO", "x"}, {"MATCH"}}[g.IntN(6)]...)
	}
	return out
}

func (g *generator) rarely() []string {
	switch g.IntN(10) {
	case 0:
		return cat("flushdb", g.repeat(g.IntN(2), func() string { return g.one("async", "SYNC", "x") }))
	case 1:
		return cat("ping", g.repeat(g.IntN(3), g.value))
	case 2:
		return cat("echo", g.value())
	case 3:
		return cat("select", g.one("0", "1", "-1", "x"))
	case 4:
		return cat("auth", g.repeat(1+g.IntN(3), func() string { return g.one("default", "x") }))
	case 5:
		return cat("client", g.one("setname", "SETNAME"), g.one("me", "a b", ""))
	case 6:
		return cat("client", g.one("getname", "nosuch", "id x", "setname"))
	case 7:
		return cat("publish", g.one("c1", "c2"), g.value())
	case 8:
		return cat("config", g.one("get", "nosuch"), g.one("nosuch", "save", "appendonly", "databases"))
	default:
		return cat("command", g.one("nosuch"))
	}
}
