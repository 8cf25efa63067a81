package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
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
	"github.com/stratacache/strata/store/redisstore"
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

	// The runtime is told to stay within the heap's limit, garbage and stacks with it
	// (GOMEMLIMIT); the rest is for what it hands back late, and for what is not its.
	soakResident = soakHeap + 32<<20

	soakTimeout = 500 * time.Millisecond // of a call of Redis
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
// files, bytes on the disk, queues. Every answer is checked to be of its key, and
// every failure to be one that the faults of its time explain.
// STRATA_SOAK is how long, "10m" say; three seconds without it.
func TestSoak(t *testing.T) {
	length := 3 * time.Second
	if s := os.Getenv("STRATA_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("STRATA_SOAK: %v", err)
		}
	}
	before := debug.SetMemoryLimit(soakHeap)
	defer debug.SetMemoryLimit(before)
	s := newSoak(t, length)
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
	s.tally.print(t, s.phases.all)
	if err := s.chain.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := s.wrong.Load(); n > 0 {
		t.Errorf("%d answers were of another key", n)
	}
	if n := s.silent.Load(); n > 0 {
		t.Errorf("%d Gets failed although the disk held the value", n)
	}
	t.Logf("%v: %d operations, %d failed; at most: heap %d MiB of %d, resident %d MiB of %d, goroutines %d, files %d, disk %d MiB of %d, pending %d KiB",
		length, s.ops.Load(), s.failed.Load(), s.most.heap>>20, soakHeap>>20, s.most.rss>>20, soakResident>>20, s.most.goroutines, s.most.files,
		s.most.disk>>20, soakDisk>>20, s.most.pending>>10)
}

type soak struct {
	dir   string
	chain *chain.Chain
	cache *chain.Cache[string]
	redis *faultstore.Store
	disk  *diskstore.Store

	phases phases
	tally  tally

	memory                     int64
	calm                       time.Duration // between faults
	ops, failed, wrong, silent atomic.Uint64
	most                       struct {
		heap, rss, disk, pending int64
		goroutines, files        int
	}
}

