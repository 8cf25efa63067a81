package integration

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/redisstore"
)

// counting is a load of writes by one chain and reads by another: each writer
// counts upwards in a key of its own.
type counting struct {
	t              *testing.T
	writer, reader *chain.Cache[string]
	keys           []string
	begun          []atomic.Int64 // the count whose Set began last, by key
	stop           chan struct{}
	wg             sync.WaitGroup
	seen           []atomic.Int64 // the highest count that was read, by key
	reads, failed  atomic.Int64
	why            atomic.Value // string: the last failure of a read
}

func count(t *testing.T, writer, reader *chain.Chain, keys ...string) *counting {
	l := &counting{
		t: t, writer: chain.NewCache[string](writer, nil), reader: chain.NewCache[string](reader, nil),
		keys: keys, begun: make([]atomic.Int64, len(keys)), seen: make([]atomic.Int64, len(keys)), stop: make(chan struct{}),
	}
	for i := range keys {
		l.set(i)
		l.wg.Go(func() { l.until(func() { l.set(i) }) })
		l.wg.Go(func() { l.until(func() { l.get(i) }) })
	}
	return l
}

func (l *counting) until(f func()) {
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(time.Millisecond): // leave the processors to the servers
			f()
		}
	}
}

func (l *counting) set(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n := l.begun[i].Add(1)
	if err := l.writer.Set(ctx, l.keys[i], fmt.Sprint(n)); err != nil {
		l.t.Errorf("Set(%s): %v", l.keys[i], err)
	}
	if v, err := l.writer.Get(ctx, l.keys[i]); err != nil || v != fmt.Sprint(n) {
		l.t.Errorf("the writer reads %q, %v; it wrote %d", v, err, n)
	}
}

// get reads a count, which must be one that was written. It may be an old one, for
// news take their time, but none that is older than what was read before.
func (l *counting) get(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	v, err := l.reader.Get(ctx, l.keys[i])
	l.reads.Add(1)
	if err != nil {
		l.failed.Add(1)
		l.why.Store(err.Error())
		return
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > l.begun[i].Load() {
		l.t.Errorf("%s = %q, which nobody wrote", l.keys[i], v)
	}
	if before := l.seen[i].Swap(n); n < before {
		l.t.Errorf("%s = %d, after %d had been read", l.keys[i], n, before)
	}
}

// goesOn waits until each key has been counted and read some more.
func (l *counting) goesOn() {
	for i := range l.keys {
		want := l.begun[i].Load() + 20
		redistest.Eventually(l.t, time.Minute, "the load goes on", func() bool { return l.begun[i].Load() >= want })
	}
}

// calms waits until the load goes on without a read that fails.
func (l *counting) calms() {
	redistest.Eventually(l.t, time.Minute, "no read fails any more", func() bool {
		failed := l.failed.Load()
		l.goesOn()
		return l.failed.Load() == failed
	})
}

// end ends the load and waits until the reader sees the last counts.
func (l *counting) end(writer *chain.Chain) {
	close(l.stop)
	l.wg.Wait()
	for i := range l.keys {
		l.set(i)
	}
	ctx := context.Background()
	redistest.Eventually(l.t, 30*time.Second, "Redis has what was written", func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return writer.Flush(ctx) == nil
	})
	for i, key := range l.keys {
		redistest.Eventually(l.t, 30*time.Second, "the other chain sees the last count", func() bool {
			v, err := l.reader.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				l.t.Errorf("%s is lost", key)
			}
			return err == nil && v == fmt.Sprint(l.begun[i].Load())
		})
	}
	l.t.Logf("%d reads, %d failed", l.reads.Load(), l.failed.Load())
}

// The master dies under load. No write fails, for it is owed to Redis meanwhile; no
// read gives what nobody wrote, or goes back; reads that fail come to an end; and
// both chains agree then.
func TestSentinelFailoverUnderLoad(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	cfg := redisstore.Config{Addrs: []string{g.Addr}, MasterName: redistest.MasterName}
	a, b := fed(t, cfg, true), fed(t, cfg, false)
	l := count(t, a, b, "k0", "k1", "k2")
	l.goesOn()
	g.Master.Stop(t)
	redistest.Eventually(t, 60*time.Second, "the replica is promoted", func() bool {
		role, _ := g.Replica.Do(t, "ROLE").([]any)
		return len(role) > 0 && role[0] == "master"
	})
	l.calms()
	l.end(a)
}

// Slots move under load, that of the feed's stream among them. No call fails.
func TestReshardUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	cfg := redisstore.Config{Addrs: c.Addrs(), Cluster: true}
	const patience = 3 * time.Second // no call fails for want of a processor
	a, b := fedWithin(t, cfg, true, patience), fedWithin(t, cfg, false, patience)
	l := count(t, a, b, "{x}0", "{x}1", "{y}0")
	l.goesOn()
	for _, slot := range []string{"p:{x}", "__strata:feed:p:"} {
		c.MoveSlot(t, slot, l.goesOn)
		l.goesOn()
	}
	l.end(a)
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d reads failed, the last with: %v", n, l.why.Load())
	}
}

