package redisstore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// TestRatios prints what the store costs in ratio to raw go-redis commands, both
// measured in turns in one run. It asserts nothing, for times depend on the
// machine; set STRATA_MEASURE=1 to run it.
func TestRatios(t *testing.T) {
	if os.Getenv("STRATA_MEASURE") == "" {
		t.Skip("skipped: set STRATA_MEASURE=1 to measure")
	}
	server := redistest.Start(t)
	raw := server.Options()
	raw.ReadTimeout = DefaultIOTimeout // as NewClient has it
	client := redis.NewClient(raw)
	defer func() { _ = client.Close() }()
	framed, err := New(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := New(client, &Options{Wire: allPlain{}})
	if err != nil {
		t.Fatal(err)
	}
	ordered, err := New(client, &Options{NewestWins: true})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 1024)
	e := store.Entry{Value: value, Version: 1, Expires: time.Now().Add(time.Hour)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("k:", i)
		mustSet(t, framed, keys[i], e)
	}
	mustSet(t, framed, "framed", e)
	mustSet(t, plain, "plain", e)
	get := func() error { return client.Get(ctx, "plain").Err() }
	set := func() error { return client.Set(ctx, "raw", value, time.Hour).Err() }
	// within is a call with a deadline, as a tier's timeout gives it.
	within := func(f func(ctx context.Context) error) func() error {
		return func() error {
			near, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			defer cancel()
			return f(near)
		}
	}
	many := make(map[string]store.Entry, len(keys))
	for _, key := range keys {
		many[key] = e
	}
	pipelined := func() error {
		p := client.Pipeline()
		for _, key := range keys {
			p.Set(ctx, "raw:"+key, value, time.Hour)
		}
		_, err := p.Exec(ctx)
		return err
	}
	for _, m := range []struct {
		name       string
		goroutines int
		raw, ours  func() error
	}{
		{"Get framed / GET", 1, get, func() error { _, err := framed.Get(ctx, "framed"); return err }},
		{"Get plain / GET", 1, get, func() error { _, err := plain.Get(ctx, "plain"); return err }},
		{"Set / SET", 1, set, func() error { return framed.Set(ctx, "set", e) }},
		{"Set / SET, deadline", 1,
			within(func(ctx context.Context) error { return client.Set(ctx, "raw", value, time.Hour).Err() }),
			within(func(ctx context.Context) error { return framed.Set(ctx, "set", e) })},
		{"Set NewestWins / SET", 1, set, func() error { return ordered.Set(ctx, "ordered", e) }},
		{"Get framed / GET", 64, get, func() error { _, err := framed.Get(ctx, "framed"); return err }},
		{"Get plain / GET", 64, get, func() error { _, err := plain.Get(ctx, "plain"); return err }},
		{"Set / SET", 64, set, func() error { return framed.Set(ctx, "set", e) }},
		{"Set NewestWins / SET", 64, set, func() error { return ordered.Set(ctx, "ordered", e) }},
		{"Get framed / GET", 4, get, func() error { _, err := framed.Get(ctx, "framed"); return err }},
		{"GetMany of 100 / MGET", 1, func() error { return client.MGet(ctx, keys...).Err() },
			func() error { _, err := framed.GetMany(ctx, keys); return err }},
		{"SetMany of 100 / SETs", 1, pipelined, func() error { return framed.SetMany(ctx, many) }},
		{"SetMany NewestWins / SETs", 1, pipelined, func() error { return ordered.SetMany(ctx, many) }},
	} {
		if !strings.Contains(m.name, os.Getenv("STRATA_RATIO")) {
			continue
		}
		raw, ours := timed(t, m.goroutines, m.raw), timed(t, m.goroutines, m.ours)
		var ratios, micros []float64
		for range 40 {
			r, o := raw(), ours()
			ratios = append(ratios, o/r)
			micros = append(micros, r)
		}
		slices.Sort(ratios)
		slices.Sort(micros)
		t.Logf("%-24s %2d goroutines: %.2f (quartiles %.2f to %.2f; raw %.1f us)",
			m.name, m.goroutines, ratios[20], ratios[10], ratios[30], micros[20])
	}
}

// timed returns a function that measures f: microseconds per call, with n
// goroutines calling.
func timed(t *testing.T, n int, f func() error) func() float64 {
	const calls = 1600
	return func() float64 {
		var wg sync.WaitGroup
		start := time.Now()
		for range n {
			wg.Go(func() {
				for range calls / n {
					if err := f(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(time.Since(start).Microseconds()) / calls
	}
}
