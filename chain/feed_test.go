package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// wire is a feed in this process: a log that several chains read, which can be
// cut for one of them and trimmed.
type wire struct {
	mu    sync.Mutex
	log   []note
	base  int // number of the first note kept
	cond  chan struct{}
	calls int // of Publish that worked
}

type note struct {
	origin int
	change store.Change
}

// port is one process's end of the wire.
type port struct {
	w      *wire
	origin int
	slow   time.Duration // that news takes when it begins to follow
	mu     sync.Mutex
	down   chan struct{} // closed while the connection is cut
}

func (w *wire) port(origin int) *port { return &port{w: w, origin: origin} }

func (w *wire) published() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *wire) trim() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base += len(w.log)
	w.log = nil
}

func (p *port) cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case down && p.down == nil:
		p.down = make(chan struct{})
		p.w.wakeAll()
	case !down && p.down != nil:
		close(p.down)
		p.down = nil
	}
}

func (p *port) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down != nil
}

func (w *wire) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cond != nil {
		close(w.cond)
		w.cond = nil
	}
}

var errCut = errors.New("the connection is cut")

func (p *port) Publish(_ context.Context, changes []store.Change) error {
	if p.isDown() {
		return errCut
	}
	p.w.mu.Lock()
	p.w.calls++
	for _, ch := range changes {
		p.w.log = append(p.w.log, note{p.origin, ch})
	}
	p.w.mu.Unlock()
	p.w.wakeAll()
	return nil
}

func (p *port) Follow(ctx context.Context, cursor string, f func(store.News)) error {
	w := p.w
	w.mu.Lock()
	at := w.base + len(w.log)
	w.mu.Unlock()
	if cursor != "" {
		at, _ = strconv.Atoi(cursor)
		f(store.News{Cursor: cursor, Behind: true})
		time.Sleep(p.slow)
	}
	for {
		if p.isDown() {
			return errCut
		}
		w.mu.Lock()
		news := store.News{Missed: at < w.base}
		at = max(at, w.base)
		for ; at < w.base+len(w.log); at++ {
			if n := w.log[at-w.base]; n.origin != p.origin {
				news.Changes = append(news.Changes, n.change)
			}
		}
		if w.cond == nil {
			w.cond = make(chan struct{})
		}
		more := w.cond
		w.mu.Unlock()
		news.Cursor = strconv.Itoa(at)
		f(news)
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// process is a chain as one of several processes has it: its own memory and
// disk, and a tier that all share.
type process struct {
	*chain.Cache[string]
	port   *port
	memory *objectStore
	disk   *mapStore
}

// shared is a tier that does not close with one process.
type shared struct{ *mapStore }

func (shared) Close() error { return nil }

func startProcess(t *testing.T, w *wire, origin int, redis *mapStore, disk *mapStore) process {
	t.Helper()
	return w.port(origin).start(t, redis, disk)
}

// start is startProcess at a port that is there.
func (p *port) start(t *testing.T, redis, disk *mapStore) process {
	t.Helper()
	memory := newObjects(1000)
	c := newChain(t, []chain.Tier{
		{Name: "memory", Store: memory},
		{Name: "redis", Store: shared{redis}, Shared: true},
		{Name: "disk", Store: shared{disk}},
	}, "", &chain.Options{Feed: p})
	return process{Cache: chain.NewCache[string](c, nil), port: p, memory: memory, disk: disk}
}

func (p process) want(t *testing.T, key, want string) {
	t.Helper()
	got, err := p.Get(context.Background(), key)
	if want == "" {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("process %d: Get(%s) = %q, %v; want not found", p.port.origin, key, got, err)
		}
		return
	}
	if got != want || err != nil {
		t.Errorf("process %d: Get(%s) = %q, %v; want %q", p.port.origin, key, got, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A write or delete in one process is seen by the other, in memory and in its own
// disk.
func TestFeedTellsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		must(t, a.Set(ctx, "k", "old"))
		must(t, a.Set(ctx, "gone", "old"))
		b.want(t, "k", "old")
		b.want(t, "gone", "old")
		must(t, b.Chain().Flush(ctx))

		must(t, a.Set(ctx, "k", "new"))
		must(t, a.Delete(ctx, "gone"))
		time.Sleep(time.Second)
		b.want(t, "k", "new")
		b.want(t, "gone", "")

		// Even without the shared tier, b's own disk does not bring it back.
		must(t, redis.Clear(ctx))
		if e, ok := b.disk.Peek("gone"); ok {
			t.Errorf("the other process's disk still holds the deleted key: %q", e.Value)
		}
	})
}

// Changes made while a process is cut off are replayed when it is back, and until
// then it serves what it has.
func TestFeedReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		for i := range 1000 {
			must(t, a.Set(ctx, fmt.Sprint("k", i), "old"))
			b.want(t, fmt.Sprint("k", i), "old")
		}
		b.port.cut(true)
		time.Sleep(time.Second)
		for i := range 1000 {
			must(t, a.Set(ctx, fmt.Sprint("k", i), "new"))
		}
		b.port.cut(false)
		time.Sleep(10 * time.Second)
		for i := range 1000 {
			b.want(t, fmt.Sprint("k", i), "new")
		}
	})
}

