package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/internal/redistest"
)

// TestMain lets the test's own program be the command, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("STRATA_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a `strata serve` that a test started.
type process struct {
	*exec.Cmd
	addr, http string
}

// startServe starts a server as a process of its own, and waits until it listens.
func startServe(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], append([]string{"serve", "--addr", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)}
	p.Dir = dir
	p.Env = append(os.Environ(), "STRATA_TEST_MAIN=1")
	out, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	lines := bufio.NewScanner(out)
	for p.addr == "" && lines.Scan() {
		line := lines.Text()
		_, addr, _ := strings.Cut(line, "addr=")
		addr, _, _ = strings.Cut(addr, " ")
		switch {
		case strings.Contains(line, "strata: listening"):
			p.addr = addr
		case strings.Contains(line, "strata: metrics"):
			p.http = addr
		default:
			t.Log(line)
		}
	}
	if p.addr == "" {
		t.Fatal("the server did not start")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

func (p *process) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: p.addr, MaxRetries: -1})
}

// TestProcessors: a server of memory alone leaves a processor to its clients, unless
// it was told what to take, or has less than the machine.
func TestProcessors(t *testing.T) {
	all := runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(all))
	memory, disk, far := &config.Config{}, &config.Config{}, &config.Config{}
	disk.Tiers.Disk.Enabled, disk.Tiers.Disk.Dir = true, "d"
	far.Tiers.Redis.Enabled, far.Tiers.Redis.Host = true, "h"
	unset := func(string) (string, bool) { return "", false }
	for name, c := range map[string]struct {
		cfg  *config.Config
		env  func(string) (string, bool)
		want bool
	}{
		"memory":     {memory, unset, all > 1},
		"disk":       {disk, unset, false},
		"redis":      {far, unset, false},
		"GOMAXPROCS": {memory, func(name string) (string, bool) { return "2", name == "GOMAXPROCS" }, false},
	} {
		if n, ok := processors(c.cfg, c.env); ok != c.want || ok && n != all-1 {
			t.Errorf("%s: %d, %v of %d", name, n, ok, all)
		}
	}
	if all > 1 {
		runtime.GOMAXPROCS(all - 1)
		if n, ok := processors(memory, unset); ok {
			t.Errorf("a share of %d of %d processors became %d", all-1, all, n)
		}
	}
}

// TestServe is the way of a process: it serves, answers for its health, ends on
// SIGTERM, and has what it was given after a restart, deadlines included.
func TestServe(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	p := startServe(t, dir, "--dir", filepath.Join(dir, "data"))
	c := p.client()
	raw := string([]byte{0, 255, '\r', '\n'})
	for key, ttl := range map[string]time.Duration{"never": 0, "hour": time.Hour, "soon": 1500 * time.Millisecond} {
		if err := c.Set(ctx, key, raw, ttl).Err(); err != nil {
			t.Fatal(err)
		}
	}
	before := c.PExpireTime(ctx, "hour").Val()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "strata_server_commands_total"} {
		if body := fetch(t, "http://"+p.http+path); !strings.Contains(body, want) {
			t.Errorf("%s: %.200q", path, body)
		}
	}
	if resp, err := http.Get("http://" + p.http + "/debug/pprof/"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("profiles without being asked for: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	_ = c.Close()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("after SIGTERM: %v", err)
	}
	p = startServe(t, dir, "--dir", filepath.Join(dir, "data"))
	c = p.client()
	defer func() { _ = c.Close() }()
	if v, err := c.Get(ctx, "never").Result(); v != raw || err != nil {
		t.Errorf("never: %q, %v", v, err)
	}
	if d := c.TTL(ctx, "never").Val(); d != -1 {
		t.Errorf("TTL of what never expires: %v", d)
	}
	if after := c.PExpireTime(ctx, "hour").Val(); after != before || before <= 0 {
		t.Errorf("the deadline was %v and is %v", before, after)
	}
	time.Sleep(1500 * time.Millisecond)
	if _, err := c.Get(ctx, "soon").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("soon, past its deadline: %v", err)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestKilledServer kills the server under load, again and again: what was
// acknowledged is there, whether it was written through to a disk that syncs every
// write, or is durable in the journal of what is written back.
func TestKilledServer(t *testing.T) {
	rounds := 3
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 25
	}
	for name, yaml := range map[string]string{
		"through": "tiers: {disk: {sync: always}}\n",
		"durable": "chain: {journal: journal}\nrules: [{keys: 'k:{w}:{n}', ttl: 24h, write: back, durable: true}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "strata.yaml"), []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			acked := make([]map[string]string, 8)
			for w := range acked {
				acked[w] = map[string]string{}
			}
			for range rounds {
				p := startServe(t, dir, "--dir", filepath.Join(dir, "data"))
				verify(t, p, acked)
				load(t, p, acked)
			}
			verify(t, startServe(t, dir, "--dir", filepath.Join(dir, "data")), acked)
		})
	}
}

// load writes from several clients until the server is killed.
func load(t *testing.T, p *process, acked []map[string]string) {
	var wg sync.WaitGroup
	var writes atomic.Int64
	for w, mine := range acked {
		wg.Go(func() {
			c := p.client()
			defer func() { _ = c.Close() }()
			for i := 0; ; i++ {
				key, value := fmt.Sprintf("k:%d:%d", w, i%50), fmt.Sprintf("%d-%d", time.Now().UnixNano(), i)
				if err := c.Set(context.Background(), key, value, time.Hour).Err(); err != nil {
					delete(mine, key) // it may be there, or not
					return
				}
				mine[key] = value
				writes.Add(1)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // of load; on a slow machine, as much as it takes
	redistest.Eventually(t, 20*time.Second, "something has been written", func() bool { return writes.Load() >= 100 })
	_ = p.Process.Kill()
	wg.Wait()
	_ = p.Wait()
}

func verify(t *testing.T, p *process, acked []map[string]string) {
	t.Helper()
	c := p.client()
	defer func() { _ = c.Close() }()
	for _, mine := range acked {
		for key, want := range mine {
			if got, err := c.Get(t.Context(), key).Result(); err != nil || got != want {
				t.Errorf("%s = %q, %v; %q was acknowledged", key, got, err, want)
			}
		}
	}
}

// TestServeRefuses: what is wrong is said on one line before anything listens.
func TestServeRefuses(t *testing.T) {
	s := newShell(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	s.fails(exitFailed, "address already in use", "serve", "--addr", ln.Addr().String())
	s.fails(exitUsage, "takes no arguments", "serve", "x")
	s.write("strata.yaml", "server: {tls_cert: a}\n")
	s.fails(exitUsage, "tls_key go together", "serve")
	s.write("strata.yaml", "server: {tls_cert: a, tls_key: b}\n")
	s.fails(exitFailed, "server.tls_cert", "serve")
	s.write("strata.yaml", "server: {pprof: true}\n")
	s.fails(exitUsage, "server.pprof", "serve")
}
