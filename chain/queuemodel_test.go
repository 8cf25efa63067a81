package chain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// The model of the queue: random writes of few keys through a small queue with a
// journal, into a tier that fails in whole and in part, hangs and loses answers;
// the chain is crashed and opened again, and its clock jumps. Every read is
// compared with what the acknowledged writes make of the key.

const queueModelRules = `
rules:
  - {keys: "d:{id}", ttl: 24h, write: back, durable: true}
  - {keys: "m:{id}", ttl: 24h, write: back}
  - {keys: "s:{id}", ttl: 20s, write: back, durable: true}
`

var queueModelKeys = []string{"d:1", "d:2", "d:3", "m:1", "m:2", "m:3", "s:1"}

var errModel = errors.New("boom")

// queueStep is one step of a run.
type queueStep struct {
	op   string
	key  string
	keys []string
	wait time.Duration
}

func drawQueueSteps() *rapid.Generator[[]queueStep] {
	ops := []string{"set", "set", "set", "set", "setmany", "delete", "delete", "get", "get", "getmany", "flush", "wait", "wait",
		"fail", "fail key", "fail once", "lose answers", "hang", "slow", "slow", "heal", "heal", "crash", "close", "jump"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) queueStep {
		return queueStep{
			op: rapid.SampledFrom(ops).Draw(t, "op"), key: rapid.SampledFrom(queueModelKeys).Draw(t, "key"),
			keys: rapid.SliceOfNDistinct(rapid.SampledFrom(queueModelKeys), 2, 4, rapid.ID).Draw(t, "keys"),
			wait: rapid.SampledFrom([]time.Duration{time.Millisecond, 60 * time.Millisecond, time.Second, 30 * time.Second}).Draw(t, "wait"),
		}
	}), 1, 50)
}

// queueState is what a key may be: 0 is absent. An operation that failed leaves both
// what was and what it would have made.
type queueState struct {
	now  []int     // what a read may see
	ever []int     // what the tier may hold: all since it was last known
	dead time.Time // when the newest value expires; zero: not in a run
}

// queueModel runs steps.
type queueModel struct {
	opts  Options
	fs    vfs.FS
	tier  *mapstore.Store
	fault *faultstore.Store
	c     *Chain
	cache *Cache[int]
	keys  map[string]*queueState
	n     int
	sick  bool
	slow  bool
	jumps int
}

// unclosing survives the chain.
type unclosing struct{ store.Store }

func (unclosing) Close() error { return nil }

func (m *queueModel) open() error {
	set, err := policy.Parse([]byte(queueModelRules))
	if err != nil {
		return err
	}
	m.opts.Pending.Journal, m.opts.Pending.journalFS = "journal", m.fs
	m.c, err = New([]Tier{{Name: "memory", Store: &objects{m: map[string]any{}}}, {Name: "tier", Store: unclosing{m.fault}}}, set, &m.opts)
	if err == nil {
		m.cache = NewCache[int](m.c, nil)
	}
	return err
}

func (m *queueModel) of(key string) *queueState {
	if m.keys[key] == nil {
		m.keys[key] = &queueState{now: []int{0}, ever: []int{0}}
	}
	return m.keys[key]
}

// wrote files a write of n that ended with err.
func (m *queueModel) wrote(key string, n int, err error) {
	s := m.of(key)
	if !s.dead.IsZero() {
		s.now = append(s.now, 0) // it may have expired
	}
	switch {
	case err == nil:
		s.now = []int{n}
	case errors.Is(err, ErrBusy):
		return
	default:
		s.now = append(s.now, n)
	}
	s.ever = append(s.ever, n)
	if n != 0 && strings.HasPrefix(key, "s:") {
		s.dead = time.Now().Add(20 * time.Second)
	}
}

// may reports whether a key may read as n.
func (m *queueModel) may(key string, n int) bool {
	s := m.of(key)
	if !s.dead.IsZero() && !time.Now().Before(s.dead) {
		return n == 0
	}
	return slices.Contains(s.now, n)
}

// saw checks what was read.
func (m *queueModel) saw(key string, n int, err error) string {
	switch {
	case errors.Is(err, store.ErrNotFound):
		n = 0
	case err != nil:
		if !m.sick {
			return fmt.Sprintf("%s: %v, although the tier is well", key, err)
		}
		return ""
	}
	if !m.may(key, n) {
		return fmt.Sprintf("%s reads %d; it may be %v", key, n, m.of(key).now)
	}
	return ""
}

