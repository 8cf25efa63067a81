package market

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/internal/redistest"
)

// start runs the program as a user would and returns what it prints.
func start(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = Main(t.Context(), args, func(name string) string { return env[name] }, &out, &log)
	return out.String(), log.String(), err
}

// object runs the program with --json and returns what it printed, which must be
// one object of the promised form and nothing else.
func object(t *testing.T, env map[string]string, dir string) outcome {
	t.Helper()
	stdout, _, err := start(t, env, "--json", "--dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		t.Fatalf("stdout = %q: %v", stdout, err)
	}
	if strings.Count(stdout, "\n") != 1 || !strings.HasSuffix(stdout, "}\n") {
		t.Errorf("stdout = %q, want one line", stdout)
	}
	if o.Dir != dir {
		t.Errorf("dir = %q, want %q", o.Dir, dir)
	}
	return o
}

// keys is the number of distinct keys that the program asks for: history twice,
// prices and infos of 31 companies, three lists, a screening and a backtest.
const keys = 4*31 + 3 + 2

func TestSecondRunNeedsNoCall(t *testing.T) {
	dir := t.TempDir()
	first := object(t, nil, dir)
	if first.APICalls != 31+1+31+3 || first.Keys != keys {
		t.Errorf("first run: %+v, want %d calls for %d keys", first, 31+1+31+3, keys)
	}
	if first.Hits.Disk != 0 || first.Hits.Redis != 0 || first.Hits.Memory < keys {
		t.Errorf("first run: %+v, want hits in memory only", first)
	}
	second := object(t, nil, dir)
	if second.APICalls != 0 || second.Keys != keys {
		t.Errorf("second run: %+v, want no call for %d keys", second, keys)
	}
	if second.Hits.Disk != keys || second.Hits.Memory != keys {
		t.Errorf("second run: %+v, want every key from disk and then from memory", second)
	}
}

// What has expired is fetched again, and nothing else: prices after 5 minutes,
// infos and lists after 4 hours, the rest after a day.
func TestRunsAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		object(t, nil, dir)
		for _, tt := range []struct {
			later time.Duration
			calls int64
		}{
			{4 * time.Minute, 0},
			{6 * time.Minute, 1},
			{4 * time.Hour, 1 + 31 + 3},
			{25 * time.Hour, 31 + 1 + 31 + 3},
		} {
			time.Sleep(tt.later)
			if o := object(t, nil, dir); o.APICalls != tt.calls {
				t.Errorf("after %v more: %d calls, want %d", tt.later, o.APICalls, tt.calls)
			}
		}
	})
}

// The price history is a Parquet file a symbol, where any program finds it.
func TestTables(t *testing.T) {
	dir := t.TempDir()
	object(t, nil, dir)
	files, err := filepath.Glob(filepath.Join(dir, "tables", "hist", "symbol=*", "interval=*", "period=1y", "*.parquet"))
	if err != nil || len(files) != 2*31 {
		t.Errorf("%d table files, %v; want two for each symbol", len(files), err)
	}
}

func TestShow(t *testing.T) {
	stdout, stderr, err := start(t, nil, "--dir", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"24 rows of the file lack 52 prices", "Tiers: memory, disk.",
		"First pass", "Second pass, same process", "What a second run finds",
		"A second run needs 0 API calls, this one made 66.", "CAT",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("output lacks %q:\n%s", want, stdout)
		}
	}
	if stderr != "" {
		t.Errorf("stderr = %q, want nothing", stderr)
	}
}

func TestRedis(t *testing.T) {
	host, port, _ := strings.Cut(redistest.Start(t).Addr, ":")
	env := map[string]string{"REDIS_HOST": host, "REDIS_PORT": port}
	object(t, env, t.TempDir())
	// Another machine's disk, the same Redis.
	o := object(t, env, t.TempDir())
	if o.APICalls != 0 || o.Hits.Redis != keys || o.Hits.Disk != 0 {
		t.Errorf("second run: %+v, want every key from Redis", o)
	}
}

// A Redis that is not there costs nothing but its data, and is reported.
func TestRedisUnreachable(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}
	stdout, stderr, err := start(t, env, "--dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout, "A second run needs 0 API calls") {
		t.Errorf("stdout = %s", stdout)
	}
	if !strings.Contains(stderr, "redis") || !strings.Contains(stderr, "refused") {
		t.Errorf("stderr = %s, want it to say that Redis refused", stderr)
	}
}

func TestBadInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want string // in the error
	}{
		{"a folder that is a file", nil, []string{"--json", "--dir", file}, file},
		{"a folder that cannot be made", nil, []string{"--dir", filepath.Join(file, "x")}, file},
		{"a port that is none", map[string]string{"REDIS_HOST": "x", "REDIS_PORT": "abc"}, []string{"--json", "--dir", t.TempDir()}, "REDIS_PORT"},
		{"a stray argument", nil, []string{"rubbish"}, "rubbish"},
		{"an unknown flag", nil, []string{"--rubbish"}, "see above"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, _, err := start(t, tt.env, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
			if stdout != "" {
				t.Errorf("stdout = %q, want nothing", stdout)
			}
		})
	}
}

// A folder has one writer: a second program is refused while the first runs.
func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	c, err := openChain(dir, nil, newSources(quiet()), quiet())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = start(t, nil, "--json", "--dir", dir)
	if err == nil || !strings.Contains(err.Error(), "locked by another process") {
		t.Errorf("error = %v, want one that says so", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	object(t, nil, dir)
}

func TestHelp(t *testing.T) {
	_, stderr, err := start(t, nil, "--help")
	if err != nil || !strings.Contains(stderr, "-json") {
		t.Errorf("--help: %v\n%s", err, stderr)
	}
}
