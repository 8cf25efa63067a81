package python_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/pythontest"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/redisstore"
	"github.com/stratacache/strata/test/python"
)

// onRedis returns a chain whose only tier is a Redis.
func onRedis(t *testing.T, addr string, rules *policy.Set) *chain.Chain {
	t.Helper()
	c, err := chain.New([]chain.Tier{
		chain.Opened(redisstore.Connect(&redisstore.Config{Addrs: []string{addr}}, &redisstore.Options{Wire: rules})).As("redis"),
	}, rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func TestBotOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("starting pandas takes seconds")
	}
	pythontest.Interpreter(t, "redis", "pandas")
	addr := redistest.Start(t).Addr
	python.Bot(t, addr, onRedis(t, addr, policy.MustParse(python.Rules)))
}

// The function that docs/wire.md gives to Python programs reads framed values.
func TestDocumentedFrameReader(t *testing.T) {
	interpreter := pythontest.Interpreter(t, "redis")
	page, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```python\n")
	reader, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/wire.md has no Python any more")
	}
	addr := redistest.Start(t).Addr
	rules := policy.MustParse(`rules: [{keys: "info:{symbol}", ttl: 1h, stale_if_error: 1h}, {keys: "never:{id}", ttl: never}]`)
	cache := chain.NewCache[string](onRedis(t, addr, rules), nil)
	tags := []string{"sector:tech", strings.Repeat("long", 100)}
	for key, value := range map[string]string{"info:BTC/USDT": "é 🚀", "never:1": "", "info:long": strings.Repeat("x", 5000)} {
		if err := cache.Set(t.Context(), key, value, chain.WriteOptions{Tags: tags}); err != nil {
			t.Fatal(err)
		}
		got := pythontest.Run(t, interpreter, "", "-c", reader+`
import redis, sys
host, port = sys.argv[1].rsplit(":", 1)
raw = redis.Redis(host, int(port)).get(sys.argv[2])
assert raw[:3] == b"\xc1st", raw
print(value(raw).decode(), end="")`, addr, key)
		if got != value {
			t.Errorf("%s: Python reads %q, want %q", key, got, value)
		}
	}
}
