package chain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

const durableYAML = `
rules:
  - keys: "d:{id}"
    ttl: 24h
    write: back
    durable: true
  - keys: "m:{id}"
    ttl: 24h
    write: back
`

// durable opens a chain with a journal in dir over a tier that takes nothing until
// it is reset. The tier survives the chain.
func durable(t testing.TB, dir string, m store.Store, opts *chain.Options) (*chain.Chain, *chain.Cache[string], *faultstore.Store) {
	t.Helper()
	f := faultstore.New(keep{m})
	f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
	o := chain.Options{}
	if opts != nil {
		o = *opts
	}
	o.Pending.Journal = dir
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: newObjects(0)}, {Name: "disk", Store: f}}, parse(t, durableYAML), &o)
	noErr(t, err)
	return c, chain.NewCache[string](c, nil), f
}

// keep keeps a store open when the chain closes its tiers.
type keep struct{ store.Store }

func (keep) Close() error { return nil }

// stop closes a chain without giving it time to drain.
func stop(t testing.TB, c *chain.Chain) *chain.PendingError {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := c.Close(ctx)
	var pe *chain.PendingError
	if err != nil && !errors.As(err, &pe) {
		t.Errorf("Close: %v", err)
	}
	return pe
}

// What was acknowledged and not taken is replayed: the newest of each key, deletes
// as deletes, expired writes as deletes of what the tier has. What the tier took is
// not written again, and non-durable writes are not in the journal.
func TestReplay(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	m.Plant("d:expired", store.Entry{Value: []byte("older"), Version: 1, Codec: "text"})
	m.Plant("d:gone", store.Entry{Value: []byte("older"), Version: 1, Codec: "text"})
	c, cache, f := durable(t, dir, m, nil)
	f.Reset()
	noErr(t, cache.Set(ctx, "d:taken", "1"))
	flush(t, c)
	f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
	for i := range 20 {
		noErr(t, cache.Set(ctx, "d:a", fmt.Sprint(i)))
	}
	noErr(t, cache.SetMany(ctx, map[string]string{"d:b": "b", "d:c": "c", "m:x": "lost"}))
	noErr(t, cache.Set(ctx, "d:expired", "short", chain.WriteOptions{TTL: 20 * time.Millisecond}))
	noErr(t, cache.Delete(ctx, "d:gone", "d:c"))
	x, err := c.Explain(ctx, "d:a")
	noErr(t, err)
	if !x.Tiers[1].Durable || !strings.Contains(x.String(), "in the journal") {
		t.Errorf("Explain does not say that the write is in the journal:\n%s", x)
	}
	if pe := stop(t, c); pe == nil || pe.Left != 6 || pe.Journalled != 5 {
		t.Errorf("Close reports %+v; want 6 left, 5 in the journal", pe)
	}
	time.Sleep(25 * time.Millisecond)

	taken := m.Writes("d:taken")
	c, cache, f = durable(t, dir, m, nil)
	r, _ := cache.GetMany(ctx, []string{"d:a", "d:b", "d:c", "d:gone", "d:expired", "m:x"})
	if r["d:a"].Value != "19" || r["d:b"].Value != "b" {
		t.Errorf("replayed slots are not visible at once: %+v", r)
	}
	for _, key := range []string{"d:c", "d:gone", "d:expired", "m:x"} {
		if !errors.Is(r[key].Err, store.ErrNotFound) {
			t.Errorf("%s after replay: %+v", key, r[key])
		}
	}
	f.Reset()
	flush(t, c)
	if in(m, "d:a") != "19" || in(m, "d:b") != "b" || in(m, "d:c") != "" || in(m, "d:gone") != "" || in(m, "d:expired") != "" {
		t.Error("after replay and flush the tier has other entries than were written")
	}
	if m.Writes("d:taken") != taken {
		t.Error("what the tier took before was written again")
	}
	if pe := stop(t, c); pe != nil {
		t.Error(pe)
	}
	c, _, _ = durable(t, dir, m, nil)
	if p := pending(c); p.Entries != 0 {
		t.Errorf("an emptied journal replays %d entries", p.Entries)
	}
	noErr(t, c.Close(ctx))
}