func newSoak(t *testing.T, length time.Duration) *soak {
	t.Helper()
	s := &soak{dir: t.TempDir(), calm: min(max(length/10, 100*time.Millisecond), 2*time.Second)}
	s.phases.next("calm")
	if s.memory = soakMemory; length < time.Minute {
		s.memory /= 16 // it is to be too small at once
	}
	mem, err := memstore.New(&memstore.Options{Capacity: s.memory})
	if err != nil {
		t.Fatal(err)
	}
	s.disk, err = diskstore.Open(filepath.Join(s.dir, "disk"), &diskstore.Options{Capacity: soakDisk, SegmentSize: soakSegment})
	if err != nil {
		t.Fatal(err)
	}
	s.redis = faultstore.New(s.connect(t))
	rules, err := policy.Parse([]byte(soakRules))
	if err != nil {
		t.Fatal(err)
	}
	s.chain, err = chain.New([]chain.Tier{
		{Name: "memory", Store: mem},
		{Name: "redis", Store: s.redis, Shared: true, Timeout: soakTimeout},
		{Name: "disk", Store: s.disk, Timeout: -1}, // nothing is injected there
	}, rules, &chain.Options{Breaker: chain.BreakerOptions{Delay: 200 * time.Millisecond}, Pending: chain.PendingOptions{
		MaxBytes: soakPending, Journal: filepath.Join(s.dir, "journal"), JournalFile: soakJournal, RetryMax: 100 * time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.cache = chain.NewCache[string](s.chain, nil)
	return s
}

// connect returns the Redis tier, with a witness of what happens to it by itself.
func (s *soak) connect(t *testing.T) *redisstore.Store {
	t.Helper()
	client, err := redisstore.NewClient(&redisstore.Config{Addrs: []string{redistest.Shared(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	client.AddHook(witness{s})
	r, err := redisstore.New(client, &redisstore.Options{Prefix: redistest.Prefix(), CloseClient: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
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
	for ctx.Err() == nil {
		s.step(context.WithoutCancel(ctx), rng, zipf)
	}
}

// load is a loader of a source that does not have every key, and fails now and then.
func (s *soak) load(_ context.Context, key string) (string, error) {
	switch rng := rand.New(rand.NewPCG(rand.Uint64(), 2)); rng.IntN(10) {
	case 0:
		return "", store.ErrNotFound
	case 1:
		return "", errAPI
	default:
		return soakValue(rng, key), nil
	}
}

// step carries out one operation. Nobody ends ctx: an operation at the end of the
// soak has its answer like any other.
func (s *soak) step(ctx context.Context, rng *rand.Rand, zipf *rand.Zipf) {
	key := s.key(rng, zipf)
	began := s.phases.begin()
	defer began.ops.Done()
	switch n := rng.IntN(100); {
	case n < 30:
		s.note("Set", began, key, "", s.cache.Set(ctx, key, soakValue(rng, key)), false)
	case n < 36:
		s.note("Delete", began, key, "", s.cache.Delete(ctx, key), false)
	case n < 60:
		v, err := s.cache.Get(ctx, key)
		s.note("Get", began, key, v, err, false)
		if err != nil && !errors.Is(err, store.ErrNotFound) && untagged(key) && s.unanswered(ctx, key) {
			s.silent.Add(1)
		}
	case n < 95:
		own := context.CancelFunc(func() {})
		if n < 65 { // a caller in a hurry
			ctx, own = context.WithTimeout(ctx, 20*time.Millisecond)
		}
		v, err := s.cache.GetOrLoad(ctx, key, s.load)
		s.note("GetOrLoad", began, key, v, err, ctx.Err() != nil)
		own()
	case n < 99:
		keys := make([]string, 50)
		for i := range keys {
			keys[i] = s.key(rng, zipf)
		}
		found, err := s.cache.GetMany(ctx, keys)
		for k, v := range found.Values() {
			s.wrongIf(k, v)
		}
		s.note("GetMany", began, key, "", err, false)
	default:
		s.note("InvalidateTags", began, key, "", s.chain.InvalidateTags(ctx, fmt.Sprintf("group-%d", rng.IntN(20))), false)
	}
}

// untagged reports whether what the disk holds of key counts whatever else happens.
func untagged(key string) bool {
	return strings.HasPrefix(key, "through:") || strings.HasPrefix(key, "back:")
}

// note files the answer to an operation on key that began in a phase; own says that
// the caller's own context has ended.
func (s *soak) note(op string, began *phase, key, value string, err error, own bool) {
	s.ops.Add(1)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.failed.Add(1)
		s.tally.add(op, began, s.phases.now(), err, own)
	}
	if err == nil && value != "" {
		s.wrongIf(key, value)
	}
}

func (s *soak) wrongIf(key, value string) {
	if !strings.HasPrefix(value, key+"=") {
		s.wrong.Add(1)
	}
}

// disturb makes Redis fail for a while, in turns: errors, slowness, hanging. What is
// slow answers all the same, and what hangs does so until the breaker has had enough.
func (s *soak) disturb(ctx context.Context) {
	const all = faultstore.OpReads | faultstore.OpWrites
	for ctx.Err() == nil {
		s.inject(ctx, faultstore.Fault{Op: all, Err: errInjected}, "failing", causeInjected, causeDown)
		s.inject(ctx, faultstore.Fault{Op: all, Delay: 20 * time.Millisecond}, "slow")
		s.inject(ctx, faultstore.Fault{Op: all, Hang: true}, "hanging", causeDeadline, causeDown)
	}
}

func (s *soak) inject(ctx context.Context, f faultstore.Fault, name string, tier ...string) {
	pause(ctx, s.calm)
	s.phases.next(name, tier...)
	remove := s.redis.Inject(f)
	for f.Hang && s.breaker() == "closed" && ctx.Err() == nil {
		pause(ctx, time.Millisecond)
	}
	pause(ctx, 300*time.Millisecond)
	remove()
	s.redis.Release()
	s.next(ctx, "calm")
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
