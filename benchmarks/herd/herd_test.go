package herd

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/benchmarks/caches"
	"github.com/stratacache/strata/benchmarks/turns"
	"github.com/stratacache/strata/internal/redistest"
)

func TestMain(m *testing.M) {
	if s := os.Getenv(childEnv); s != "" {
		if err := child(s, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(redistest.Main(m).Run())
}

// source is what is loaded from: slow, and counted.
type source struct {
	takes time.Duration
	loads atomic.Int64
}

func (s *source) load(_ context.Context, key string) (string, error) {
	s.loads.Add(1)
	time.Sleep(s.takes)
	return "value of " + key, nil
}

// figures are the loads of a turn's operations.
func (s *source) figures(n int) map[string]float64 {
	return map[string]float64{"loads/op": float64(s.loads.Swap(0)) / float64(max(n, 1))}
}

// rush has the callers ask for a key at the same time.
func rush(callers int, key string, load func(key string) (string, error)) error {
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for c := range callers {
		wg.Go(func() {
			v, err := load(key)
			if err == nil && v != "value of "+key {
				err = fmt.Errorf("%s is %q", key, v)
			}
			errs[c] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkStampede is a rush on a key that nobody has.
func BenchmarkStampede(b *testing.B) {
	for _, callers := range []int{64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var all []turns.Subject
			for _, m := range caches.All[string]() {
				src := &source{takes: time.Millisecond}
				c := m.Open(b, &caches.Config[string]{Entries: 100_000, Bytes: 64 << 20, Loader: src.load})
				if c.Load == nil {
					continue
				}
				all = append(all, turns.Subject{
					Name:    m.Name,
					Do:      turns.Each(func(i int) error { return rush(callers, fmt.Sprintf("price:H%d", i), c.Load) }),
					Figures: src.figures,
				})
			}
			turns.Run(b, 1, all)
		})
	}
}

// BenchmarkStampedeOverProcesses is a rush in two processes at once.
func BenchmarkStampedeOverProcesses(b *testing.B) {
	srv := redistest.Start(b)
	for _, callers := range []int{16} {
		b.Run(fmt.Sprintf("callers=2x%d", callers), func(b *testing.B) {
			var all []turns.Subject
			for _, m := range caches.AllShared() {
				o := orders{Name: m.Name, Addr: srv.Addr, Callers: callers}
				here, err := o.open()
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(here.close)
				if here.cache.Load == nil {
					continue
				}
				there := start(b, o)
				all = append(all, turns.Subject{
					Name:    m.Name,
					Do:      turns.Each(func(i int) error { return both(here, there, fmt.Sprintf("price:H%d", i)) }),
					Figures: here.source.figures,
				})
			}
			turns.Run(b, 1, all)
		})
	}
}

// TestOneLoad: where strata loads under a lease, two processes load once.
func TestOneLoad(t *testing.T) {
	o := orders{Name: "strata", Addr: redistest.Start(t).Addr, Callers: 4}
	here, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(here.close)
	there := start(t, o)
	const rounds = 20
	for i := range rounds {
		if err := both(here, there, fmt.Sprintf("price:H%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := here.source.loads.Load(); n != rounds {
		t.Errorf("%d loads for %d keys", n, rounds)
	}
}