// A version of the run before is never overtaken by an older clock: what is
// written after the replay is the newer one, although the wall clock has been set
// back since.
func TestReplayAdvancesTheClock(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	ahead := uint64(time.Now().Add(time.Hour).UnixMilli()) << 16
	m.Plant("d:other", store.Entry{Value: []byte("x"), Version: ahead, Codec: "text"})
	c, cache, _ := durable(t, dir, m, nil)
	_, err := cache.Get(ctx, "d:other") // moves the clock an hour on
	noErr(t, err)
	noErr(t, cache.Set(ctx, "d:k", "before"))
	if v := pendingVersion(t, c, "d:k"); v <= ahead {
		t.Fatalf("the clock stands at %d, before %d", v, ahead)
	}
	stop(t, c)
	m.Wipe() // the next run has nothing but the journal to learn the time from
	c, cache, f := durable(t, dir, m, nil)
	noErr(t, cache.Set(ctx, "d:k", "after"))
	v, err := cache.Get(ctx, "d:k")
	want(t, v, err, "after")
	f.Reset()
	flush(t, c)
	if e, _ := m.Peek("d:k"); string(e.Value) != "after" || e.Version <= ahead {
		t.Errorf("the tier has %q of version %d; want a version after %d", e.Value, e.Version, ahead)
	}
	noErr(t, c.Close(ctx))
}

// The journal remembers the time even when it holds nothing else: what is written
// after the clock was set back is newer than what the run before brought to the
// tier, and is not refused there when it is replayed.
func TestEmptiedJournalKeepsTheTime(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	ahead := uint64(time.Now().Add(time.Hour).UnixMilli()) << 16
	m.Plant("d:other", store.Entry{Value: []byte("x"), Version: ahead, Codec: "text"})
	c, cache, f := durable(t, dir, m, nil)
	_, err := cache.Get(ctx, "d:other")
	noErr(t, err)
	f.Reset()
	noErr(t, cache.Set(ctx, "d:k", "before"))
	noErr(t, c.Close(ctx)) // the tier has it
	c, cache, _ = durable(t, dir, m, nil)
	noErr(t, cache.Set(ctx, "d:k", "after"))
	stop(t, c)
	c, _, f = durable(t, dir, m, nil)
	f.Reset()
	flush(t, c)
	if in(m, "d:k") != "after" {
		t.Errorf("the tier has %q", in(m, "d:k"))
	}
	noErr(t, c.Close(ctx))
}

// pendingVersion returns the version under which key would be flushed: it is that
// which a reader gets.
func pendingVersion(t testing.TB, c *chain.Chain, key string) uint64 {
	t.Helper()
	e, err := c.Store().Get(context.Background(), key)
	noErr(t, err)
	return e.Version
}

