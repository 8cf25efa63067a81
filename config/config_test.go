package config

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// environ is an environment of its own.
func environ(pairs ...string) func(string) (string, bool) {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func parseDoc(t *testing.T, doc string, env ...string) *Config {
	t.Helper()
	c, err := Parse("strata.yaml", []byte(doc), environ(env...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	want := Config{
		Tiers: Tiers{
			Memory: Memory{Enabled: true, Engine: "auto", Capacity: 64 << 20},
			Redis:  Redis{Enabled: true, Port: 6379, MaxValue: 512 << 20, Feed: true},
			Disk:   Disk{Enabled: true, SegmentSize: 32 << 20, MaxValue: 64 << 20, Sync: "interval", SyncInterval: time.Second},
		},
		Chain: Chain{
			DefaultTTL: 5 * time.Minute, TierTimeout: 5 * time.Second, LoadTimeout: 30 * time.Second, MaxLoads: 1024,
			NegativeEntries: 16384, PendingEntries: 65536, PendingBytes: 64 << 20, WhenFull: "block",
		},
	}
	for name, doc := range map[string]string{"no file": "", "the sample": string(Sample())} {
		got, err := Parse("", []byte(doc), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Tiers != want.Tiers || got.Chain != want.Chain || len(got.Policy.Rules()) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The sample with its comments taken away sets every setting to its default,
// and its rules are rules.
func TestSampleUncommented(t *testing.T) {
	var doc []string
	for _, line := range strings.Split(string(Sample()), "\n") {
		if _, text, ok := strings.Cut(line, "  # "); ok && strings.HasPrefix(strings.TrimSpace(line), "# ") {
			line = strings.Repeat(" ", strings.Index(line, "#")) + strings.TrimPrefix(strings.TrimSpace(line), "# ")
			_ = text
		}
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.HasPrefix(strings.TrimSpace(rest), "#") && !strings.HasSuffix(name, "s") {
			continue // a setting without a default
		}
		doc = append(doc, line)
	}
	c, err := Parse("sample", []byte(strings.Join(doc, "\n")), environ("STRATA_KEY_2026_11", key32))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(doc, "\n"))
	}
	plain, err := Parse("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Tiers.Redis.ownDB = false // it was set, to what it is anyway
	if c.Tiers != plain.Tiers || c.Chain != plain.Chain {
		t.Errorf("the sample says other defaults:\n%+v\n%+v", c.Tiers, plain.Tiers)
	}
	if c.Policy.Match("price:AAPL") == nil || c.Policy.Lookup("hist").StaleIfError != 168*time.Hour {
		t.Error("the rules of the sample are not there")
	}
}

// key32 is a key in base64.
var key32 = base64.StdEncoding.EncodeToString(make([]byte, 32))

func TestKeyrings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key32+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc := "keyrings: {main: {primary: b, keys: {a: 'env:A', b: 'file:" + file + "'}}}\nrules: [{keys: 'doc:{id}', ttl: 1m, encrypt: main}]\n"
	c := parseDoc(t, doc, "A", key32)
	if got := c.Keyrings["main"].IDs(); !reflect.DeepEqual(got, []string{"b", "a"}) {
		t.Errorf("ids = %v", got)
	}
	c.Tiers.Disk.Dir = t.TempDir()
	ctx := context.Background()
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.NewCache[string](ch, nil).Set(ctx, "doc:1", "very secret"); err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(ctx); err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(c.Tiers.Disk.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "very secret") {
			t.Errorf("%s holds the value in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct{ doc, want string }{
		{"keyrings: {m: {primary: a, keys: {a: 'secret'}}}", "line 1: keyrings.m.keys.a: must be env:VARIABLE or file:PATH"},
		{"keyrings: {m: {primary: a, keys: {a: 'env:NOPE'}}}", "the variable NOPE is not set"},
		{"keyrings: {m: {primary: a, keys: {a: 'env:BAD'}}}", "env:BAD does not hold base64"},
		{"keyrings: {m: {primary: a, keys: {a: 'env:SHORT'}}}", "must have 32 bytes, has 3"},
		{"keyrings: {m: {primary: a, keys: {a: 'file:/none/such'}}}", "no such file"},
		{"keyrings: {m: {primary: x, keys: {a: 'env:A'}}}", "keyrings.m: the primary key \"x\" is not in the ring"},
		{"keyrings: {m: {primary: a, kyes: {}}}", "keyrings.m.kyes: unknown field; known are primary, keys"},
		{"keyrings: [m]", "keyrings: must be a mapping"},
		{"keyrings: {m: x}", "keyrings.m: must be a mapping"},
		{"keyrings: {m: {primary: a, keys: {a: 'env:A', a: 'env:A'}}}", "keyrings.m.keys.a: is set a second time"},
		{"rules: [{keys: a, class: hot, encrypt: m}]", "line 1: a: encrypt: there is no key ring \"m\" under keyrings"},
	} {
		_, err := Parse("f", []byte(c.doc), environ("A", key32, "BAD", "!secret!", "SHORT", "AAAA"))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret!") {
			t.Errorf("%s: %v, want %s", c.doc, err, c.want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	doc := "tiers:\n  memory: {capacity: 1GiB, ttl: 1m}\n  redis: {host: file, db: 1}\nchain:\n  default-ttl: never\n"
	c := parseDoc(t, doc,
		"STRATA_MEMORY_CAPACITY", "2GiB", "REDIS_HOST", "plain", "REDIS_DB", "2", "STRATA_REDIS_DB", "3",
		"REDIS_PASSWORD", "hunter2", "STRATA_MEMORY_TTL", "", "REDIS_TTL", "1h")
	if c.Tiers.Memory.Capacity != 2<<30 || c.Tiers.Memory.TTL != time.Minute {
		t.Errorf("memory = %+v", c.Tiers.Memory)
	}
	if r := c.Tiers.Redis; r.Host != "plain" || r.DB != 3 || string(r.Password) != "hunter2" || r.TTL != 0 || !r.Configured() {
		t.Errorf("redis = %+v", r)
	}
	if c.Chain.DefaultTTL >= 0 {
		t.Errorf("default_ttl = %v, want never", c.Chain.DefaultTTL)
	}
	origins := map[string]string{
		"tiers.memory.capacity": "STRATA_MEMORY_CAPACITY", "tiers.memory.ttl": "line 2", "tiers.redis.host": "REDIS_HOST",
		"tiers.redis.db": "STRATA_REDIS_DB", "tiers.redis.password": "REDIS_PASSWORD", "tiers.disk.dir": "default", "chain.default_ttl": "line 5",
	}
	for _, v := range c.Values() {
		if want, ok := origins[v.Path]; ok && v.Origin != want {
			t.Errorf("%s is from %s, want %s", v.Path, v.Origin, want)
		}
		if strings.Contains(v.Text, "hunter2") {
			t.Errorf("%s shows the password", v.Path)
		}
	}
}

// The server that a stronger source names wins, whether as url or as host.
func TestServerChoice(t *testing.T) {
	file := "tiers: {redis: {url: 'redis://u:p@filehost:1/4'}}\n"
	for _, c := range []struct {
		doc  string
		env  []string
		addr string
		db   int
		pw   string
	}{
		{file, nil, "filehost:1", 4, "p"},
		{file, []string{"REDIS_PASSWORD", "q", "REDIS_DB", "7"}, "filehost:1", 7, "q"},
		{file, []string{"STRATA_REDIS_DB", "0"}, "filehost:1", 0, "p"},
		{file, []string{"REDIS_HOST", "envhost"}, "envhost:6379", 0, ""},
		{file, []string{"REDIS_HOST", "envhost", "STRATA_REDIS_URL", "redis://own:2"}, "own:2", 0, ""},
		{"tiers: {redis: {host: filehost}}", []string{"REDIS_URL", "redis://envhost:3"}, "envhost:3", 0, ""},
	} {
		r, err := parseDoc(t, c.doc, c.env...).Tiers.Redis.client()
		if err != nil || len(r.Addrs) != 1 || r.Addrs[0] != c.addr || r.DB != c.db || r.Password != c.pw {
			t.Errorf("%s %v: %v, %v", c.doc, c.env, r, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		doc, want string
		env       []string
	}{
		{"teirs: {}", "strata.yaml: line 1: teirs: unknown field; known are classes, rules, tiers, chain, server, keyrings", nil},
		{"tiers: {memori: {}}", "line 1: tiers.memori: unknown field; known are disk, memory, redis", nil},
		{"tiers:\n  memory:\n    capasity: 1\n", "line 3: tiers.memory.capasity: unknown field; known are capacity, enabled, engine, max_entry, ttl", nil},
		{"tiers:\n  memory: {capacity: big}", `line 2: tiers.memory.capacity: "big" is not a size`, nil},
		{"tiers:\n  memory: {capacity: -1}", "is out of range", nil},
		{"tiers:\n  memory: {capacity: 9e99TiB}", "is out of range", nil},
		{"tiers:\n  memory: {capacity: NaN}", "is not a size", nil},
		{"tiers:\n  memory: {ttl: -1s}", "is negative", nil},
		{"tiers:\n  memory: {ttl: soon}", "is not a duration", nil},
		{"tiers:\n  memory: {ttl: [1s]}", "has no value", nil},
		{"tiers:\n  memory: {ttl: 1s, ttl: 2s}", "is set a second time (first at line 2)", nil},
		{"tiers:\n  memory: {enabled: maybe}", "is neither true nor false", nil},
		{"tiers:\n  memory: on", "must be a mapping of capacity, enabled, engine, max_entry, ttl", nil},
		{"tiers: [memory]", "must be a mapping of disk, memory, redis", nil},
		{"tiers:\n  disk: {sync: often}", `"often" is none of always, interval, never`, nil},
		{"tiers:\n  redis: {port: 70000}", "is not a number between 1 and 65535", nil},
		{"tiers:\n  redis: {url: 'http://x'}", "line 2: tiers.redis: ", nil},
		{"tiers:\n  redis: {url: 'redis://x', host: y}", "tiers.redis.host: and url both name the server", nil},
		{"tiers:\n  memory: {enabled: false}", "tiers: there is none", nil},
		{"chain: {max_loads: 0}", "is not a number between 1", nil},
		{"rules:\n- {keys: a, class: hot, tiers: [memoy]}", `line 2: a: tiers: there is no tier "memoy"`, nil},
		{"rules:\n- {keys: a, class: hot, tier_ttl: {dsik: 1s}}", `line 2: a: tier_ttl: there is no tier "dsik"`, nil},
		{"rules:\n- {keys: a, class: hot, tiers: [redis]}", "line 2: a: tiers: redis: none of them is configured", nil},
		{"rules:\n- {keys: a, class: hot, write: back, durable: true}", "line 2: a: durable: needs chain.journal", nil},
		{"rules:\n- {keys: a, colour: red}", "line 2: a: colour: unknown field", nil},
		{"{", "not valid YAML", nil},
		{"", `STRATA_MEMORY_CAPACITY: "x" is not a size`, []string{"STRATA_MEMORY_CAPACITY", "x"}},
		{"", `REDIS_DB: "x" is not a number`, []string{"REDIS_DB", "x"}},
		{"", "tiers.redis: ", []string{"REDIS_URL", "redis://:secret@host:6379/nodb"}},
	} {
		cfg, err := Parse("strata.yaml", []byte(c.doc), environ(c.env...))
		var ce *Error
		if cfg != nil || !errors.As(err, &ce) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %v\n got %v\nwant %s", c.doc, c.env, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	_, err := Parse("strata.yaml", []byte("tiers: {memory: {ttl: x}}\nrules: [{keys: a}]\n"), environ("REDIS_PORT", "x"))
	var ce *Error
	if !errors.As(err, &ce) || len(ce.Lines()) != 3 || !strings.HasPrefix(err.Error(), "config: 3 problems\n  REDIS_PORT: ") {
		t.Errorf("all problems in one error: %v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "strata.yaml")
	if err := os.WriteFile(path, []byte("rules: [{keys: a, class: hot}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil || c.Policy.Lookup("a") == nil || c.Path != path {
		t.Errorf("Load = %+v, %v", c, err)
	}
	if _, err := Load("", nil); err != nil {
		t.Errorf("Load without a file: %v", err)
	}
	for p, want := range map[string]string{path + "x": "strata config init", dir: "is a directory"} {
		if _, err := Load(p, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s): %v, want %q", p, err, want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := parseDoc(t, "", "REDIS_URL", "redis://user:hunter2@host", "REDIS_PASSWORD", "hunter3")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "url", c.Tiers.Redis.URL)
	js, err := json.Marshal(c.Tiers)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(c.Tiers), fmt.Sprintf("%+v", c.Tiers), fmt.Sprintf("%#v", c.Tiers), fmt.Sprint(c.Values()), log.String(), string(js)} {
		if strings.Contains(s, "hunter") {
			t.Errorf("a secret shows: %s", s)
		}
	}
	if Secret("").String() != "" {
		t.Error("no secret looks like one")
	}
}

func TestBuild(t *testing.T) {
	for _, engine := range []string{"ristretto", "otter", "packed"} {
		t.Run(engine, func(t *testing.T) { testBuild(t, engine) })
	}
}

func testBuild(t *testing.T, engine string) {
	c := parseDoc(t, "tiers: {memory: {engine: "+engine+"}}\nrules: [{keys: 'price:{symbol}', ttl: 1m, tiers: [memory, redis], tier_ttl: {redis: 30s}}]")
	ctx := context.Background()
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	prices := chain.NewCache[float64](ch, nil)
	if err := prices.Set(ctx, "price:AAPL", 187.5); err != nil {
		t.Fatal(err)
	}
	if v, err := prices.Get(ctx, "price:AAPL"); err != nil || v != 187.5 {
		t.Errorf("Get = %v, %v", v, err)
	}
	if _, err := prices.Get(ctx, "price:MSFT"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	var names []string
	for _, s := range ch.Stats().Tiers {
		names = append(names, s.Name)
	}
	if !reflect.DeepEqual(names, []string{"memory"}) {
		t.Errorf("tiers = %v", names)
	}
	if err := ch.Close(ctx); err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Build(done); !errors.Is(err, context.Canceled) {
		t.Errorf("Build with an ended context: %v", err)
	}
	c.Tiers.Memory.Capacity = 1 // each engine says so in its own name
	if _, err := c.Build(ctx); err == nil || !strings.Contains(err.Error(), "tiers.memory") || !strings.Contains(err.Error(), strings.NewReplacer("ristretto", "mem", "packed", "pack").Replace(engine)+"store") {
		t.Errorf("Build with a tiny memory: %v", err)
	}
}

// What was written is there again in the next run, and a second process on one
// directory is told so.
func TestBuildDisk(t *testing.T) {
	dir := t.TempDir()
	c := parseDoc(t, "tiers: {disk: {sync: always}}\nrules: [{keys: 'price:{symbol}', ttl: never}]", "STRATA_DISK_DIR", dir)
	ctx := context.Background()
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.NewCache[float64](ch, nil).Set(ctx, "price:AAPL", 187.5); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Build(ctx); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "tiers.disk") {
		t.Errorf("a second chain on the directory: %v", err)
	}
	if err := ch.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if ch, err = c.Build(ctx); err != nil {
		t.Fatal(err)
	}
	defer ch.Close(ctx)
	if v, err := chain.NewCache[float64](ch, nil).Get(ctx, "price:AAPL"); err != nil || v != 187.5 {
		t.Errorf("Get = %v, %v", v, err)
	}
	c.Tiers.Disk.Dir = "/dev/null/x"
	if _, err := c.Build(ctx); err == nil {
		t.Error("a directory that cannot be was opened")
	}
}

// A durable write is in the journal, which belongs to one program, and a tool
// gets along without.
func TestJournal(t *testing.T) {
	ctx := context.Background()
	c := parseDoc(t, "rules: [{keys: 'k:{id}', ttl: 1h, write: back, durable: true}]", "STRATA_DISK_DIR", t.TempDir(), "STRATA_CHAIN_JOURNAL", t.TempDir())
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close(ctx)
	if err := chain.NewCache[string](ch, nil).Set(ctx, "k:1", "v"); err != nil {
		t.Fatal(err)
	}
	if err := ch.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	tool := *c
	tool.Tiers.Disk.ReadOnly = true
	if _, err := tool.Build(ctx); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second chain on the journal: %v", err)
	}
	tool.IgnoreJournal = true
	beside, err := tool.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v, err := chain.NewCache[string](beside, nil).Get(ctx, "k:1")
	if err != nil || v != "v" {
		t.Errorf("Get beside the program = %q, %v", v, err)
	}
	_ = beside.Close(ctx) // a directory that is open for reading has nothing to flush
}

// A Redis that is not there leaves a chain that still answers.
func TestBuildWithoutServer(t *testing.T) {
	c := parseDoc(t, "tiers: {redis: {host: 127.0.0.1, port: 1}}")
	var failed atomic.Bool
	c.OnError = func(error) { failed.Store(true) }
	ctx := context.Background()
	ch, err := c.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close(ctx)
	names := chain.NewCache[string](ch, nil)
	v, err := names.GetOrLoad(ctx, "k", func(context.Context, string) (string, error) { return "loaded", nil })
	if err != nil || v != "loaded" {
		t.Errorf("GetOrLoad = %q, %v", v, err)
	}
	if v, err := names.Get(ctx, "k"); err != nil || v != "loaded" {
		t.Errorf("Get = %q, %v", v, err)
	}
	if !failed.Load() {
		t.Error("nobody was told of the dead tier")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Sample())
	f.Add([]byte("tiers: &t {memory: {capacity: 1GiB}}\nchain: *t\nrules: [{keys: a, class: hot}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data, nil)
		if (c == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", c, err)
		}
	})
}
