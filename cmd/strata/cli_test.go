package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/internal/serve/inspect"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// shell runs commands in an empty working directory.
type shell struct {
	t   *testing.T
	env map[string]string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	t.Chdir(t.TempDir())
	return &shell{t: t, env: map[string]string{}}
}

func (s *shell) input(in string, args ...string) (code int, out, errs string) {
	s.t.Helper()
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(in), out: &o, err: &e, env: func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }}
	code = run(context.Background(), a, args)
	if (code == exitOK) != (e.Len() == 0) {
		s.t.Errorf("%q: code %d, but errors %q", args, code, e.String())
	}
	for _, line := range strings.Split(strings.TrimSuffix(e.String(), "\n"), "\n") {
		if line != "" && !strings.HasPrefix(line, "strata: ") || len(line) > 1000 {
			s.t.Errorf("%q: error line %q", args, line)
		}
	}
	return code, o.String(), e.String()
}

// ok runs a command that must succeed and returns its output.
func (s *shell) ok(args ...string) string {
	s.t.Helper()
	code, out, errs := s.input("", args...)
	if code != exitOK {
		s.t.Fatalf("%q: code %d: %s", args, code, errs)
	}
	return out
}

// fails runs a command that must fail so.
func (s *shell) fails(code int, want string, args ...string) {
	s.t.Helper()
	got, _, errs := s.input("", args...)
	if got != code || !strings.Contains(errs, want) {
		s.t.Errorf("%q: code %d, %q; want %d, %q", args, got, errs, code, want)
	}
}

func (s *shell) write(name, content string) string {
	s.t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func decode[V any](t *testing.T, out string) V {
	t.Helper()
	var v V
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return v
}

func TestUsage(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct {
		want string
		args []string
	}{
		{`there is no command "nope"`, []string{"nope"}},
		{`there is no command "strata policy nope"`, []string{"policy", "nope"}},
		{"unknown flag: --nope (see strata --help)", []string{"--nope"}},
		{"strata get needs one KEY (see strata get --help)", []string{"get"}},
		{"strata get takes only one KEY", []string{"get", "a", "b"}},
		{"strata set needs a KEY and a VALUE", []string{"set", "a"}},
		{"strata del needs at least one KEY", []string{"del"}},
		{"strata policy check needs one FILE", []string{"policy", "check"}},
		{"strata version takes no arguments", []string{"version", "x"}},
		{"name a directory with --dir", []string{"get", "a"}},
		{"invalid argument", []string{"get", "a", "--timeout", "soon"}},
		{"--ttl -5m is not a time to live", []string{"--dir", "d", "set", "a", "b", "--ttl", "-5m"}},
		{`there is no command "strata completion nope"`, []string{"completion", "nope"}},
		{"must be a mapping", []string{"--config", s.write("text.yaml", strings.Repeat("text ", 10_000)), "stats"}},
		{"/dev/zero is larger than 4 MiB", []string{"--config", "/dev/zero", "stats"}},
		{"there is no file nope.yaml", []string{"--config", "nope.yaml", "stats"}},
	} {
		s.fails(exitUsage, c.want, c.args...)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitFailed, "text.yaml: it is not a directory", []string{"--dir", "text.yaml", "disk", "ls"}},
		{exitFailed, "not a directory", []string{"--dir", "text.yaml", "get", "k"}},
		{exitFailed, "/dev/zero is larger than 4 MiB", []string{"policy", "check", "/dev/zero"}},
		{exitFailed, "nothing listens there", []string{"get", "k", "--addr", "127.0.0.1:1"}},
		{exitFailed, "give HOST:PORT", []string{"get", "k", "--addr", "localhost"}},
		{exitFailed, "give HOST:PORT", []string{"serve", "--addr", "localhost"}},
		{exitFailed, "a key is not empty", []string{"--dir", "there", "set", "", "v"}},
		{exitFailed, "a key has at most", []string{"--dir", "there", "set", strings.Repeat("k", 100_000), "v"}},
		{exitNotFound, "there is no value", []string{"--dir", "there", "get", strings.Repeat("k", 100_000)}},
	} {
		s.fails(c.code, c.want, c.args...)
	}
	if out := s.ok(); !strings.Contains(out, "Exit codes: 0 fine; 1 something failed;") {
		t.Errorf("help: %s", out)
	}
	if out := s.ok("policy"); !strings.Contains(out, "check") {
		t.Errorf("help of policy: %s", out)
	}
	if _, err := os.Stat("d"); err == nil {
		t.Error("a refused command made the directory")
	}
}