// The journal lets go of a write only after the tier has taken it and made it
// durable: while the tier's Sync fails, a crash replays what it took.
func TestJournalWaitsForSync(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	const file = 64 << 10
	opts := &chain.Options{Pending: chain.PendingOptions{JournalFile: file, Interval: time.Millisecond, RetryMin: time.Millisecond}}
	c, cache, f := durable(t, dir, m, opts)
	f.Reset()
	unsynced := f.Inject(faultstore.Fault{Op: faultstore.OpSync, Err: errBoom})
	value := strings.Repeat("v", 4<<10)
	for i := range 20 {
		noErr(t, cache.Set(ctx, fmt.Sprint("d:", i), value))
	}
	flush(t, c)
	for end := time.Now().Add(10 * time.Second); f.Calls(faultstore.OpSync) == 0 && time.Now().Before(end); {
		runtime.Gosched() // the journal asks for it once a flush has ended
	}
	if m.Len() != 20 || f.Calls(faultstore.OpSync) == 0 {
		t.Fatalf("the tier has %d entries, and was asked to sync %d times", m.Len(), f.Calls(faultstore.OpSync))
	}
	if s := c.Stats().Journal; s.Records != 20 {
		t.Errorf("the journal holds %d records of 20 that are not durable in the tier", s.Records)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Close(ended); !errors.Is(err, errBoom) {
		t.Errorf("Close does not say that the tier could not sync: %v", err)
	}
	unsynced()
	m.Wipe() // the tier lost its buffers
	c, _, f = durable(t, dir, m, opts)
	f.Reset()
	flush(t, c)
	if m.Len() != 20 {
		t.Errorf("%d entries of 20 were replayed", m.Len())
	}
	noErr(t, c.Close(ctx))
	c, _, _ = durable(t, dir, m, opts)
	if p := pending(c); p.Entries != 0 {
		t.Errorf("after a sync, %d entries are replayed again", p.Entries)
	}
	noErr(t, c.Close(ctx))
}

// What another process wrote to the tier while this one was away is newer than what
// is replayed, and stays.
func TestReplayRespectsTheTier(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	c, cache, _ := durable(t, dir, m, nil)
	noErr(t, cache.Set(ctx, "d:set", "mine"))
	noErr(t, cache.Delete(ctx, "d:deleted"))
	stop(t, c)
	later := uint64(time.Now().Add(time.Minute).UnixMilli()) << 16
	m.Plant("d:set", store.Entry{Value: []byte("theirs"), Version: later, Codec: "text"})
	m.Plant("d:deleted", store.Entry{Value: []byte("theirs"), Version: later, Codec: "text"})
	c, _, f := durable(t, dir, m, nil)
	f.Reset()
	flush(t, c)
	if in(m, "d:set") != "theirs" || in(m, "d:deleted") != "theirs" {
		t.Errorf("the tier has %q and %q", in(m, "d:set"), in(m, "d:deleted"))
	}
	noErr(t, c.Close(ctx))
}

// A journal belongs to one chain at a time.
func TestJournalIsLocked(t *testing.T) {
	dir, m := t.TempDir(), newMap()
	c, _, _ := durable(t, dir, m, nil)
	_, err := chain.New([]chain.Tier{{Name: "disk", Store: m}}, nil, &chain.Options{Pending: chain.PendingOptions{Journal: dir}})
	var se *store.Error
	if !errors.Is(err, store.ErrLocked) || !errors.As(err, &se) || se.Tier != "journal" {
		t.Errorf("a second chain on the journal: %v", err)
	}
	noErr(t, c.Close(context.Background()))
}

// Writes for a tier that is no longer there are not dropped in silence.
func TestReplayNeedsItsTiers(t *testing.T) {
	dir, m := t.TempDir(), newMap()
	c, cache, _ := durable(t, dir, m, nil)
	noErr(t, cache.Set(context.Background(), "d:k", "v"))
	stop(t, c)
	_, err := chain.New([]chain.Tier{{Name: "other", Store: m}}, nil, &chain.Options{Pending: chain.PendingOptions{Journal: dir}})
	if err == nil || !strings.Contains(err.Error(), `1 writes for tier "disk"`) {
		t.Errorf("New without the tier: %v", err)
	}
	c, _, f := durable(t, dir, m, nil)
	f.Reset()
	noErr(t, c.Close(context.Background()))
	if in(m, "d:k") != "v" {
		t.Error("lost")
	}
}

// A torn or damaged end is reported; what lies before it is replayed.
func TestDamagedJournal(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	c, cache, _ := durable(t, dir, m, nil)
	for i := range 10 {
		noErr(t, cache.Set(ctx, fmt.Sprintf("d:%d", i), strings.Repeat("v", 100)))
	}
	stop(t, c)
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	noErr(t, err)
	data, err := os.ReadFile(files[0])
	noErr(t, err)
	at := strings.LastIndex(string(data), "d:9")
	data[at+50] ^= 1
	noErr(t, os.WriteFile(files[0], data, 0o644))
	var mu sync.Mutex
	var errs []error
	c, _, f := durable(t, dir, m, &chain.Options{OnError: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}})
	mu.Lock()
	if len(errs) != 1 || !errors.Is(errs[0], store.ErrCorrupt) {
		t.Errorf("reported %v", errs)
	}
	mu.Unlock()
	if p := pending(c); p.Entries != 9 {
		t.Errorf("%d entries replayed; want the 9 before the damage", p.Entries)
	}
	f.Reset()
	noErr(t, c.Close(ctx))
}

// Slots that stay for long do not let the journal grow without bound: it is
// rewritten, and still replays.
func TestJournalIsBounded(t *testing.T) {
	dir, m, ctx := t.TempDir(), newMap(), context.Background()
	const file = 64 << 10
	opts := &chain.Options{DefaultTTL: -1, Pending: chain.PendingOptions{JournalFile: file, Interval: time.Millisecond}}
	c, cache, f := durable(t, dir, m, opts)
	f.Reset()
	stuck := func(key string) bool { return strings.HasPrefix(key, "d:stuck") }
	f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Key: stuck, Err: errBoom})
	for i := range 20 {
		noErr(t, cache.Set(ctx, fmt.Sprint("d:stuck", i), "stays"))
	}
	value := strings.Repeat("v", 4<<10)
	largest := int64(0)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 250 {
				if err := cache.Set(ctx, fmt.Sprintf("d:%d-%d", w, i%50), value); err != nil {
					t.Error(err)
				}
				if i%20 == 0 && w == 0 {
					largest = max(largest, sizeOfDir(t, dir))
				}
			}
		})
	}
	wg.Wait()

	js := c.Stats().Journal
	if js.Bytes == 0 || js.Rewritten < 20 || js.Records < 20 {
		t.Errorf("journal %+v; want the stuck entries rewritten", js)
	}
	if limit := int64(2*(4*file+2*(4*50*5000+20*200)) + 2<<20); largest > limit {
		t.Errorf("the journal grew to %d bytes; want at most %d", largest, limit)
	}
	stop(t, c)
	c, cache, f = durable(t, dir, m, opts)
	for i := range 20 {
		v, err := cache.Get(ctx, fmt.Sprint("d:stuck", i))
		want(t, v, err, "stays")
	}
	f.Reset()
	noErr(t, c.Close(ctx))
}

func sizeOfDir(t testing.TB, dir string) (n int64) {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
