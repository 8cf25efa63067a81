package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// A write or delete in one process is soon seen by another that holds the old
// value in its memory.
func TestProcessesSeeEachOther(t *testing.T) {
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	a := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	b := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	a.must(order{Op: "set", Key: "k", Value: "0"})
	b.until("k", "0")
	var took []time.Duration
	for i := 1; i <= 100; i++ {
		v := fmt.Sprint(i)
		a.must(order{Op: "set", Key: "k", Value: v})
		took = append(took, b.until("k", v))
	}
	slices.Sort(took)
	t.Logf("the other process saw a write after %v at the median, %v at most", took[len(took)/2], took[len(took)-1])
	a.must(order{Op: "delete", Key: "k"})
	b.until("k", "")
}

// keys returns n keys with the value.
func keys(n int, value string) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprint("k", i)] = value
	}
	return m
}

// A process that was cut off serves no old value once it has caught up: by
// replay, or where the stream no longer has what it missed, by looking anew.
func TestProcessCatchesUp(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		t.Run(fmt.Sprint("trimmed=", trimmed), func(t *testing.T) {
			srv := redistest.Start(t)
			proxy := redistest.NewProxy(t, srv.Addr)
			a := startWorker(t, settings{Redis: srv.Addr, Prefix: "p:"})
			b := startWorker(t, settings{Redis: proxy.Addr, Prefix: "p:", Dir: t.TempDir()})
			const n = 1000
			a.must(order{Op: "setmany", Many: keys(n, "old")})
			a.must(order{Op: "set", Key: "marker", Value: "old"})
			b.until("marker", "old")
			// When a process begins to follow, it looks all anew that it held. Once it
			// has seen a second value, that is behind it, and the next one can reach it
			// by the replay only.
			a.must(order{Op: "set", Key: "marker", Value: "older"})
			b.until("marker", "older")
			for i := range n {
				b.get(fmt.Sprint("k", i)) // in its memory now, and its disk
			}
			b.must(order{Op: "flush"})
			before := b.do(order{Op: "missed"}).Value
			proxy.Cut()
			for i := range n {
				a.must(order{Op: "set", Key: fmt.Sprint("k", i), Value: "new"})
			}
			a.must(order{Op: "delete", Key: "k7"})
			a.must(order{Op: "flush"})
			if trimmed {
				c := srv.Client(t)
				if err := c.XTrimMaxLen(context.Background(), "__strata:feed:p:", 1).Err(); err != nil {
					t.Fatal(err)
				}
			}
			proxy.Mend(t)
			a.must(order{Op: "set", Key: "marker", Value: "new"})
			b.until("marker", "new")
			for i := range n {
				want := "new"
				if i == 7 {
					want = ""
				}
				if got := b.get(fmt.Sprint("k", i)); got != want {
					t.Fatalf("k%d = %q after the replay; want %q", i, got, want)
				}
			}
			// What was whole has been replayed, and nothing looked up anew; what was
			// trimmed cannot have been.
			if after := b.do(order{Op: "missed"}).Value; (after != before) != trimmed {
				t.Errorf("all became suspect %s times before the cut, and %s times in all", before, after)
			}
		})
	}
}

// A process that was down does not serve from its disk what another has replaced
// meanwhile, although Redis has lost everything.
func TestProcessRestartsWithOldDisk(t *testing.T) {
	srv, dir := redistest.Start(t), t.TempDir()
	a := startWorker(t, settings{Redis: srv.Addr, Prefix: "p:"})
	b := startWorker(t, settings{Redis: srv.Addr, Prefix: "p:", Dir: dir})
	b.must(order{Op: "set", Key: "changed", Value: "old"})
	b.must(order{Op: "set", Key: "same", Value: "old"})
	a.until("same", "old")
	b.must(order{Op: "follow"}) // so it has a place to go on from
	b.must(order{Op: "close"})
	a.must(order{Op: "set", Key: "changed", Value: "new"})
	a.must(order{Op: "delete", Key: "changed"})
	a.must(order{Op: "flush"})
	if err := srv.Client(t).Del(context.Background(), "p:same", "p:changed").Err(); err != nil {
		t.Fatal(err)
	}
	b = startWorker(t, settings{Redis: srv.Addr, Prefix: "p:", Dir: dir})
	a.must(order{Op: "set", Key: "marker", Value: "1"})
	b.until("changed", "")
	b.until("marker", "1")
	if got := b.get("changed") + a.get("changed"); got != "" {
		t.Errorf("changed = %q; want nothing, in either process: it was deleted", got)
	}
	if got := b.get("same"); got != "old" {
		t.Errorf("same = %q; want what the disk holds, for nobody has changed it", got)
	}
}

