package serve_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/serve"
	"github.com/stratacache/strata/internal/serve/inspect"
	"github.com/stratacache/strata/policy"
)

func decodeReply[V any](c *client, args ...string) (v V) {
	c.t.Helper()
	c.send(args...)
	if err := json.Unmarshal([]byte(c.read().text), &v); err != nil {
		c.t.Fatalf("%q: %v", args, err)
	}
	return v
}

// TestStrata is the command that Redis does not have.
func TestStrata(t *testing.T) {
	rule := policy.Rule{Keys: policy.MustPattern("info:{symbol}"), TTL: time.Hour, Tags: []string{"all", "of:{symbol}"}}
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			addr, _ := (&shape{dir: dir, rules: []policy.Rule{rule}}).start(t)
			c := dial(t, addr)
			c.want("+OK", "SET", "info:A", "123")
			c.want("+OK", "SET", "info:B", "1")
			c.want("+OK", "SET", "k", "v")
			if got := decodeReply[[]inspect.Tag](c, "STRATA", "TAGS"); len(got) != 3 || got[0] != (inspect.Tag{Tag: "all", Keys: 2, Bytes: got[0].Bytes}) || got[1].Tag != "of:A" {
				t.Errorf("%+v", got)
			}
			if got := decodeReply[[]inspect.Tag](c, "strata", "tags", "of:B"); len(got) != 1 || got[0].Keys != 1 {
				t.Errorf("%+v", got)
			}
			if got := decodeReply[[]string](c, "STRATA", "TAGGED", "all", "1"); len(got) != 1 || !strings.HasPrefix(got[0], "info:") {
				t.Errorf("%q", got)
			}
			if got := decodeReply[inspect.Explained](c, "STRATA", "EXPLAIN", "info:A"); !got.Tiers[0].Present || got.Rule == "" {
				t.Errorf("%+v", got)
			}
			if got := decodeReply[inspect.Stats](c, "STRATA", "STATS"); got.Server.Commands < 8 || len(got.Rules) != 2 {
				t.Errorf("%+v", got)
			}
			watcher := dial(t, addr)
			watcher.want("+OK", "WATCH", "info:A")
			watcher.want("+OK", "MULTI")
			c.want("+OK", "STRATA", "INVALIDATE", "of:A")
			watcher.want("+QUEUED", "GET", "k")
			watcher.want("*null", "EXEC")
			c.want("$null", "GET", "info:A")
			c.want(`$"1"`, "GET", "info:B")
		})
	}
}

// TestStrataRefuses: what is wrong is said as Redis would.
func TestStrataRefuses(t *testing.T) {
	addr, _ := (&shape{opts: serve.Options{Password: "p"}}).start(t)
	c := dial(t, addr)
	c.want("-NOAUTH Authentication required.", "STRATA", "STATS")
	c.want("+OK", "AUTH", "p")
	c.want("-ERR unknown subcommand 'nope'. Try STRATA HELP.", "STRATA", "nope")
	c.want("-ERR wrong number of arguments for 'strata' command", "STRATA")
	c.want("-ERR wrong number of arguments for 'strata|explain' command", "STRATA", "EXPLAIN")
	c.want("-ERR wrong number of arguments for 'strata|invalidate' command", "STRATA", "INVALIDATE")
	c.want("-ERR value is not an integer or out of range", "STRATA", "TAGGED", "t", "-1")
	c.want("-ERR the empty key and keys that begin with __strata: are not supported", "STRATA", "EXPLAIN", "")
	c.want("+OK", "MULTI")
	c.want("-ERR Command not allowed inside a transaction", "STRATA", "STATS")
	c.want("-EXECABORT Transaction discarded because of previous errors.", "EXEC")
	if c.send("STRATA", "HELP"); len(c.read().list) < 10 {
		t.Error("there is no help")
	}
}
