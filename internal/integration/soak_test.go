package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/faultstore"
	"github.com/stratacache/strata/store/memstore"
)

// What TestSoak holds the chain to.
const (
	soakWorkers = 16
	soakKeys    = 200_000

	soakMemory  = 24 << 20 // of the memory tier
	soakDisk    = 48 << 20 // of the disk tier
	soakSegment = 2 << 20
	soakPending = 4 << 20 // of each queue
	soakJournal = 4 << 20 // of a file of the journal

	// The live heap: memory and its bookkeeping, the two queues with a batch of
	// each on its way, the disk's unsealed writes (twice a segment, for they are
	// sealed beside new ones) and what one compaction holds, connections, and the
	// keys and accounts of the test itself.
	soakHeap       = soakMemory + 2*2*soakPending + 8*soakSegment + 48<<20
	soakGoroutines = 400
	soakFiles      = 300
)

const soakRules = `
rules:
  - {keys: "through:{id}", ttl: 2s, jitter: 0.2}
  - {keys: "back:{id}", ttl: 1m, write: back, durable: true}
  - {keys: "tagged:{group}:{id}", ttl: 10s, wire: framed, tags: ["group-{group}"]}
  - {keys: "stale:{id}", ttl: 300ms, stale_while_revalidate: 2s, stale_if_error: 5s, negative_ttl: 200ms, refresh_ahead: 0.2}
`

// TestSoak works a chain of memory, Redis and disk that are all too small for
// what is asked of them, with a Redis that fails from time to time, and looks
// every now and then whether each limit holds: the live heap, goroutines, open
// files, bytes on the disk, queues. Every answer is checked to be of its key.
// STRATA_SOAK is how long, "10m" say; a second without it.
func TestSoak(t *testing.T) {
	length := time.Second
	if s := os.Getenv("STRATA_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("STRATA_SOAK: %v", err)
		}
	}
	s := newSoak(t)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for range soakWorkers {
		wg.Go(func() { s.work(ctx) })
	}
	wg.Go(func() { s.disturb(ctx) })
	for ctx.Err() == nil {
		s.measure(t)
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	wg.Wait()
	s.redis.Reset()
	s.measure(t)
	if err := s.chain.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := s.wrong.Load(); n > 0 {
		t.Errorf("%d answers were of another key", n)
	}
	t.Logf("%v: %d operations, %d failed; at most: heap %d MiB of %d, goroutines %d, files %d, disk %d MiB of %d, pending %d KiB",
		length, s.ops.Load(), s.failed.Load(), s.most.heap>>20, soakHeap>>20, s.most.goroutines, s.most.files,
		s.most.disk>>20, soakDisk>>20, s.most.pending>>10)
}

