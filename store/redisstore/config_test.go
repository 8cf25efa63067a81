package redisstore

import (
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// guarded is a password that must show up nowhere.
const guarded = "hunter2-" + "guarded"

func TestParseURL(t *testing.T) {
	for in, want := range map[string]Config{
		"redis://":                      {Addrs: []string{"localhost:6379"}},
		"redis://cache":                 {Addrs: []string{"cache:6379"}},
		"redis://cache:7000/3":          {Addrs: []string{"cache:7000"}, DB: 3},
		"redis://[::1]:7000":            {Addrs: []string{"[::1]:7000"}},
		"redis://[::1]":                 {Addrs: []string{"[::1]:6379"}},
		"redis://:p%40ss@cache":         {Addrs: []string{"cache:6379"}, Password: "p@ss"},
		"redis://bot:pw@cache?db=2":     {Addrs: []string{"cache:6379"}, Username: "bot", Password: "pw", DB: 2},
		"unix:///run/redis.sock?db=1":   {Addrs: []string{"/run/redis.sock"}, DB: 1},
		"redis+cluster://a:7000,b,c:7":  {Addrs: []string{"a:7000", "b:6379", "c:7"}, Cluster: true},
		"redis+sentinel://a,b:5/main/4": {Addrs: []string{"a:26379", "b:5"}, MasterName: "main", DB: 4},
		"redis://cache?pool_size=5&dial_timeout=250ms&client_name=bot&max_retries=-1": {
			Addrs: []string{"cache:6379"}, PoolSize: 5, DialTimeout: 250 * time.Millisecond, ClientName: "bot", MaxRetries: -1,
		},
	} {
		got, err := ParseURL(in)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	if got, err := ParseURL("rediss://cache"); err != nil || got.TLS == nil {
		t.Errorf("rediss: %v, %v; want TLS", got, err)
	}
}

func TestBadURLsAreRefusedWithoutQuotingThem(t *testing.T) {
	for in, want := range map[string]string{
		"cache:6379":                                     "scheme",
		"http://:" + guarded + "@cache":                  `"http"`,
		"redis://:" + guarded + "%zz@cache":              "malformed",
		"redis://:" + guarded + "/x#y@cache":             "malformed",
		"redis://:" + guarded + "@cache/db":              "database",
		"redis://:" + guarded + "/x@cache":               "percent-encoded",
		"redis+sentinel://:" + guarded + "/x@cache/m/1":  "percent-encoded",
		"redis://:" + guarded + "@cache?pool=1":          `"pool"`,
		"redis://:" + guarded + "@cache?db=one":          "db",
		"redis://:" + guarded + "@cache?pool_timeout=9":  "pool_timeout",
		"redis://:" + guarded + "@cache/-1":              "Config.DB",
		"redis+sentinel://:" + guarded + "@cache":        "master name",
		"redis+cluster://:" + guarded + "@a,b/2":         "Cluster",
		"redis://:" + guarded + "@a,b":                   "Config.Addrs",
		"redis+ring://:" + guarded + "@a":                "redis+ring",
		"redis://:" + guarded + "@cache?read_timeout=%z": "malformed",
	} {
		_, err := ParseURL(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(%q): error %v does not name %s", in, err, want)
		}
		if err != nil && strings.Contains(err.Error(), guarded) {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

func TestConfigHidesPasswords(t *testing.T) {
	cfg := &Config{Addrs: []string{"cache:6379"}, Username: "bot", Password: guarded, MasterName: "m", SentinelPassword: guarded}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("connecting", "redis", cfg)
	for _, s := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v %s", cfg, cfg, cfg), log.String()} {
		if strings.Contains(s, guarded) || !strings.Contains(s, "cache:6379") {
			t.Errorf("printed as %s", s)
		}
	}
}

func TestConfigFromEnv(t *testing.T) {
	env := func(vars ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(vars); i += 2 {
				if vars[i] == name {
					return vars[i+1]
				}
			}
			return ""
		}
	}
	if cfg, err := ConfigFromEnv(env()); cfg != nil || err != nil {
		t.Errorf("without variables: %v, %v; want none", cfg, err)
	}
	cfg, err := ConfigFromEnv(env("REDIS_HOST", "cache", "REDIS_PORT", "7000", "REDIS_DB", "2", "REDIS_PASSWORD", "pw"))
	if want := (Config{Addrs: []string{"cache:7000"}, DB: 2, Password: "pw"}); err != nil || !reflect.DeepEqual(*cfg, want) {
		t.Errorf("%+v, %v", cfg, err)
	}
	cfg, err = ConfigFromEnv(env("REDIS_URL", "redis://other", "REDIS_HOST", "cache"))
	if err != nil || cfg.Addrs[0] != "other:6379" {
		t.Errorf("REDIS_URL does not win: %+v, %v", cfg, err)
	}
	for name, bad := range map[string]func(string) string{
		"REDIS_PORT": env("REDIS_HOST", "cache", "REDIS_PORT", "redis"),
		"REDIS_DB":   env("REDIS_HOST", "cache", "REDIS_DB", "first"),
		"Config.DB":  env("REDIS_HOST", "cache", "REDIS_DB", "-1"),
	} {
		if _, err := ConfigFromEnv(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
}

func TestOptionsAndClientsAreChecked(t *testing.T) {
	good := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	deaf := map[string]redis.UniversalClient{
		"Client":   redis.NewClient(&redis.Options{}),
		"Cluster":  redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
		"Ring":     redis.NewRing(&redis.RingOptions{}),
		"Failover": redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}}),
	}
	for name, c := range deaf {
		if _, err := New(c, nil); err == nil || !strings.Contains(err.Error(), "ContextTimeoutEnabled") {
			t.Errorf("%s that ignores deadlines: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := New(nil, nil); err == nil {
		t.Error("a nil client is accepted")
	}
	if _, err := New(good, &Options{MaxValue: -1}); err == nil || !strings.Contains(err.Error(), "MaxValue") {
		t.Errorf("MaxValue -1: %v", err)
	}
	s, err := New(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := good.Close(); err != nil {
		t.Errorf("Close of a store closed a client that is not its own: %v", err)
	}
	for _, cfg := range []Config{
		{PoolSize: -1}, {MinIdleConns: -1}, {DialTimeout: -1}, {Addrs: []string{"no-port"}}, {Cluster: true, MasterName: "m"},
	} {
		if _, err := Connect(&cfg, nil); err == nil || !strings.Contains(err.Error(), "Config.") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/redis.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := NewClient(&Config{Addrs: []string{path}, ReadTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	_ = client.Ping(ctx).Err() // the listener speaks no Redis
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
}
