package redistest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("REDISTEST_ORPHAN") == "1" {
		orphan()
	}
	Main(m)
}

func TestStartAnswersAndPersistsNothing(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	ctx := context.Background()
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	if n, err := c.Exists(ctx, "k").Result(); err != nil || n != 0 {
		t.Fatalf("after a restart: %d keys, %v; want none", n, err)
	}
	s.Stop(t)
	if err := c.Ping(ctx).Err(); err == nil {
		t.Fatal("a stopped server answered")
	}
}

func TestArgumentsReachTheServer(t *testing.T) {
	s := Start(t, "--maxmemory", "3mb")
	if got, err := s.Client(t).ConfigGet(context.Background(), "maxmemory").Result(); err != nil || got["maxmemory"] != "3145728" {
		t.Fatalf("maxmemory = %v, %v", got, err)
	}
}

func TestPauseHoldsAnswersAndResumeReleasesThem(t *testing.T) {
	s := Start(t)
	c := s.Client(t)
	s.Pause(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Fatal("a paused server answered")
	}
	s.Resume(t)
	if err := c.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSharedIsOneServerWithDistinctPrefixes(t *testing.T) {
	if a, b := Shared(t), Shared(t); a != b {
		t.Fatal("two shared servers")
	}
	if a, b := Prefix(), Prefix(); a == b {
		t.Fatal("a prefix repeats")
	}
}

func TestLookupNamesTheVariable(t *testing.T) {
	t.Setenv("STRATA_REDIS_SERVER", "/nonexistent/redis-server")
	if _, err := lookup(); err == nil || !strings.Contains(err.Error(), "STRATA_REDIS_SERVER") {
		t.Fatalf("error %v does not name STRATA_REDIS_SERVER", err)
	}
	t.Setenv("STRATA_REDIS_SERVER", "")
	t.Setenv("PATH", t.TempDir())
	if _, err := lookup(); err == nil || !strings.Contains(err.Error(), "PATH") {
		t.Fatalf("error %v does not name PATH", err)
	}
}

// orphan is the body of a test process that is killed: it starts a server,
// prints its address and waits.
func orphan() {
	binary, err := lookup()
	if err != nil {
		panic(err)
	}
	s, err := start(binary, os.TempDir(), nil)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.WriteString(s.Addr + "\n"); err != nil {
		panic(err)
	}
	select {}
}

func TestServerDiesWithTheTestProcess(t *testing.T) {
	Binary(t)
	if !hasDeathSignal {
		t.Skip("skipped, for only Linux has a parent death signal")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REDISTEST_ORPHAN=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(string(buf[:n]))
	if err := ping(addr, works); err != nil {
		t.Fatalf("the server does not run: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for ping(addr, works) == nil {
		if time.Now().After(deadline) {
			t.Fatal("the server outlived the process that started it")
		}
		time.Sleep(time.Millisecond)
	}
}
