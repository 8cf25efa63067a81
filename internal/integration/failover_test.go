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
	reads, failed  atomic.Int64
	why            atomic.Value // string: the last failure of a read
}

func count(t *testing.T, writer, reader *chain.Chain, keys ...string) *counting {
	l := &counting{
		t: t, writer: chain.NewCache[string](writer, nil), reader: chain.NewCache[string](reader, nil),
		keys: keys, begun: make([]atomic.Int64, len(keys)), stop: make(chan struct{}),
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

// get reads a count, which must be one that was written. It may be an old one:
// news take their time.
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
	if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 1 || n > l.begun[i].Load() {
		l.t.Errorf("%s = %q, which nobody wrote", l.keys[i], v)
	}
}

// goesOn waits until each key has been counted and read some more.
func (l *counting) goesOn() {
	for i := range l.keys {
		want := l.begun[i].Load() + 20
		redistest.Eventually(l.t, time.Minute, "the load goes on", func() bool { return l.begun[i].Load() >= want })
	}
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
// read gives what nobody wrote; and in the end both chains agree.
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
	l.goesOn()
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
	l.goesOn()
	c.Nodes[2].Stop(t)
	l.goesOn()
	c.Nodes[2].Restart(t)
	l.goesOn()
	l.end(a)
}