type soak struct {
	dir   string
	chain *chain.Chain
	cache *chain.Cache[string]
	redis *faultstore.Store

	ops, failed, wrong atomic.Uint64
	most               struct {
		heap, disk, pending int64
		goroutines, files   int
	}
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{dir: t.TempDir()}
	mem, err := memstore.New(&memstore.Options{Capacity: soakMemory})
	if err != nil {
		t.Fatal(err)
	}
	disk, err := diskstore.Open(filepath.Join(s.dir, "disk"), &diskstore.Options{Capacity: soakDisk, SegmentSize: soakSegment})
	if err != nil {
		t.Fatal(err)
	}
	s.redis = faultstore.New(shared(t, redistest.Shared(t).Addr, redistest.Prefix()))
	rules, err := policy.Parse([]byte(soakRules))
	if err != nil {
		t.Fatal(err)
	}
	s.chain, err = chain.New([]chain.Tier{
		{Name: "memory", Store: mem},
		{Name: "redis", Store: s.redis, Shared: true, Timeout: time.Second},
		{Name: "disk", Store: disk},
	}, rules, &chain.Options{Pending: chain.PendingOptions{
		MaxBytes: soakPending, Journal: filepath.Join(s.dir, "journal"), JournalFile: soakJournal, RetryMax: 100 * time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.cache = chain.NewCache[string](s.chain, nil)
	return s
}

// key draws a key, the low numbers more often.
func (s *soak) key(rng *rand.Rand, zipf *rand.Zipf) string {
	n := zipf.Uint64()
	switch rng.IntN(4) {
	case 0:
		return fmt.Sprintf("through:%d", n)
	case 1:
		return fmt.Sprintf("back:%d", n)
	case 2:
		return fmt.Sprintf("tagged:%d:%d", n%20, n)
	default:
		return fmt.Sprintf("stale:%d", n)
	}
}

// value is what a key is given: it names the key, so that a wrong answer shows.
func soakValue(rng *rand.Rand, key string) string {
	return key + "=" + strings.Repeat("v", 50+rng.IntN(1500))
}

func (s *soak) work(ctx context.Context) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	zipf := rand.NewZipf(rng, 1.05, 10, soakKeys-1)
	load := func(_ context.Context, key string) (string, error) {
		switch rng := rand.New(rand.NewPCG(rand.Uint64(), 2)); rng.IntN(10) {
		case 0:
			return "", store.ErrNotFound
		case 1:
			return "", errors.New("the API is down")
		default:
			return soakValue(rng, key), nil
		}
	}
	for ctx.Err() == nil {
		key := s.key(rng, zipf)
		switch n := rng.IntN(100); {
		case n < 30:
			s.note(key, "", s.cache.Set(ctx, key, soakValue(rng, key)))
		case n < 36:
			s.note(key, "", s.cache.Delete(ctx, key))
		case n < 60:
			v, err := s.cache.Get(ctx, key)
			s.note(key, v, err)
		case n < 95:
			v, err := s.cache.GetOrLoad(ctx, key, load)
			s.note(key, v, err)
		case n < 99:
			keys := make([]string, 50)
			for i := range keys {
				keys[i] = s.key(rng, zipf)
			}
			found, err := s.cache.GetMany(ctx, keys)
			for k, v := range found.Values() {
				s.note(k, v, nil)
			}
			s.note(key, "", err)
		default:
			s.note(key, "", s.chain.InvalidateTags(ctx, fmt.Sprintf("group-%d", rng.IntN(20))))
		}
	}
}

// note files the answer to an operation on key.
func (s *soak) note(key, value string, err error) {
	s.ops.Add(1)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.failed.Add(1)
	}
	if err == nil && value != "" && !strings.HasPrefix(value, key+"=") {
		s.wrong.Add(1)
	}
}

// disturb makes Redis fail for a while, in turns: errors, slowness, hanging.
func (s *soak) disturb(ctx context.Context) {
	faults := []faultstore.Fault{
		{Op: faultstore.OpReads | faultstore.OpWrites, Err: errors.New("injected")},
		{Op: faultstore.OpReads | faultstore.OpWrites, Delay: 20 * time.Millisecond},
		{Op: faultstore.OpReads | faultstore.OpWrites, Hang: true},
	}
	for n := 0; ctx.Err() == nil; n++ {
		remove := s.redis.Inject(faults[n%len(faults)])
		pause(ctx, 300*time.Millisecond)
		remove()
		s.redis.Release()
		pause(ctx, 2*time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// measure fails the test where a limit does not hold.
func (s *soak) measure(t *testing.T) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var pending int64
	for _, tier := range s.chain.Stats().Tiers {
		if tier.Pending.Bytes > soakPending {
			t.Errorf("tier %s: %d bytes pending, more than %d", tier.Name, tier.Pending.Bytes, soakPending)
		}
		pending += tier.Pending.Bytes
		if tier.Name == "memory" && tier.Store.Bytes > soakMemory {
			t.Errorf("memory holds %d bytes, more than %d", tier.Store.Bytes, soakMemory)
		}
	}
	onDisk, open := treeSize(t, filepath.Join(s.dir, "disk")), openFiles()
	s.most.heap, s.most.disk, s.most.pending = max(s.most.heap, int64(m.HeapAlloc)), max(s.most.disk, onDisk), max(s.most.pending, pending)
	s.most.goroutines, s.most.files = max(s.most.goroutines, runtime.NumGoroutine()), max(s.most.files, open)
	for _, limit := range []struct {
		what      string
		is, limit int64
	}{
		{"bytes of live heap", int64(m.HeapAlloc), soakHeap},
		{"goroutines", int64(runtime.NumGoroutine()), soakGoroutines},
		{"open files", int64(open), soakFiles},
		// Beside the capacity: the journal of unsealed writes, and the segments
		// that a compaction is about to replace.
		{"bytes on the disk", onDisk, soakDisk + soakDisk/4 + 8*soakSegment},
		{"bytes of the journal", treeSize(t, filepath.Join(s.dir, "journal")), 2 * (4*soakJournal + 2*soakPending)},
	} {
		if limit.is > limit.limit {
			t.Errorf("%d %s, more than %d", limit.is, limit.what, limit.limit)
		}
	}
}

// treeSize sums up the files below dir, some of which go while it looks.
func treeSize(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// openFiles counts the file descriptors of the process; 0 where that cannot be
// told.
func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}