// A master of a Cluster dies under load: its keys are errors and not misses, the
// others go on, and what was written meanwhile is there when it is back.
func TestClusterDownUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	cfg := redisstore.Config{Addrs: c.Addrs(), Cluster: true}
	a, b := fed(t, cfg, true), fed(t, cfg, false)
	l := count(t, a, b, "k0", "k1", "k2", "k3")
	writer, ctx := chain.NewCache[string](a, nil), context.Background()
	const unread = 30 // keys of all nodes, which the reader has to ask Redis for
	for i := range unread {
		if err := writer.Set(ctx, fmt.Sprint("unread", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	l.goesOn()
	c.Nodes[2].Stop(t)
	refused := 0
	for i := range unread {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		v, err := l.reader.Get(ctx, fmt.Sprint("unread", i))
		cancel()
		if err == nil && v != "v" || errors.Is(err, store.ErrNotFound) && !errors.Is(err, chain.ErrTierDown) {
			t.Errorf("unread%d = %q, %v; want its value or the error of its node", i, v, err)
		}
		if err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("a node was gone, and nothing failed")
	}
	l.goesOn()
	c.Nodes[2].Restart(t)
	l.calms()
	l.end(a)
}

// Redis replicates behind the caller's back: a master that dies takes writes with it
// that it acknowledged. The process that wrote never reads anything else, and puts it
// back when it finds it gone; another one may find what was there before until then. The
// next write of a key is what all of them see; and the feed, whose last entries are lost
// too, goes on.
func TestSentinelLosesAnAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	cfg := redisstore.Config{Addrs: []string{g.Addr}, MasterName: redistest.MasterName}
	a, b := fed(t, cfg, true), fed(t, cfg, false)
	writer, reader, ctx := chain.NewCache[string](a, nil), chain.NewCache[string](b, nil), context.Background()
	for key, v := range map[string]string{"lost": "before", "healed": "before"} {
		if err := writer.Set(ctx, key, v); err != nil {
			t.Fatal(err)
		}
	}
	redistest.Eventually(t, 20*time.Second, "the writes are replicated", func() bool {
		return g.Replica.Do(t, "EXISTS", "p:lost", "p:healed") == int64(2)
	})
	g.Replica.Pause(t) // and cut off, so that nothing waits for it in its socket
	g.Master.Do(t, "CLIENT", "KILL", "TYPE", "replica")
	for _, key := range []string{"lost", "healed"} {
		if err := writer.Set(ctx, key, "acknowledged"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatalf("the master has not acknowledged: %v", err)
	}
	g.Master.Stop(t)
	g.Replica.Resume(t)
	redistest.Eventually(t, 60*time.Second, "the replica is promoted", func() bool {
		if v, err := writer.Get(ctx, "lost"); err == nil && v != "acknowledged" || errors.Is(err, store.ErrNotFound) {
			t.Errorf("the writer reads %q, %v; it wrote something else", v, err)
			return true
		}
		role, _ := g.Replica.Do(t, "ROLE").([]any)
		return len(role) > 0 && role[0] == "master"
	})
	redistest.Eventually(t, 60*time.Second, "another process reads again", func() bool {
		v, err := reader.Get(ctx, "lost")
		if err == nil && v != "before" && v != "acknowledged" {
			t.Errorf("%q; nobody wrote it", v)
		}
		return err == nil || errors.Is(err, store.ErrNotFound) // it may have heard of the write
	})
	if err := writer.Set(ctx, "healed", "after"); err != nil {
		t.Errorf("Set: %v", err)
	}
	redistest.Eventually(t, 60*time.Second, "the new master has the next write", func() bool {
		return a.Flush(ctx) == nil && g.Replica.Do(t, "EXISTS", "p:healed") == int64(1)
	})
	redistest.Eventually(t, 60*time.Second, "the other process sees the next write", func() bool {
		v, err := reader.Get(ctx, "healed")
		return err == nil && v == "after"
	})
	if v, err := writer.Get(ctx, "healed"); v != "after" || err != nil {
		t.Errorf("the writer reads %q, %v", v, err)
	}
	if v, err := writer.Get(ctx, "lost"); v != "acknowledged" || err != nil {
		t.Errorf("the writer reads %q, %v", v, err)
	}
	redistest.Eventually(t, 60*time.Second, "the other process sees what was put back", func() bool {
		if v, err := writer.Get(ctx, "lost"); err != nil || v != "acknowledged" { // puts it back as soon as that can be
			t.Errorf("the writer reads %q, %v", v, err)
		}
		v, err := reader.Get(ctx, "lost")
		return err == nil && v == "acknowledged"
	})
	for _, c := range []*chain.Chain{a, b} {
		redistest.Eventually(t, 60*time.Second, "the feed is followed", func() bool { return c.Stats().Feed.Following })
	}
}