// bounded is the context of a call that may have to wait for room.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

func (m *queueModel) do(s queueStep) string {
	ctx, cancel := bounded()
	defer cancel()
	m.n++
	switch s.op {
	case "set":
		m.wrote(s.key, m.n, m.cache.Set(ctx, s.key, m.n))
	case "setmany":
		batch := map[string]int{}
		for _, key := range s.keys {
			batch[key] = m.n
		}
		err := m.cache.SetMany(ctx, batch)
		for _, key := range s.keys {
			m.wrote(key, m.n, store.KeyError(err, key))
		}
	case "delete":
		m.wrote(s.key, 0, m.cache.Delete(ctx, s.key))
	case "get":
		v, err := m.cache.Get(ctx, s.key)
		return m.saw(s.key, v, err)
	case "getmany":
		r, _ := m.cache.GetMany(ctx, s.keys)
		for _, key := range s.keys {
			if why := m.saw(key, r[key].Value, r[key].Err); why != "" {
				return "batch: " + why
			}
		}
	case "flush":
		if err := m.c.Flush(ctx); err != nil && !m.sick {
			return fmt.Sprintf("Flush: %v", err)
		}
	case "wait":
		time.Sleep(s.wait)
	case "jump":
		return m.jump(ctx)
	case "crash", "close":
		return m.reopen(s.op == "crash")
	default:
		m.spoil(s.op)
	}
	return m.bounds()
}

// jump has the process read a version of the future, as after its clock was set
// back.
func (m *queueModel) jump(ctx context.Context) string {
	if m.sick {
		return ""
	}
	m.jumps++
	ahead := uint64(time.Now().Add(time.Duration(m.jumps)*time.Hour).UnixMilli()) << 16
	m.tier.Plant("d:other", store.Entry{Value: []byte("1"), Version: ahead, Codec: "text"})
	m.cache.objects.(*objects).forget("d:other")
	_, err := m.cache.Get(ctx, "d:other")
	m.tier.Plant("d:other", store.Entry{Value: []byte("1"), Version: 1, Codec: "text"})
	if err != nil {
		return fmt.Sprintf("a planted entry: %v", err)
	}
	return ""
}

func (m *queueModel) spoil(op string) {
	f := faultstore.Fault{Op: faultstore.OpWrites, Err: errModel}
	switch op {
	case "fail key":
		f.Key = func(key string) bool { return strings.HasSuffix(key, ":1") }
	case "fail once":
		f.Times = 1
	case "lose answers":
		f.AfterOp = true
	case "hang":
		f.Err, f.Hang = nil, true
	case "slow":
		if !m.slow {
			m.fault.Inject(faultstore.Fault{Op: faultstore.OpWrites, Delay: 20 * time.Millisecond})
		}
		m.slow = true
		return
	case "heal":
		m.heal()
		return
	}
	m.sick = true
	m.fault.Inject(f)
}

func (m *queueModel) heal() {
	m.fault.Reset()
	time.Sleep(10 * time.Second) // what was owed is tried again, and the breaker closes
	m.sick, m.slow = false, false
}

// reopen ends the chain, with or without time to drain, and opens it again. What
// was acknowledged as durable holds; the rest is what the tier came to hold.
func (m *queueModel) reopen(crash bool) string {
	ctx, cancel := bounded()
	if crash {
		cancel()
	}
	err := m.c.Close(ctx)
	cancel()
	pe := (*PendingError)(nil)
	if err != nil && !errors.As(err, &pe) {
		return fmt.Sprintf("Close: %v", err)
	}
	for key, s := range m.keys {
		if pe != nil && key[0] == 'm' { // lost, and said so
			s.now = slices.Clone(s.ever)
		}
	}
	if err := m.open(); err != nil {
		return fmt.Sprintf("New: %v", err)
	}
	return ""
}

// bounds checks that the queue keeps to its own, but for what was replayed.
func (m *queueModel) bounds() string {
	p := m.c.Stats().Tiers[1].Pending
	if limit := m.opts.Pending.MaxEntries + len(queueModelKeys); p.Entries > limit || p.Lost != 0 {
		return fmt.Sprintf("pending: %+v", p)
	}
	return ""
}

