package chain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/store"
)

// panicCodec is a codec with a bug.
type panicCodec struct{ marshal.Codec[string] }

func (panicCodec) Append([]byte, string) ([]byte, error) { panic("codec bug") }

// A bug in what the user plugs in is an error for the callers, not a crash and
// not a reader that waits for ever.
func TestPanicsOfPluggedInPartsLandTheFlight(t *testing.T) {
	text, err := marshal.For[string]()
	noErr(t, err)
	for name, opts := range map[string]*chain.CacheOptions[string]{
		"codec": {Codec: panicCodec{text}},
		"clone": {Clone: func(string) string { panic("clone bug") }},
		"size":  {Size: func(string) int64 { panic("size bug") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChain(t, two(newObjects(10), newMap()), "", nil)
				cache := chain.NewCache(c, opts)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for range 2 { // the second must not join what is left of the first
					v, err := cache.GetOrLoad(ctx, "k", loads("v"))
					if errors.Is(err, context.DeadlineExceeded) {
						t.Fatal("the caller was left waiting")
					}
					if name == "codec" { // the value is there, only the tiers cannot have it
						want(t, v, err, "v")
						continue
					}
					var pe *chain.PanicError
					if !errors.As(err, &pe) {
						t.Fatalf("%q, %v; want a *PanicError", v, err)
					}
				}
				r, err := cache.GetOrLoadMany(ctx, []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) {
					return map[string]string{"a": "1", "b": "2"}, nil
				})
				if len(r) != 2 || errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("batch: %v, %v", r, err)
				}
				if name == "codec" {
					if err := cache.Set(ctx, "k", "v"); err == nil {
						t.Error("Set with a broken codec returned nil")
					}
				}
			})
		})
	}
}

// panicObserver panics where it is told of misses.
type panicObserver struct{ chain.NopObserver }

func (panicObserver) Miss(string) { panic("observer bug") }

func TestPanickingObserverLandsTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, two(newObjects(10), newMap()), "", &chain.Options{Observer: panicObserver{}})
		cache := chain.NewCache[string](c, nil)
		var pe *chain.PanicError
		for _, ctx := range []context.Context{context.Background(), t.Context()} { // in the caller's goroutine, and apart from it
			if _, err := cache.Get(ctx, "k"); !errors.As(err, &pe) {
				t.Fatalf("Get: %v; want a *PanicError", err)
			}
			if r, _ := cache.GetMany(ctx, []string{"a", "b"}); !errors.As(r["a"].Err, &pe) || !errors.As(r["b"].Err, &pe) {
				t.Fatalf("GetMany: %v", r)
			}
		}
	})
}

// A loader that panics or leaves its goroutine is an error for every waiter, and
// the next call loads anew.
func TestPanickingLoader(t *testing.T) {
	for name, load := range map[string]func(context.Context, string) (string, error){
		"panic":  func(context.Context, string) (string, error) { time.Sleep(time.Second); panic(errBoom) },
		"goexit": func(context.Context, string) (string, error) { time.Sleep(time.Second); goexit(); return "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChain(t, two(newObjects(10), newMap()), "", nil)
				cache := chain.NewCache[string](c, nil)
				errs := make(chan error, 50)
				for range cap(errs) {
					go func() {
						_, err := cache.GetOrLoad(t.Context(), "k", load)
						errs <- err
					}()
				}
				for range cap(errs) {
					var pe *chain.PanicError
					err := <-errs
					if !errors.As(err, &pe) || pe.Key != "k" || pe.Error() == "" {
						t.Fatalf("error %v; want a *PanicError for k", err)
					}
					if name == "panic" && (!errors.Is(err, errBoom) || len(pe.Stack) == 0) {
						t.Fatalf("the panic's error or stack is lost: %v", err)
					}
				}
				v, err := cache.GetOrLoad(t.Context(), "k", loads("v"))
				want(t, v, err, "v")
				if s := c.Stats(); s.Loads != 2 || s.LoadErrors != 1 {
					t.Errorf("%d loads, %d errors; want 2 and 1", s.Loads, s.LoadErrors)
				}
				r, _ := cache.GetOrLoadMany(t.Context(), []string{"a", "b"}, func(ctx context.Context, _ []string) (map[string]string, error) {
					_, err := load(ctx, "")
					return nil, err
				})
				var pe *chain.PanicError
				if !errors.As(r["a"].Err, &pe) || !errors.As(r["b"].Err, &pe) {
					t.Errorf("batch: %v; want *PanicErrors", r)
				}
			})
		})
	}
}

