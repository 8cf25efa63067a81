package serve_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/pythontest"
	"github.com/stratacache/strata/internal/serve"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/test/python"
)

// TestGoRedis runs go-redis in both protocols through what an application does.
func TestGoRedis(t *testing.T) {
	for proto := 2; proto <= 3; proto++ {
		addr, _ := (&shape{opts: serve.Options{Password: "secret"}}).start(t)
		ctx := t.Context()
		c := redis.NewClient(&redis.Options{Addr: addr, Password: "secret", Protocol: proto, ClientName: "test"})
		defer func() { _ = c.Close() }()
		check := func(what string, got, want any, err error) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("RESP%d: %s = %v, %v; want %v", proto, what, got, err, want)
			}
		}
		s, err := c.Set(ctx, "a", "1", time.Minute).Result()
		check("Set", s, "OK", err)
		s, err = c.Get(ctx, "a").Result()
		check("Get", s, "1", err)
		if _, err = c.Get(ctx, "absent").Result(); !errors.Is(err, redis.Nil) {
			t.Errorf("Get of an absent key: %v", err)
		}
		n, err := c.IncrBy(ctx, "a", 41).Result()
		check("IncrBy", n, int64(42), err)
		d, err := c.TTL(ctx, "a").Result()
		check("TTL", d > 50*time.Second && d <= time.Minute, true, err)
		s, err = c.ClientGetName(ctx).Result()
		check("ClientGetName", s, "test", err)
		info, err := c.Info(ctx, "server").Result()
		check("Info", strings.Contains(info, "redis_version:"), true, err)

		cmds, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "b", "2", 0)
			p.MGet(ctx, "a", "b", "absent")
			return nil
		})
		check("TxPipelined", len(cmds), 2, err)
		check("MGet in it", slices.Equal(cmds[1].(*redis.SliceCmd).Val(), []any{"42", "2", nil}), true, nil)

		err = c.Watch(ctx, func(tx *redis.Tx) error {
			c.Set(ctx, "a", "changed", 0)
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "a", "lost", 0).Err() })
			return err
		}, "a")
		check("Watch of a key that changes", err, redis.TxFailedErr, nil)

		var keys []string
		for it := c.Scan(ctx, 0, "", 1).Iterator(); it.Next(ctx); {
			keys = append(keys, it.Val())
		}
		slices.Sort(keys)
		check("Scan", strings.Join(keys, " "), "a b", nil)
		testPubSub(t, c)
	}
}

func testPubSub(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	sub := c.Subscribe(ctx, "alerts")
	defer func() { _ = sub.Close() }()
	if err := sub.PSubscribe(ctx, "al*"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := sub.Receive(ctx); err != nil { // the confirmations
			t.Fatal(err)
		}
	}
	if n, err := c.Publish(ctx, "alerts", "AAPL").Result(); n != 2 || err != nil {
		t.Errorf("Publish = %d, %v", n, err)
	}
	for range 2 {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil || m.Channel != "alerts" || m.Payload != "AAPL" {
			t.Errorf("message %v, %v", m, err)
		}
	}
	if err := sub.Ping(ctx); err != nil {
		t.Error(err)
	}
}

// TestRedisCLI and TestRedisBenchmark run the programs that come with Redis.
func TestRedisCLI(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	addr, _ := (&shape{}).start(t)
	_, port, _ := strings.Cut(addr, ":")
	for _, proto := range []string{"-2", "-3"} {
		cmd := exec.CommandContext(t.Context(), cli, "-p", port, proto)
		cmd.Stdin = strings.NewReader("SET greeting \"hello world\" EX 100\nGET greeting\nTTL greeting\nNOSUCH x\nMGET greeting nothing\nDEL greeting\n")
		out, err := cmd.CombinedOutput()
		want := "OK\nhello world\n100\nERR unknown command 'NOSUCH', with args beginning with: 'x' \n\nhello world\n\n1\n"
		if err != nil || string(out) != want {
			t.Errorf("redis-cli %s: %v\n%q\nwant\n%q", proto, err, out, want)
		}
	}
}

