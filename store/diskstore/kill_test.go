package diskstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

// The child of TestKill: writers that say after each operation that it was
// acknowledged, until the parent kills them.
const (
	killDirEnv  = "STRATA_KILL_DIR"
	killSeedEnv = "STRATA_KILL_FROM"
	killWriters = 4
	killKeys    = 40
)

// killOp is operation i of a writer: which key it changes, and to what. An empty
// value deletes.
func killOp(writer, i int) (key, value string) {
	rng := rand.New(rand.NewPCG(uint64(writer), uint64(i)))
	key = fmt.Sprintf("w%d:%d", writer, rng.IntN(killKeys))
	if rng.IntN(4) == 0 {
		return key, ""
	}
	return key, fmt.Sprintf("%d:%s", i, strings.Repeat("x", rng.IntN(400)))
}

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
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w, from := range strings.Split(os.Getenv(killSeedEnv), ",") {
		i, _ := strconv.Atoi(from)
		wg.Go(func() {
			for ; ; i++ {
				key, value := killOp(w, i)
				var err error
				if value == "" {
					err = s.Delete(context.Background(), key)
				} else {
					err = s.Set(context.Background(), key, store.Entry{Value: []byte(value)})
				}
				if err != nil {
					fmt.Println("failed", err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(fmt.Sprintf("%d %d\n", w, i))
			}
		})
	}
	wg.Wait()
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
	var acked [killWriters]int // operations below this were acknowledged
	for round := range rounds {
		killOnce(t, dir, &acked, time.Duration(30+rand.IntN(120))*time.Millisecond)
		checkKilled(t, dir, round, &acked)
	}
	t.Logf("%d rounds, operations of each writer: %v", rounds, acked)
}

func killOnce(t *testing.T, dir string, acked *[killWriters]int, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir, killSeedEnv+"="+strings.Trim(strings.ReplaceAll(fmt.Sprint(*acked), " ", ","), "[]"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if timer == nil { // from the first write on
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		var w, i int
		if n, _ := fmt.Sscanf(sc.Text(), "%d %d", &w, &i); n == 2 {
			acked[w] = i + 1
		} else if strings.HasPrefix(sc.Text(), "failed") {
			t.Error(sc.Text())
		}
	}
	_ = cmd.Wait()
}

// checkKilled compares the store with the acknowledged operations. The one
// operation of each writer that was under way may have happened or not; where it
// has, it counts as acknowledged from now on.
func checkKilled(t *testing.T, dir string, round int, acked *[killWriters]int) {
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
	for w := range killWriters {
		want := map[string]string{}
		for i := range acked[w] {
			key, value := killOp(w, i)
			want[key] = value
		}
		lastKey, lastValue := killOp(w, acked[w])
		for k := range killKeys {
			key := fmt.Sprintf("w%d:%d", w, k)
			e, err := s.Get(context.Background(), key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			got := string(e.Value)
			if got == want[key] {
				continue
			}
			if key == lastKey && got == lastValue {
				acked[w]++
				continue
			}
			t.Fatalf("round %d: %s is %.20q, want %.20q", round, key, got, want[key])
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
