package gocachestore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	lib_store "github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	// gocache's chain has no Close, so its goroutine stays.
	redistest.VerifyMain(m,
		goleak.IgnoreAnyFunction("github.com/eko/gocache/lib/v4/cache.(*ChainCache[...]).setter"))
}

// quiet drops go-redis's log.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

var ctx = context.Background()

// gocacheRedis returns gocache's own Redis store on the shared server.
func gocacheRedis(t testing.TB, options ...lib_store.Option) (*redis_store.RedisStore, *redis.Client) {
	t.Helper()
	c := redistest.Shared(t).Client(t)
	return redis_store.NewRedis(c, options...), c
}

// gocacheRistretto returns gocache's own memory store with values of type V.
func gocacheRistretto[V any](t testing.TB) lib_store.StoreInterface {
	t.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, V]{NumCounters: 1e5, MaxCost: 64 << 20, BufferItems: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return ristretto_store.NewRistretto(c)
}

func TestConformanceOfRedisTier(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		g, _ := gocacheRedis(t)
		return TierWith(g, &TierOptions{Prefix: redistest.Prefix()})
	}, &storetest.Options{Rounds: 100})
}

func TestConformanceOfRistrettoTier(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		return TierWith(gocacheRistretto[[]byte](t), &TierOptions{AllowClear: true})
	}, &storetest.Options{Rounds: 100, Evicts: true})
}

// Both adapters, one on the other, lose nothing.
func TestConformanceOfTierOnWrap(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store {
		return TierWith(Wrap(mapstore.New()), &TierOptions{AllowClear: true})
	}, nil)
}

func TestTierServesForeignValues(t *testing.T) {
	g, c := gocacheRedis(t)
	prefix := redistest.Prefix()
	s := TierWith(g, &TierOptions{Prefix: prefix})
	if err := c.Do(ctx, "SETEX", prefix+"price", 300, "123.45").Err(); err != nil {
		t.Fatal(err)
	}
	e, err := s.Get(ctx, "price")
	if left := time.Until(e.Expires); err != nil || string(e.Value) != "123.45" || left > 300*time.Second || left < 290*time.Second {
		t.Fatalf("%q with %v left, %v", e.Value, left, err)
	}
	mem := gocacheRistretto[any](t)
	if err := mem.Set(ctx, "n", 42, lib_store.WithCost(1), lib_store.WithSynchronousSet()); err != nil {
		t.Fatal(err)
	}
	var serr *store.Error
	if _, err := Tier(mem).Get(ctx, "n"); !errors.Is(err, ErrValueType) || !errors.As(err, &serr) || !strings.Contains(err.Error(), "int") {
		t.Errorf("a foreign int: %v", err)
	}
}

