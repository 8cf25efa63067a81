package chain_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// oblivious is a shared tier that remembers deletes for a minute.
type oblivious struct{ *trapped }

func (oblivious) TombstoneTTL() time.Duration { return time.Minute }
func (oblivious) Close() error                { return nil }

func newOblivious() oblivious {
	return oblivious{&trapped{mapStore: newMap(), name: "redis", trap: &trap{}, gone: map[string]uint64{}}}
}

// forget is what a minute does to it.
func (f oblivious) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.gone)
}

// A process that was down while another deleted a key does not bring it back, from
// its disk or its journal, however slow the news is: the shared tier has forgotten
// the delete.
func TestNothingComesBackThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis, disk := context.Background(), &wire{}, newMap(), newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, disk)
		must(t, b.Set(ctx, "k", "old"))
		time.Sleep(time.Second)
		must(t, b.Chain().Close(ctx))
		must(t, a.Delete(ctx, "k"))
		time.Sleep(time.Minute)

		late := w.port(2)
		late.slow = time.Second
		b = late.start(t, redis, disk)
		b.want(t, "k", "")
		must(t, b.Chain().Flush(ctx))
		time.Sleep(time.Minute)
		if e, ok := redis.Peek("k"); ok {
			t.Errorf("the shared tier has the deleted key again: %q", e.Value)
		}
		a.want(t, "k", "")
		b.want(t, "k", "")
	})
}

// One that cannot reach the feed at all serves what its disk has, but does not fill
// it into the shared tier before it is back.
func TestNothingComesBackFromADiskBehindACutFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis, disk := context.Background(), &wire{}, newMap(), newMap()
		a, b := startProcess(t, w, 1, redis, newMap()), startProcess(t, w, 2, redis, disk)
		must(t, b.SetMany(ctx, map[string]string{"k": "old", "same": "old", "m1": "old", "m2": "old", "m3": "old"}))
		time.Sleep(time.Second)
		must(t, b.Chain().Close(ctx))
		must(t, a.Delete(ctx, "k"))
		must(t, redis.Clear(ctx))
		time.Sleep(time.Minute)

		late := w.port(2)
		late.cut(true)
		b = late.start(t, redis, disk)
		b.want(t, "k", "old") // nobody can tell
		b.want(t, "same", "old")
		if many, err := b.GetMany(ctx, []string{"m1", "m2", "m3"}); err != nil || many["m3"].Value != "old" {
			t.Errorf("GetMany: %v, %v", many, err)
		}
		must(t, b.Chain().Flush(ctx))
		if n := redis.Len(); n != 0 {
			t.Errorf("%d entries were filled into the shared tier without knowing whether they are still right", n)
		}
		late.cut(false)
		time.Sleep(10 * time.Second)
		b.want(t, "k", "")
		a.want(t, "k", "")
		must(t, b.Chain().Close(ctx))
		b = startProcess(t, w, 2, redis, disk)
		b.want(t, "same", "old")
		must(t, b.Chain().Flush(ctx))
		if e, _ := redis.Peek("same"); string(e.Value) != "old" {
			t.Error("what is still right is not filled into the shared tier once that is known")
		}
	})
}

// A process that was stopped for longer than the shared tier remembers deletes does
// not fill in what it holds before it has news again.
func TestNothingComesBackAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w, redis, disk := context.Background(), &wire{}, newOblivious(), newMap()
		port := w.port(1)
		open := func() *chain.Cache[string] {
			return chain.NewCache[string](newChain(t, []chain.Tier{
				{Name: "redis", Store: redis, Shared: true}, {Name: "disk", Store: shared{disk}},
			}, "", &chain.Options{Feed: port, DefaultTTL: -1}), nil)
		}
		c := open()
		synctest.Wait() // it follows
		must(t, c.Set(ctx, "k", "old"))
		time.Sleep(time.Second)
		time.Sleep(time.Hour) // without any news, as if it stood still
		redis.Wipe()          // another process deletes the key, which is then forgotten
		redis.forget()
		v, err := c.Get(ctx, "k")
		want(t, v, err, "old") // the news is on its way
		must(t, c.Chain().Flush(ctx))
		if e, ok := redis.Peek("k"); ok {
			t.Errorf("the shared tier has the deleted key again: %q", e.Value)
		}
	})
}

// A write that was pending for longer than the shared tier remembers deletes waits
// for the news when the tier is back; what another process has deleted since is not
// written. Without any news it is written in the end.
func TestPendingWritesWaitForNews(t *testing.T) {
	for _, news := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, w, redis := context.Background(), &wire{}, newOblivious()
			port := w.port(1)
			open := func() *chain.Chain {
				return newChain(t, []chain.Tier{{Name: "redis", Store: redis, Shared: true, WriteBack: true}}, "",
					&chain.Options{Feed: port, DefaultTTL: -1, Pending: chain.PendingOptions{Interval: time.Hour}})
			}
			c := open()
			time.Sleep(time.Second)
			must(t, chain.NewCache[string](c, nil).Set(ctx, "k", "old"))
			port.cut(true)
			time.Sleep(30 * time.Minute)
			must(t, w.port(2).Publish(ctx, []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: versionAt(time.Now())}}))
			if news {
				time.AfterFunc(30*time.Minute+2*time.Second, func() { port.cut(false) })
			}
			time.Sleep(2 * time.Hour)
			_, ok := redis.Peek("k")
			if news && ok {
				t.Error("a write came into the shared tier after another process had deleted the key")
			}
			if !news && !ok {
				t.Error("a write is held back for ever because the feed is out of reach")
			}
			port.cut(false) // or Close says what nobody has been told
			time.Sleep(10 * time.Second)
		})
	}
}

// A process that keeps nothing but a journal, and was down while another deleted what
// it had yet to write, does not write it: it learns of the delete first.
func TestJournalLearnsOfDeletesFirst(t *testing.T) {
	ctx, w, redis, dir := context.Background(), &wire{}, newOblivious(), t.TempDir()
	port := w.port(1)
	open := func(s store.Store) *chain.Chain {
		c, err := chain.New([]chain.Tier{{Name: "memory", Store: newObjects(9)}, {Name: "redis", Store: s, Shared: true, WriteBack: true}},
			parse(t, `rules: [{keys: "k:*", ttl: 1h, write: back, durable: true}]`),
			&chain.Options{Feed: port, Pending: chain.PendingOptions{Journal: dir}})
		noErr(t, err)
		return c
	}
	broken := faultstore.New(redis)
	broken.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
	c := open(broken)
	for !c.Stats().Feed.Following {
		runtime.Gosched()
	}
	cache := chain.NewCache[string](c, nil)
	noErr(t, cache.Set(ctx, "k:deleted", "old"))
	noErr(t, cache.Set(ctx, "k:kept", "v"))
	if pe := stop(t, c); pe == nil || pe.Journalled != 2 {
		t.Fatalf("Close reports %+v; want 2 writes in the journal", pe)
	}
	noErr(t, w.port(2).Publish(ctx, []store.Change{{Kind: store.ChangeWrite, Key: "k:deleted", Version: versionAt(time.Now().Add(time.Second))}}))
	port.slow = 50 * time.Millisecond
	c = open(redis)
	noErr(t, c.Flush(ctx))
	noErr(t, c.Close(ctx))
	if _, ok := redis.Peek("k:deleted"); ok {
		t.Error("a write from the journal came into the shared tier after another process had deleted the key")
	}
	if e, _ := redis.Peek("k:kept"); string(e.Value) != "v" {
		t.Errorf("k:kept = %q in the shared tier; want what the journal held", e.Value)
	}
}