func TestRedisBenchmark(t *testing.T) {
	bench, err := exec.LookPath("redis-benchmark")
	if err != nil {
		t.Skip("redis-benchmark is not installed")
	}
	addr, _ := (&shape{}).start(t)
	_, port, _ := strings.Cut(addr, ":")
	for _, depth := range []string{"1", "16"} {
		out, err := exec.CommandContext(t.Context(), bench, "-p", port, "-t", "ping,set,get,incr,mset", "-n", "4000", "-P", depth, "-c", "50", "-r", "100", "--csv").CombinedOutput()
		if err != nil || strings.Count(string(out), "\n") < 6 || strings.Contains(strings.ToLower(string(out)), "err") {
			t.Errorf("redis-benchmark -P %s: %v\n%s", depth, err, out)
		}
	}
}

// TestBot is the Python bot that needs no Redis: its redis-py talks to the server,
// and Go reads and writes the same chain.
func TestBot(t *testing.T) {
	if testing.Short() {
		t.Skip("starting pandas takes seconds")
	}
	pythontest.Interpreter(t, "redis", "pandas")
	rules := policy.MustParse(python.Rules)
	disk, err := diskstore.Open(t.TempDir(), &diskstore.Options{Partitioner: rules})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "disk", Store: disk}}, rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	python.Bot(t, serveChain(t, c, nil), c)
}

// redisPy is what the bot does with redis-py, without pandas.
const redisPy = `
import json, sys, redis
host, port = sys.argv[1].rsplit(":", 1)
r = redis.Redis(host=host, port=int(port), db=0, decode_responses=True)
assert r.ping()
r.setex("price:AAPL", 300, 123.45)
assert float(r.get("price:AAPL")) == 123.45 and 298 <= r.ttl("price:AAPL") <= 300
r.set("info:AAPL", json.dumps({"sector": "tech"}))
assert json.loads(r.get("info:AAPL"))["sector"] == "tech"
assert 3500 < r.ttl("info:AAPL") <= 3600, r.ttl("info:AAPL")  # its rule's
assert r.ttl("other") == -2 and r.get("other") is None
r.set("other", "x"); assert r.ttl("other") == -1
assert sorted(r.scan_iter("*:AAPL")) == ["info:AAPL", "price:AAPL"]
with r.pipeline() as p:
    p.incr("n"); p.expire("n", 100); p.mget("n", "none")
    assert p.execute() == [1, True, ["1", None]]
r.incrbyfloat("f", "10.5"); assert r.incrbyfloat("f", 0.1) == 10.6
def bump(p):
    n = int(p.get("n")); p.multi(); p.set("n", n + 1)
assert r.transaction(bump, "n") == [True] and r.get("n") == "2"
s = r.pubsub(); s.subscribe("alerts"); assert s.get_message(timeout=5)["type"] == "subscribe"
assert r.publish("alerts", "AAPL above 120") == 1
assert s.get_message(timeout=5)["data"] == "AAPL above 120"
s.close()
try:
    r.hset("h", "a", 1); assert False
except redis.ResponseError as e:
    assert "unknown command" in str(e), e
assert r.delete("price:AAPL", "nothing") == 1 and r.exists("price:AAPL") == 0
assert r.info()["redis_mode"] == "standalone" and r.dbsize() == 4, r.dbsize()
r.flushdb(); assert r.keys() == []
print("ok", end="")
`

func TestRedisPy(t *testing.T) {
	interpreter := pythontest.Interpreter(t, "redis")
	sh := shape{rules: []policy.Rule{{Keys: policy.MustPattern("info:{symbol}"), TTL: time.Hour}}}
	addr, _ := sh.start(t)
	if out := pythontest.Run(t, interpreter, "", "-c", redisPy, addr); out != "ok" {
		t.Errorf("Python says %q", out)
	}
}