// gocache's redis store reports the time to live in whole seconds: a key without
// one gives -1, and one with less than half a second gives 0, which its chain
// takes for "never" when it fills the next cache.
func TestTierCuresRoundedAndPersistentTTLs(t *testing.T) {
	g, c := gocacheRedis(t)
	prefix := redistest.Prefix()
	s := TierWith(g, &TierOptions{Prefix: prefix})
	deadline := time.Now().Add(400 * time.Millisecond)
	if err := s.Set(ctx, "short", store.Entry{Value: []byte("v"), Expires: deadline}); err != nil {
		t.Fatal(err)
	}
	if _, ttl, err := g.GetWithTTL(ctx, prefix+"short"); err != nil || ttl != 0 {
		t.Errorf("gocache tells a TTL of %v, %v, for 400 ms: this test needs no more to be", ttl, err)
	}
	e, err := s.Get(ctx, "short")
	if d := e.Expires.Sub(deadline).Abs(); err != nil || d > time.Millisecond {
		t.Errorf("a deadline in 400 ms came back %v off, %v", d, err)
	}
	if err := c.Set(ctx, prefix+"foreign", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(ctx, "foreign"); err != nil || !e.Expires.IsZero() {
		t.Errorf("a persistent foreign key: expires %v, %v; want never", e.Expires, err)
	}
	if err := s.Set(ctx, "forever", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if ttl := c.PTTL(ctx, prefix+"forever").Val(); ttl != -1 {
		t.Errorf("an entry without a deadline has PTTL %v", ttl)
	}
	if err := c.Set(ctx, prefix+"dying", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(ctx, "dying"); err == nil && e.Expires.IsZero() {
		t.Error("a foreign key with 300 ms left was taken for a permanent one")
	}
}

// A default expiration of the gocache store must not be given to entries that
// never expire.
func TestTierOverridesDefaultExpiration(t *testing.T) {
	g, c := gocacheRedis(t, lib_store.WithExpiration(time.Second))
	prefix := redistest.Prefix()
	if err := TierWith(g, &TierOptions{Prefix: prefix}).Set(ctx, "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if ttl := c.PTTL(ctx, prefix+"k").Val(); ttl != -1 {
		t.Errorf("PTTL %v, want none", ttl)
	}
}

func TestTierRefusesToFlushTheServer(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	g := redis_store.NewRedis(c)
	if err := c.Set(ctx, "somebody else's", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := store.Clear(ctx, Tier(g)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Clear: %v, want errors.ErrUnsupported", err)
	}
	if n := c.Exists(ctx, "somebody else's").Val(); n != 1 {
		t.Fatal("Clear of a tier flushed the server")
	}
	if err := store.Clear(ctx, TierWith(g, &TierOptions{AllowClear: true})); err != nil {
		t.Errorf("Clear that is allowed: %v", err)
	}
	if n := c.Exists(ctx, "somebody else's").Val(); n != 0 {
		t.Error("this is FLUSHALL no more: the documentation is out of date")
	}
}

func TestTierHandsTagsOn(t *testing.T) {
	g, _ := gocacheRedis(t)
	prefix := redistest.Prefix()
	s := TierWith(g, &TierOptions{Prefix: prefix, NativeTags: true})
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v"), Tags: []string{prefix + "market"}}); err != nil {
		t.Fatal(err)
	}
	if err := g.Invalidate(ctx, lib_store.WithInvalidateTags([]string{prefix + "market"})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after gocache's own Invalidate: %v", err)
	}
}

func TestTierOfAnotherValueTypeIsAnErrorAndNoPanic(t *testing.T) {
	s := Tier(gocacheRistretto[string](t))
	var serr *store.Error
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v")}); !errors.As(err, &serr) || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("[]byte into a store of strings: %v", err)
	}
	s = TierWith(gocacheRistretto[string](t), &TierOptions{Strings: true})
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(ctx, "k"); err != nil || string(e.Value) != "v" {
		t.Errorf("%q, %v", e.Value, err)
	}
}

// stuck is a gocache store that answers nothing until it is released, and whose
// errors quote whole values.
type stuck struct {
	lib_store.StoreInterface
	release chan struct{}
	err     error
}

func (s stuck) Get(context.Context, any) (any, error) {
	<-s.release
	return nil, s.err
}

func (s stuck) Set(context.Context, any, any, ...lib_store.Option) error { return s.err }

func TestTierLeavesAStuckStore(t *testing.T) {
	g := stuck{release: make(chan struct{})}
	late, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := Tier(g).Get(late, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(g.release)
}

// slow is a gocache store of which the writes hang until they are released.
type slow struct {
	lib_store.StoreInterface
	release chan struct{}
}

func (s slow) Set(ctx context.Context, key, value any, options ...lib_store.Option) error {
	<-s.release
	return s.StoreInterface.Set(context.WithoutCancel(ctx), key, value, options...)
}

func (s slow) Clear(ctx context.Context) error {
	<-s.release
	return s.StoreInterface.Clear(context.WithoutCancel(ctx))
}

// A write that its caller has left undoes no later one.
func TestTierOrdersWritesThatWereLeft(t *testing.T) {
	old, later := store.Entry{Value: []byte("old")}, store.Entry{Value: []byte("later")}
	for _, tc := range []struct {
		name         string
		left, later  func(context.Context, store.Store) error
		want, others string
	}{
		{"delete after set", setTo(old), func(ctx context.Context, s store.Store) error { return s.Delete(ctx, "k") }, "", "other"},
		{"set after set", setTo(old), setTo(later), "later", "other"},
		{"clear after set", setTo(old), store.Clear, "", ""},
		{"set after clear", store.Clear, setTo(later), "later", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := slow{Wrap(mapstore.New()), make(chan struct{})}
				s := TierWith(g, &TierOptions{AllowClear: true})
				if err := TierWith(g.StoreInterface, nil).Set(ctx, "other", store.Entry{Value: []byte("other")}); err != nil {
					t.Fatal(err)
				}
				short, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				if err := tc.left(short, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("the write that hangs: %v", err)
				}
				if err := tc.later(short, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a write after its context ended: %v", err)
				}
				done := make(chan error)
				go func() { done <- tc.later(ctx, s) }()
				synctest.Wait()
				select {
				case <-done:
					t.Error("a later write did not wait for the one before it")
				default:
				}
				close(g.release)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				for key, want := range map[string]string{"k": tc.want, "other": tc.others} {
					if e, err := s.Get(ctx, key); string(e.Value) != want || (err != nil) != (want == "") {
						t.Errorf("%s is %q, %v; want %q", key, e.Value, err, want)
					}
				}
			})
		})
	}
}

func setTo(e store.Entry) func(context.Context, store.Store) error {
	return func(ctx context.Context, s store.Store) error { return s.Set(ctx, "k", e) }
}

func TestTierShortensErrors(t *testing.T) {
	cause := errors.New(strings.Repeat("é", 5000))
	err := Tier(stuck{err: cause}).Set(ctx, "k", store.Entry{})
	if len(err.Error()) > 400 || !errors.Is(err, cause) {
		t.Errorf("an error of %d bytes, cause kept: %v", len(err.Error()), errors.Is(err, cause))
	}
}

func TestTierReportsDamage(t *testing.T) {
	g, c := gocacheRedis(t)
	prefix := redistest.Prefix()
	s := TierWith(g, &TierOptions{Prefix: prefix})
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("value")}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetRange(ctx, prefix+"k", 18, "X").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
