package diskstore

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/crashtest"
	"github.com/stratacache/strata/store"
)

// The child of TestKill: writers that say after each operation that it was
// acknowledged, until the parent kills them.
const (
	killDirEnv  = "STRATA_KILL_DIR"
	killSeedEnv = "STRATA_KILL_FROM"
)

func killOptions() *Options {
	return &Options{Sync: SyncAlways, SegmentSize: 48 << 10, CompactionRate: -1}
}

func TestKillChild(t *testing.T) {
	dir := os.Getenv(killDirEnv)
	if dir == "" {
		t.Skip("run by TestKill")
	}
	s, err := Open(dir, killOptions())
	if err != nil {
		crashtest.Fail(err)
	}
	crashtest.Write(os.Getenv(killSeedEnv), func(key, value string) error {
		if value == "" {
			return s.Delete(ctx, key)
		}
		return s.Set(ctx, key, store.Entry{Value: []byte(value)})
	}, crashtest.Fail)
}

// TestKill kills a process with concurrent writers again and again: every
// acknowledged write is there afterwards, every acknowledged delete holds. With
// STRATA_TORTURE=1 it does so 200 times.
func TestKill(t *testing.T) {
	rounds := 6
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 200
	}
	dir := t.TempDir()
	var acked crashtest.Acked
	for round := range rounds {
		killOnce(t, dir, &acked, time.Duration(30+rand.IntN(120))*time.Millisecond)
		checkKilled(t, dir, round, &acked)
	}
	t.Logf("%d rounds, operations of each writer: %v", rounds, &acked)
}

func killOnce(t *testing.T, dir string, acked *crashtest.Acked, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir, killSeedEnv+"="+acked.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = acked.Follow(out, func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
}

// checkKilled opens the store anew and compares it with what was acknowledged.
func checkKilled(t *testing.T, dir string, round int, acked *crashtest.Acked) {
	t.Helper()
	opts := killOptions()
	opts.OnError = func(err error) { // a torn last record is what a kill leaves
		if !strings.Contains(err.Error(), "torn record, 0 records") {
			t.Error(err)
		}
	}
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := acked.Check(func(key string) (string, error) {
		e, err := s.Get(ctx, key)
		return string(e.Value), err
	})
	if err != nil || len(lost) > 0 {
		t.Fatalf("round %d: %v, %v", round, lost, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