// loadInAll has every worker load the key at once, and returns what they got.
func loadInAll(workers []*worker, key string) []string {
	got := make([]string, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() { got[i] = w.do(order{Op: "load", Key: key}).Value })
	}
	wg.Wait()
	return got
}

// Eight processes that ask for one absent key at once cause one load.
func TestLeaseOneLoadAcrossProcesses(t *testing.T) {
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	var workers []*worker
	for range 8 {
		workers = append(workers, startWorker(t, settings{Redis: srv.Addr, Prefix: prefix}))
	}
	for _, w := range workers { // they are up
		w.must(order{Op: "set", Key: "up", Value: "1"})
	}
	key := "leased:" + strings.TrimSuffix(prefix, ":")
	for i, got := range loadInAll(workers, key) {
		if got != "loaded 1" {
			t.Errorf("worker %d got %q; want the one load's value", i, got)
		}
	}
	if n := srv.Do(t, "GET", "loads:"+key); fmt.Sprint(n) != "1" {
		t.Errorf("%v loads; want 1", n)
	}
}

// The holder of a lease is killed: another takes over.
func TestLeaseOfDeadProcess(t *testing.T) {
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	a := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	b := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	b.must(order{Op: "set", Key: "up", Value: "1"})
	key := "leased:" + strings.TrimSuffix(prefix, ":")
	a.send(order{Op: "load", Key: key, Value: "hang"})
	deadline := time.Now().Add(20 * time.Second)
	for fmt.Sprint(srv.Do(t, "GET", "loads:"+key)) != "1" {
		if time.Now().After(deadline) {
			t.Fatal("the first worker does not load")
		}
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	done := make(chan string)
	go func() { done <- b.do(order{Op: "load", Key: key}).Value }()
	time.Sleep(500 * time.Millisecond) // a load takes 300ms: would it not wait, it would be done
	select {
	case got := <-done:
		t.Fatalf("the second worker did not wait for the first: it has %q", got)
	default:
	}
	if n := fmt.Sprint(srv.Do(t, "GET", "loads:"+key)); n != "1" {
		t.Errorf("%s loads while the holder lives; want 1", n)
	}
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	left, err := srv.Client(t).PTTL(context.Background(), "__strata:lease:{"+prefix+key+"}").Result()
	if err != nil || left > leaseTTL {
		t.Errorf("the dead worker's lease is for %v more, %v; want %v at most", left, err, leaseTTL)
	}
	if got := <-done; got != "loaded 2" {
		t.Errorf("the second worker got %q; want what it loaded itself", got)
	}
	t.Logf("the second worker had its value after %v; the lease was for %v, the load takes 300ms", time.Since(began), leaseTTL)
}

// A write in one process while another loads under a lease: the loaded value,
// which may be older, is not stored.
func TestLeaseBrokenByWrite(t *testing.T) {
	srv, prefix := redistest.Shared(t), redistest.Prefix()
	a := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	b := startWorker(t, settings{Redis: srv.Addr, Prefix: prefix})
	b.must(order{Op: "set", Key: "up", Value: "1"})
	key := "leased:" + strings.TrimSuffix(prefix, ":")
	done := make(chan answer)
	go func() { done <- a.do(order{Op: "load", Key: key}) }()
	for fmt.Sprint(srv.Do(t, "GET", "loads:"+key)) != "1" {
		time.Sleep(time.Millisecond)
	}
	b.must(order{Op: "delete", Key: key})
	if got := <-done; got.Value != "loaded 1" {
		t.Errorf("the loading worker got %+v; want what it loaded, for its call began before the delete", got)
	}
	a.must(order{Op: "flush"})
	redis := shared(t, srv.Addr, prefix)
	defer func() { _ = redis.Close() }()
	if e, err := redis.Get(context.Background(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Redis holds what was loaded before the delete: %q, %v", e.Value, err)
	}
	a.until(key, "")
}