// The error of a caller whose context was ended with a cause is both.
func TestContextErrors(t *testing.T) {
	c := newChain(t, two(newObjects(10), newMap()), "", nil)
	cache := chain.NewCache[string](c, nil)
	cause := errors.New("the user went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, get := cache.Get(ctx, "k")
	_, load := cache.GetOrLoad(ctx, "k", loads("v"))
	_, many := cache.GetMany(ctx, []string{"k"})
	_, view := c.Store().Get(ctx, "k")
	for name, err := range map[string]error{"Get": get, "GetOrLoad": load, "GetMany": many, "Store.Get": view, "Clear": c.Clear(ctx)} {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("%s: %v; want context.Canceled and its cause", name, err)
		}
	}
}

// What is used after Close says so, whatever path it takes.
func TestUseAfterClose(t *testing.T) {
	c := newChain(t, two(newObjects(10), newMap()), "", nil)
	cache := chain.NewCache[string](c, nil)
	ctx := t.Context()
	noErr(t, cache.Set(ctx, "k", "v"))
	noErr(t, c.Close(ctx))
	noErr(t, c.Close(ctx))
	_, get := cache.Get(ctx, "k")
	_, load := cache.GetOrLoad(ctx, "x", loads("v"))
	_, many := cache.GetMany(ctx, []string{"k"})
	_, loadMany := cache.GetOrLoadMany(ctx, []string{"k"}, nil)
	_, explain := c.Explain(ctx, "k")
	for name, err := range map[string]error{
		"Get": get, "GetOrLoad": load, "GetMany": many, "GetOrLoadMany": loadMany, "Explain": explain,
		"Set": cache.Set(ctx, "k", "v"), "Delete": cache.Delete(ctx, "k"), "Clear": c.Clear(ctx),
		"InvalidateTags": c.InvalidateTags(ctx, "t"), "Flush": c.Flush(ctx),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v; want store.ErrClosed", name, err)
		}
	}
	c.Stats()
}

// A load has the values of its caller's context but not its end; it ends with the
// chain, whose word for that is the cause, and when it has returned.
func TestLoadContext(t *testing.T) {
	type mark struct{}
	c := newChain(t, two(newObjects(10), newMap()), "", nil)
	cache := chain.NewCache[string](c, nil)
	ctx, leave := context.WithCancel(context.WithValue(context.Background(), mark{}, "caller's"))
	begun, released := make(chan context.Context, 1), make(chan struct{})
	_, err := cache.GetOrLoad(ctx, "returned", func(ctx context.Context, _ string) (string, error) {
		begun <- ctx
		return "v", nil
	})
	noErr(t, err)
	if lctx := <-begun; lctx.Err() == nil {
		t.Error("the context of a load that has returned has not ended")
	}
	go func() {
		_, _ = cache.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (string, error) {
			begun <- ctx
			<-released
			return "", errBoom
		})
	}()
	lctx := <-begun
	leave()
	if v := lctx.Value(mark{}); v != "caller's" || lctx.Err() != nil {
		t.Errorf("a load whose caller has left: value %v, %v", v, lctx.Err())
	}
	child, cancel := context.WithCancel(lctx)
	defer cancel()
	closing, stop := context.WithCancel(context.Background())
	stop()
	_ = c.Close(closing)
	<-child.Done()
	if cause := context.Cause(child); !errors.Is(cause, store.ErrClosed) {
		t.Errorf("cause of a load's end with the chain: %v", cause)
	}
	close(released)
}