// Where the feed no longer has what was missed, all that the process held by
// itself is looked up anew: from the shared tier, one read a key, and not at once.
func TestFeedGapMakesSuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		synctest.Wait() // both follow
		for _, key := range []string{"changed", "deleted", "same"} {
			must(t, a.Set(ctx, key, "old"))
			b.want(t, key, "old")
		}
		must(t, b.Chain().Flush(ctx))
		time.Sleep(time.Second) // all is told
		b.port.cut(true)
		time.Sleep(time.Second)
		must(t, a.Set(ctx, "changed", "new"))
		must(t, a.Delete(ctx, "deleted"))
		time.Sleep(time.Second)
		if f := b.Chain().Stats().Feed; f.Following || f.Failures == 0 || f.Missed != 1 || f.Applied != 3 {
			t.Errorf("counters of a feed that is cut off: %+v", f)
		}
		if f := a.Chain().Stats().Feed; !f.Following || f.Failures != 0 || f.Published != 5 || f.Pending != 0 {
			t.Errorf("counters of the other: %+v", f)
		}
		w.trim()
		before := redis.Reads("same")
		b.port.cut(false)
		time.Sleep(10 * time.Second)
		if f := b.Chain().Stats().Feed; !f.Following || f.Missed != 2 {
			t.Errorf("counters of a feed that is back: %+v", f)
		}
		if n := redis.Reads("same") - before; n != 0 {
			t.Errorf("the gap alone caused %d reads of the shared tier; want 0 until somebody asks", n)
		}
		for range 3 {
			b.want(t, "changed", "new")
			b.want(t, "deleted", "")
			b.want(t, "same", "old")
		}
		if n := redis.Reads("same") - before; n != 1 {
			t.Errorf("three reads of a suspect key read the shared tier %d times; want once", n)
		}
	})
}

// A process that was down catches up from where it was, so that its disk does not
// serve what others have replaced; one whose disk does not know where it was
// trusts nothing that only it holds.
func TestFeedAfterRestart(t *testing.T) {
	for _, knows := range []bool{true, false} {
		t.Run(fmt.Sprint("knows=", knows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, w, redis, disk := context.Background(), &wire{}, newMap(), newMap()
				a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, disk)
				must(t, b.Set(ctx, "k", "old"))
				must(t, b.Set(ctx, "same", "old"))
				time.Sleep(time.Second)
				must(t, b.Chain().Close(ctx))

				must(t, a.Set(ctx, "k", "new"))
				must(t, a.Delete(ctx, "k"))
				must(t, a.Chain().Flush(ctx))
				must(t, redis.Clear(ctx)) // the shared tier has lost everything meanwhile
				if !knows {
					must(t, disk.Delete(ctx, "__strata:cursor"))
				}
				b = startProcess(t, w, 2, redis, disk)
				b.want(t, "k", "")
				time.Sleep(time.Second)
				b.want(t, "k", "")
				if knows {
					b.want(t, "same", "old")
				} else {
					b.want(t, "same", "")
				}
			})
		})
	}
}

// Invalidations of tags and Clear reach the others.
func TestFeedTagsAndClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, newMap())
		synctest.Wait() // both follow
		must(t, a.Set(ctx, "tagged", "v", chain.WriteOptions{Tags: []string{"t"}}))
		must(t, a.Set(ctx, "plain", "v"))
		b.want(t, "tagged", "v")
		b.want(t, "plain", "v")
		must(t, a.Chain().InvalidateTags(ctx, "t"))
		time.Sleep(time.Second)
		b.want(t, "tagged", "")
		b.want(t, "plain", "v")
		must(t, a.Chain().Clear(ctx))
		time.Sleep(time.Second)
		b.want(t, "plain", "")
	})
}

// A write-back is announced when the shared tier has it, not before: others would
// fetch the old value again and keep it.
func TestFeedWaitsForWriteBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		port := w.port(1)
		c := newChain(t, []chain.Tier{
			{Name: "memory", Store: newObjects(1000)},
			{Name: "redis", Store: shared{redis}, Shared: true, WriteBack: true},
		}, "", &chain.Options{Feed: port})
		a, b := chain.NewCache[string](c, nil), startProcess(t, w, 2, redis, newMap())
		must(t, a.Set(ctx, "k", "old"))
		must(t, c.Flush(ctx))
		time.Sleep(time.Second)
		b.want(t, "k", "old")
		must(t, a.Set(ctx, "k", "new"))
		b.want(t, "k", "old") // not there yet
		must(t, c.Flush(ctx))
		time.Sleep(time.Second)
		b.want(t, "k", "new")
	})
}

// A process's own announcements do not cost it what it holds.
func TestFeedIgnoresItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis := context.Background(), &wire{}, newMap()
		a := startProcess(t, w, 1, redis, newMap())
		synctest.Wait() // it follows
		must(t, a.Set(ctx, "k", "v"))
		time.Sleep(time.Second)
		reads := redis.Reads("k")
		a.want(t, "k", "v")
		if n := redis.Reads("k") - reads; n != 0 {
			t.Errorf("its own announcement made the process read the key anew")
		}
	})
}

// Keys that the chain keeps for itself are not a program's to use.
func TestReservedKeys(t *testing.T) {
	c := chain.NewCache[string](newChain(t, []chain.Tier{{Name: "disk", Store: newMap()}}, "", nil), nil)
	if err := c.Set(context.Background(), "__strata:cursor", "x"); !errors.Is(err, store.ErrInvalidKey) {
		t.Errorf("Set of a reserved key: %v; want ErrInvalidKey", err)
	}
}
