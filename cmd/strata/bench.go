package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// target is what a benchmark measures. An absent key is no error.
type target interface {
	get(ctx context.Context, key string) error
	set(ctx context.Context, key string, value []byte) error
	getMany(ctx context.Context, keys []string) error
	deleteAll(ctx context.Context, keys []string) error
}

// bench is a run of strata bench.
type bench struct {
	*app
	names    []string
	keys     int
	size     int
	clients  int
	rate     float64
	duration time.Duration

	target target
	key    []string
	value  []byte
}

// workloads are what can be measured, by name; n is the number of a request.
func workloads() map[string]func(b *bench, ctx context.Context, r *rand.Rand) error {
	return map[string]func(b *bench, ctx context.Context, r *rand.Rand) error{
		"get":   func(b *bench, ctx context.Context, r *rand.Rand) error { return b.target.get(ctx, b.any(r)) },
		"set":   func(b *bench, ctx context.Context, r *rand.Rand) error { return b.target.set(ctx, b.any(r), b.value) },
		"miss":  func(b *bench, ctx context.Context, r *rand.Rand) error { return b.target.get(ctx, b.any(r)+":absent") },
		"mixed": (*bench).mixed,
		"mget":  (*bench).mget,
	}
}

// workloadNames are their names, in the order in which they are run.
var workloadNames = []string{"set", "get", "mixed", "mget", "miss"}

const batchKeys = 20 // of mget

func (b *bench) any(r *rand.Rand) string { return b.key[r.IntN(len(b.key))] }

func (b *bench) mixed(ctx context.Context, r *rand.Rand) error {
	if r.IntN(10) == 0 {
		return b.target.set(ctx, b.any(r), b.value)
	}
	return b.target.get(ctx, b.any(r))
}

func (b *bench) mget(ctx context.Context, r *rand.Rand) error {
	keys := make([]string, batchKeys)
	for i := range keys {
		keys[i] = b.any(r)
	}
	return b.target.getMany(ctx, keys)
}

func (a *app) benchCommand() *cobra.Command {
	b := &bench{app: a}
	c := &cobra.Command{
		Use: "bench", Short: "Measure the configured tiers, or a server",
		Long: `Measure the tiers of the configuration, or with --addr a server, under some
workloads: set, get (of keys that are there), mixed (9 gets, 1 set), mget (of 20 keys)
and miss. It writes keys of its own and deletes them in the end. Tiers must not be in
use by another program that owns them; what is measured is bytes, without codecs.

Every request is counted; percentiles are upper bounds, at most 3 % too high, the
maximum is exact. Each client sends a request when it has the answer to the one before,
so that while an answer is late the requests behind it are not sent, and not counted as
late. With --rate requests are due at fixed times, and their time begins when they were
due: that is what users would see at this rate.`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			return a.atServer(cmd, func(r *remote) error {
				b.target = server{r.Client}
				return b.run(cmd.Context())
			}, func() error { return b.local(cmd) })
		},
	}
	f := c.Flags()
	f.StringSliceVar(&b.names, "workloads", workloadNames, "what to measure")
	f.IntVar(&b.keys, "keys", 10_000, "number of keys")
	f.IntVar(&b.size, "size", 100, "bytes of a value")
	f.IntVar(&b.clients, "clients", 8, "requests at a time")
	f.Float64Var(&b.rate, "rate", 0, "requests a second, by all clients; 0: as many as there are answers")
	f.DurationVar(&b.duration, "duration", 3*time.Second, "time for each workload")
	return withAddr(withTimeout(c))
}

func (b *bench) check() error {
	all := workloads()
	for _, name := range b.names {
		if all[name] == nil {
			return usage("there is no workload %q: there are %s", name, strings.Join(workloadNames, ", "))
		}
	}
	for _, n := range []struct {
		flag     string
		n, limit int
	}{{"keys", b.keys, 100_000_000}, {"clients", b.clients, 10_000}, {"size", b.size, maxInput}} {
		if n.n < 1 || n.n > n.limit {
			return usage("--%s %d is not between 1 and %d", n.flag, n.n, n.limit)
		}
	}
	if b.duration <= 0 || b.rate < 0 {
		return usage("--duration and --rate cannot be negative, and there must be some duration")
	}
	return nil
}