func TestVersion(t *testing.T) {
	s := newShell(t)
	if out := s.ok("version"); !strings.HasPrefix(out, "strata ") {
		t.Errorf("version: %s", out)
	}
	if v := decode[versionInfo](t, s.ok("version", "--json")); v.Go == "" || v.Version == "" {
		t.Errorf("version: %+v", v)
	}
}

func TestData(t *testing.T) {
	s := newShell(t)
	s.env["STRATA_DISK_DIR"] = "cache"
	s.fails(exitFailed, "no cache at cache", "get", "price:AAPL")
	if _, err := os.Stat("cache"); err == nil {
		t.Error("reading made the directory")
	}
	s.ok("set", "price:AAPL", "187.5", "--ttl", "1h", "--tag", "prices")
	s.ok("set", "info:é", "two\nlines")
	if code, _, errs := s.input("\x00\xff", "set", "bin", "-"); code != exitOK {
		t.Fatal(errs)
	}

	if out := s.ok("get", "price:AAPL"); out != "187.5\n" {
		t.Errorf("get: %q", out)
	}
	if out := s.ok("get", "info:é"); out != "two\nlines\n" {
		t.Errorf("get: %q", out)
	}
	if out := s.ok("get", "--raw", "bin"); out != "\x00\xff" {
		t.Errorf("get --raw: %q", out)
	}
	s.fails(exitUsage, "2 bytes that are not text: print them with --raw", "get", "bin")
	s.fails(exitNotFound, `there is no value under "nope"`, "get", "nope")
	e := decode[entryInfo](t, s.ok("get", "price:AAPL", "--json"))
	if e.Value == nil || *e.Value != "187.5" || e.Size != 5 || e.Version == 0 || len(e.Tags) != 1 ||
		e.Expires == nil || time.Until(*e.Expires) > time.Hour || time.Until(*e.Expires) < 50*time.Minute {
		t.Errorf("get --json: %+v", e)
	}
	if e := decode[entryInfo](t, s.ok("get", "bin", "--json")); e.Value != nil || e.Base64 == nil || *e.Base64 != "AP8=" || e.Expires != nil {
		t.Errorf("get --json of bytes: %+v", e)
	}

	if out := s.ok("scan", "price:"); out != "price:AAPL\n" {
		t.Errorf("scan: %q", out)
	}
	if out := s.ok("scan"); strings.Count(out, "\n") != 3 {
		t.Errorf("scan: %q", out)
	}
	if out := s.ok("scan", "--limit", "2"); strings.Count(out, "\n") != 2 {
		t.Errorf("scan --limit: %q", out)
	}
	if out := s.ok("scan", "-l", "price:"); !strings.Contains(out, "5 B") || !strings.Contains(out, "59m") && !strings.Contains(out, "1h") {
		t.Errorf("scan -l: %q", out)
	}
	if e := decode[entryInfo](t, s.ok("scan", "-l", "price:", "--json")); e.Key != "price:AAPL" || e.Value != nil || e.Size != 5 {
		t.Errorf("scan -l --json: %+v", e)
	}
	if k := decode[map[string]string](t, s.ok("scan", "price:", "--json")); k["key"] != "price:AAPL" {
		t.Errorf("scan --json: %v", k)
	}

	x := decode[inspect.Explained](t, s.ok("explain", "price:AAPL", "--json"))
	if x.Rule != "default" || len(x.Tiers) != 1 || x.Tiers[0].Tier != "disk" || !x.Tiers[0].Present || x.Tiers[0].Size != 5 {
		t.Errorf("explain --json: %+v", x)
	}
	if out := s.ok("explain", "price:AAPL"); !strings.Contains(out, "disk  yes   5 B") {
		t.Errorf("explain: %s", out)
	}
	if st := decode[inspect.Stats](t, s.ok("stats", "--json")).Tiers; len(st) != 1 || st[0].Entries != 3 || st[0].Bytes == 0 {
		t.Errorf("stats --json: %+v", st)
	}
	if out := s.ok("stats"); !strings.Contains(out, "disk  entries") {
		t.Errorf("stats: %s", out)
	}

	s.ok("del", "price:AAPL", "bin", "never-there")
	s.fails(exitNotFound, "there is no value", "get", "price:AAPL")
	s.fails(exitNotFound, "no tier holds", "explain", "price:AAPL")
	if out := s.ok("scan"); out != "info:é\n" {
		t.Errorf("scan: %q", out)
	}
}