// rest heals the tier, drains, and compares it with the model: the tier and the
// cache hold the same, and nothing waits.
func (m *queueModel) rest() string {
	m.heal()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.c.Flush(ctx); err != nil {
		return fmt.Sprintf("Flush at rest: %v", err)
	}
	for _, key := range queueModelKeys {
		v, err := m.cache.Get(ctx, key)
		if why := m.saw(key, v, err); why != "" {
			return "at rest: " + why
		}
		e, _ := m.tier.Peek(key)
		if in := string(e.Value); !e.Expired(time.Now()) && (in != "" || v != 0) && in != fmt.Sprint(v) {
			return fmt.Sprintf("at rest: the tier has %q of %s, the cache %d", in, key, v)
		}
	}
	if err := m.c.Close(ctx); err != nil {
		return fmt.Sprintf("Close at rest: %v", err)
	}
	return ""
}

// runQueueModel returns what went wrong. spoil plants a bug.
func runQueueModel(t *testing.T, full FullPolicy, entries, batch int, steps []queueStep, spoil func(store.Store) store.Store) (why string) {
	synctest.Test(t, func(*testing.T) {
		m := &queueModel{fs: vfs.Mem(), tier: mapstore.New(), keys: map[string]*queueState{}}
		m.fault = faultstore.New(spoil(m.tier))
		m.opts.TierTimeout = 500 * time.Millisecond
		m.opts.Pending = PendingOptions{MaxEntries: entries, WhenFull: full, Batch: batch, RetryMax: time.Second, JournalFile: 4 << 10}
		if err := m.open(); err != nil {
			why = err.Error()
			return
		}
		for i, s := range steps {
			if why = m.do(s); why != "" {
				why = fmt.Sprintf("step %d, %+v: %s", i, s, why)
				break
			}
			synctest.Wait()
		}
		if why == "" {
			why = m.rest()
		}
		m.heal()
		_ = m.c.Close(context.Background())
	})
	return why
}

func unspoilt(s store.Store) store.Store { return s }

func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		full := rapid.SampledFrom([]FullPolicy{FullBlock, FullThrough, FullReject}).Draw(rt, "full")
		entries, batch := rapid.IntRange(1, 8).Draw(rt, "entries"), rapid.IntRange(1, 4).Draw(rt, "batch")
		steps := drawQueueSteps().Draw(rt, "steps")
		if why := runQueueModel(t, full, entries, batch, steps, unspoilt); why != "" {
			for i, s := range steps {
				rt.Logf("%2d %+v", i, s)
			}
			rt.Fatal(why)
		}
	})
}

// The model finds what is planted: a tier that keeps the older of two writes, one
// that loses deletes, and one that takes what it then does not hold.
func TestQueueModelFindsPlantedBugs(t *testing.T) {
	for name, spoil := range map[string]func(store.Store) store.Store{
		"keeps the older": func(s store.Store) store.Store { return stubborn{s} },
		"loses deletes":   func(s store.Store) store.Store { return undeleting{s} },
		"loses writes":    func(s store.Store) store.Store { return losing{s} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range 500 {
				if runQueueModel(t, FullPolicy(seed%3), 4, 1+seed%4, drawQueueSteps().Example(seed), spoil) != "" {
					return
				}
			}
			t.Error("no run showed it")
		})
	}
}

type (
	stubborn   struct{ store.Store }
	undeleting struct{ store.Store }
	losing     struct{ store.Store }
)

func (s stubborn) Set(ctx context.Context, key string, e store.Entry) error {
	if _, err := s.Get(ctx, key); err == nil {
		return nil
	}
	return s.Store.Set(ctx, key, e)
}

func (undeleting) Delete(context.Context, string) error { return nil }

func (s losing) Set(ctx context.Context, key string, e store.Entry) error {
	if e.Version%5 == 0 {
		return nil
	}
	return s.Store.Set(ctx, key, e)
}

// TestQueueModelLong is TestQueueModel for longer, with STRATA_TORTURE=1.
func TestQueueModelLong(t *testing.T) {
	if os.Getenv("STRATA_TORTURE") == "" {
		t.Skip("set STRATA_TORTURE=1")
	}
	for seed := range 20_000 {
		steps := drawQueueSteps().Example(seed)
		if why := runQueueModel(t, FullPolicy(seed%3), 1+seed%8, 1+seed/3%4, steps, unspoilt); why != "" {
			t.Fatalf("seed %d: %s\n%+v", seed, why, steps)
		}
	}
}