// local measures the tiers of the configuration, memory as large as it says.
func (b *bench) local(cmd *cobra.Command) (err error) {
	cfg, err := b.load()
	if err != nil {
		return err
	}
	cfg.IgnoreJournal = true
	faults := &faults{}
	cfg.OnError = faults.add
	c, err := cfg.Build(cmd.Context())
	if err != nil {
		return fail(err)
	}
	b.target = tiers{c}
	err = b.run(cmd.Context())
	return errors.Join(err, fail(faults.err()), fail(c.Close(context.WithoutCancel(cmd.Context()))))
}

// run measures one workload after the other.
func (b *bench) run(ctx context.Context) error {
	tag := strconv.FormatUint(rand.Uint64(), 36)
	b.key = make([]string, b.keys)
	for i := range b.key {
		b.key[i] = fmt.Sprintf("strata-bench:%s:%d", tag, i)
	}
	b.value = slices.Repeat([]byte("x"), b.size)
	defer func() { _ = b.target.deleteAll(context.WithoutCancel(ctx), b.key) }()
	if err := b.fill(ctx); err != nil {
		return fail(err)
	}
	var results []benchResult
	all := workloads()
	for _, name := range b.names {
		p := b.begin("bench "+name, b.duration.Milliseconds(), func(ms int64) string { return span(time.Duration(ms) * time.Millisecond) })
		r, err := b.measure(ctx, p, func(r *rand.Rand) error { return all[name](b, ctx, r) })
		p.end()
		if err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
		r.Workload = name
		results = append(results, r)
	}
	return b.report(results)
}

// fill writes every key once.
func (b *bench) fill(ctx context.Context) error {
	p := b.begin("fill", int64(b.keys), amount)
	defer p.end()
	for _, key := range b.key {
		if err := b.target.set(ctx, key, b.value); err != nil {
			return err
		}
		p.add(1)
	}
	return nil
}

func (b *bench) report(results []benchResult) error {
	if b.json {
		return b.printJSON(results)
	}
	rows := [][]string{{"WORKLOAD", "REQUESTS/S", "P50", "P90", "P99", "P99.9", "MAX", "REQUESTS"}}
	for _, r := range results {
		row := []string{r.Workload, fmt.Sprintf("%.0f", r.PerSecond)}
		for _, us := range []float64{r.P50, r.P90, r.P99, r.P999, r.Max} {
			row = append(row, micros(us))
		}
		rows = append(rows, append(row, strconv.FormatUint(r.Requests, 10)))
	}
	if err := b.table(rows); err != nil {
		return err
	}
	how := "each sends when it has its answer"
	if b.rate > 0 {
		how = fmt.Sprintf("%.0f requests due a second", b.rate)
	}
	_, err := fmt.Fprintf(b.out, "%d keys, values of %s, %d clients; %s\n", b.keys, size(int64(b.size)), b.clients, how)
	return fail(err)
}

// micros writes microseconds with three digits or so.
func micros(us float64) string {
	switch {
	case us < 10:
		return fmt.Sprintf("%.2f µs", us)
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	}
	return fmt.Sprintf("%.1f ms", us/1000)
}

// tiers are a target in this process.
type tiers struct{ c *chain.Chain }

func (t tiers) get(ctx context.Context, key string) error {
	_, err := t.c.Store().Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (t tiers) set(ctx context.Context, key string, value []byte) error {
	return t.c.Store().Set(ctx, key, store.Entry{Value: value})
}

func (t tiers) getMany(ctx context.Context, keys []string) error {
	_, err := store.GetMany(ctx, t.c.Store(), keys)
	return err
}

func (t tiers) deleteAll(ctx context.Context, keys []string) error { return t.c.Delete(ctx, keys...) }

// server is a target behind the Redis protocol.
type server struct{ c *redis.Client }

func (s server) get(ctx context.Context, key string) error {
	err := s.c.Get(ctx, key).Err()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

func (s server) set(ctx context.Context, key string, value []byte) error {
	return s.c.Set(ctx, key, value, 0).Err()
}

func (s server) getMany(ctx context.Context, keys []string) error {
	return s.c.MGet(ctx, keys...).Err()
}

func (s server) deleteAll(ctx context.Context, keys []string) error {
	for part := range slices.Chunk(keys, 1000) {
		if err := s.c.Del(ctx, part...).Err(); err != nil {
			return err
		}
	}
	return nil
}