// Reading goes on beside the process that has the directory, and writing is
// refused with what to do.
func TestBesideAnotherProcess(t *testing.T) {
	s := newShell(t)
	d, err := diskstore.Open("cache", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := context.Background()
	if err := d.Set(ctx, "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if out := s.ok("--dir", "cache", "get", "k"); out != "v\n" {
		t.Errorf("get: %q", out)
	}
	s.fails(exitFailed, "stop the program that has the directory open", "--dir", "cache", "set", "k", "w")
}

func TestRedis(t *testing.T) {
	srv := redistest.Start(t)
	s := newShell(t)
	s.env["REDIS_URL"] = "redis://" + srv.Addr
	s.env["STRATA_REDIS_PREFIX"] = "bot:"
	s.write("strata.yaml", "rules: [{keys: 'price:{symbol}', class: hot, wire: plain}]\n")
	s.ok("set", "price:AAPL", "187.5")
	if out := s.ok("get", "price:AAPL"); out != "187.5\n" {
		t.Errorf("get: %q", out)
	}
	x := decode[inspect.Explained](t, s.ok("explain", "price:AAPL", "--json"))
	if x.Rule != "price" || len(x.Tiers) != 1 || x.Tiers[0].Tier != "redis" || x.Tiers[0].Expires == nil {
		t.Errorf("explain: %+v", x)
	}
	s.env["REDIS_URL"] = "redis://:hunter2@127.0.0.1:1"
	s.fails(exitFailed, "connection refused", "get", "price:AAPL", "--timeout", "3s")
	s.fails(exitFailed, "connection refused", "set", "price:AAPL", "1", "--timeout", "3s")
	if _, _, errs := s.input("", "get", "price:AAPL"); strings.Contains(errs, "hunter2") {
		t.Errorf("the password is in %s", errs)
	}

	// A tier that refuses the password is another matter than a server of --addr.
	srv.Do(t, "CONFIG", "SET", "requirepass", "hunter3")
	for url, refusal := range map[string]string{"redis://" + srv.Addr: "NOAUTH", "redis://:hunter2@" + srv.Addr: "WRONGPASS"} {
		s.env["REDIS_URL"] = url
		s.fails(exitFailed, "set REDIS_PASSWORD, or tiers.redis.password", "get", "price:AAPL")
		if _, out, errs := s.input("", "doctor"); !strings.Contains(out, "set REDIS_PASSWORD") || !strings.Contains(out, refusal) || strings.Contains(out+errs, "hunter") {
			t.Errorf("doctor: %s%s", out, errs)
		}
	}
	s.fails(exitFailed, "set STRATA_SERVER_PASSWORD", "get", "price:AAPL", "--addr", srv.Addr)
}

// A key that is no text comes out whole.
func TestKeysThatAreNoText(t *testing.T) {
	s := newShell(t)
	s.env["STRATA_DISK_DIR"] = "cache"
	const key = "a\xffb"
	s.ok("set", key, "v")
	for _, command := range [][]string{{"scan"}, {"scan", "-l"}, {"get", key}, {"ttl", key}} {
		if got := decode[keyInfo](t, s.ok(append(command, "--json")...)); string(got.Base64) != key || got.Key != "" {
			t.Errorf("%v: %+v; want the bytes of the key", command, got)
		}
	}
	s.ok("set", "text", "v")
	if got := decode[keyInfo](t, s.ok("get", "text", "--json")); got.Key != "text" || got.Base64 != nil {
		t.Errorf("get: %+v; want the text of the key", got)
	}
}

func TestPolicy(t *testing.T) {
	s := newShell(t)
	good := s.write("good.yaml", "tiers: {memory: {capacity: 1GiB}}\nrules:\n- {keys: 'price:{symbol}', class: hot, tiers: [memory], tier_ttl: {memory: 1m}}\n- {keys: 'hist:{s}', class: cold, stale_if_error: 7d}\n")
	out := s.ok("policy", "check", good)
	for _, want := range []string{"price  price:{symbol}  hot    5m   -", "hist   hist:{s}        cold   24h  168h", "good.yaml: valid, 2 rules"} {
		if !strings.Contains(out, want) {
			t.Errorf("check: %q is not in\n%s", want, out)
		}
	}
	res := decode[checkResult](t, s.ok("policy", "check", good, "--json"))
	if !res.OK || len(res.Rules) != 2 || res.Rules[0].TierTTL["memory"] != "1m" || res.Rules[1].Grace != "168h" {
		t.Errorf("check --json: %+v", res)
	}
	bad := s.write("bad.yaml", "rules:\n- {keys: a, class: hto}\n- {keys: b, ttl: 1}\n")
	s.fails(exitUsage, "strata: line 2: a: class: \"hto\" is not defined; known are cold, hot, warm\nstrata: line 3: b: ttl:", "policy", "check", bad)
	code, jsonOut, _ := s.input("", "policy", "check", bad, "--json")
	if res := decode[checkResult](t, jsonOut); code != exitUsage || res.OK || len(res.Problems) != 2 || res.Problems[0].Line != 2 {
		t.Errorf("check --json: %d, %+v", code, res)
	}
	s.fails(exitFailed, "no such file", "policy", "check", "nope.yaml")

	out = s.ok("--config", good, "policy", "test", "price:AAPL", "hist:MSFT")
	if !strings.Contains(out, "price:AAPL  price  5m   price:{symbol} (line 3) matches") {
		t.Errorf("test: %s", out)
	}
	s.fails(exitNotFound, "1 of 2 keys have no rule", "--config", good, "policy", "test", "price:AAPL", "x")
	results := decode[[]testResult](t, s.ok("--config", good, "policy", "test", "price:A%3AB", "--json"))
	if len(results) != 1 || results[0].Rule == nil || results[0].Parts["symbol"] != "A:B" {
		t.Errorf("test --json: %+v", results)
	}
	s.fails(exitUsage, "bad.yaml: line 2", "--config", bad, "policy", "test", "a")
}

func TestConfig(t *testing.T) {
	s := newShell(t)
	if out := s.ok("config", "init"); out != "wrote strata.yaml\n" {
		t.Errorf("init: %q", out)
	}
	if b, err := os.ReadFile("strata.yaml"); err != nil || !bytes.Equal(b, config.Sample()) {
		t.Errorf("strata.yaml: %v", err)
	}
	if out := s.ok("policy", "check", "strata.yaml"); !strings.Contains(out, "strata.yaml: valid, ") {
		t.Errorf("what init wrote: %q", out)
	}
	s.fails(exitFailed, "is there already: give --force", "config", "init")
	s.ok("config", "init", "--force")
	if out := s.ok("config", "init", "-"); out != string(config.Sample()) {
		t.Errorf("init -: %q", out)
	}
	s.fails(exitFailed, "no such file or directory", "config", "init", filepath.Join("no", "dir.yaml"))
	if out := s.ok("config", "init", "--config", "other.yaml"); out != "wrote other.yaml\n" {
		t.Errorf("init --config: %q", out)
	}

	s.write("strata.yaml", "tiers:\n  memory: {capacity: 1GiB}\nrules: [{keys: a, class: hot}]\n")
	s.env["REDIS_HOST"] = "cache.example"
	s.env["REDIS_PASSWORD"] = "hunter2"
	res := decode[shown](t, s.ok("--dir", "d", "config", "show", "--json"))
	want := map[string]settingInfo{
		"tiers.memory.capacity": {"tiers.memory.capacity", "1GiB", "line 2"},
		"tiers.redis.host":      {"tiers.redis.host", "cache.example", "REDIS_HOST"},
		"tiers.redis.password":  {"tiers.redis.password", "***", "REDIS_PASSWORD"},
		"tiers.disk.dir":        {"tiers.disk.dir", "d", "--dir"},
		"chain.default_ttl":     {"chain.default_ttl", "5m", "default"},
	}
	for _, got := range res.Settings {
		if w, ok := want[got.Name]; ok && got != w {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
	if res.File != "strata.yaml" || len(res.Rules) != 1 || len(res.Settings) != len(config.Settings()) {
		t.Errorf("show --json: %+v", res)
	}
	out := s.ok("config", "show")
	if strings.Contains(out, "hunter2") || !strings.Contains(out, "REDIS_HOST") || !strings.Contains(out, "file: strata.yaml") {
		t.Errorf("show: %s", out)
	}
	s.write("strata.yaml", "tiers: {memory: {capacty: 1}}\nchain: {max_loads: x}\n")
	s.fails(exitUsage, "strata: strata.yaml: line 1: tiers.memory.capacty: unknown field", "config", "show")
	s.env["STRATA_CONFIG"] = "elsewhere.yaml"
	s.fails(exitUsage, "there is no file elsewhere.yaml", "config", "show")
}

func TestFormats(t *testing.T) {
	for in, want := range map[time.Duration]string{time.Hour: "1h", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", time.Second: "1s", 90 * time.Minute: "1h30m", 0: "0s"} {
		if got := span(in); got != want {
			t.Errorf("span(%v) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 40: "5.0 TiB", 1 << 62: "4096.0 PiB"} {
		if got := size(in); got != want {
			t.Errorf("size(%d) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"a é": "a é", "a\x1b[31m": `"a\x1b[31m"`, "a\xff": `"a\xff"`} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %s, want %s", in, got, want)
		}
	}
	if ttl(0) != "never" || until(time.Time{}, time.Now()) != "never" {
		t.Error("no deadline is not never")
	}
	var never policy.Rule
	if describe(&policy.Rule{Keys: policy.MustPattern("a"), TTL: never.TTL}).TTL != "never" {
		t.Error("a rule without expiry does not say so")
	}
}

func TestDisk(t *testing.T) {
	s := newShell(t)
	s.fails(exitUsage, "there is no directory: name one with --dir", "disk", "verify")
	s.fails(exitFailed, "no cache at cache", "--dir", "cache", "disk", "ls")
	s.write("mine", "x")
	for _, command := range []string{"ls", "verify", "repair", "compact"} { // of a directory that is something else
		s.fails(exitFailed, "no cache at .: it holds none of a cache's files", "--dir", ".", "disk", command)
	}
	if files, err := os.ReadDir("."); len(files) != 1 || err != nil {
		t.Errorf("they left %v, %v", files, err)
	}
	s.env["STRATA_DISK_DIR"] = "cache"
	for _, k := range []string{"a", "b", "c"} {
		s.ok("set", k, strings.Repeat(k, 5000))
	}
	out := s.ok("disk", "ls")
	if !strings.Contains(out, "MANIFEST") || !strings.Contains(out, ".parquet") || !strings.Contains(out, " files, ") {
		t.Errorf("ls: %s", out)
	}
	files := decode[[]fileInfo](t, s.ok("disk", "ls", "--json"))
	if r := decode[diskReport](t, s.ok("disk", "verify", "--json")); r.Rows < 3 || r.Segments == 0 || len(r.Problems) != 0 {
		t.Errorf("verify: %+v", r)
	}
	if out := s.ok("disk", "snapshot", "copy"); out != "wrote copy\n" {
		t.Errorf("snapshot: %s", out)
	}
	if out := s.ok("--dir", "copy", "get", "a"); out != strings.Repeat("a", 5000)+"\n" {
		t.Errorf("get from the copy: %d bytes", len(out))
	}
	s.fails(exitFailed, "", "disk", "snapshot", "copy")

	// One flipped bit in the middle of a segment is found, and repaired away.
	for _, f := range files {
		if strings.HasSuffix(f.File, ".parquet") {
			path := filepath.Join("cache", f.File)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[2000] ^= 1
			s.write(path, string(b))
			break
		}
	}
	s.fails(exitFailed, "files are damaged", "disk", "verify")
	code, out, _ := s.input("", "disk", "verify", "--json")
	if r := decode[diskReport](t, out); code != exitFailed || len(r.Problems) == 0 {
		t.Errorf("verify --json: %d, %+v", code, r)
	}
	s.fails(exitFailed, "files are damaged", "disk", "repair")
	s.ok("disk", "verify")
	if out := s.ok("disk", "compact"); !strings.Contains(out, " before, ") {
		t.Errorf("compact: %s", out)
	}
	decode[map[string]int64](t, s.ok("disk", "compact", "--json"))
	if out := s.ok("scan"); strings.Count(out, "\n") < 2 {
		t.Errorf("left: %q", out)
	}
}

// testCommand is a command with the flags that all with tiers have.
func testCommand(t *testing.T) *cobra.Command {
	c := withTimeout(&cobra.Command{})
	c.SetContext(t.Context())
	return c
}
