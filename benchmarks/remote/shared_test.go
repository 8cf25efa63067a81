package remote

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stratacache/strata/benchmarks/caches"
	"github.com/stratacache/strata/benchmarks/turns"
	"github.com/stratacache/strata/internal/redistest"
)

// sharedKeys is the number of keys of the workloads over memory and Redis.
func sharedKeys() int {
	if testing.Short() {
		return 200
	}
	return 10_000
}

// sharedCache is memory over Redis, filled.
type sharedCache struct {
	name string
	*caches.Shared
}

// openShared opens all that can read and write, with every key.
func openShared(b *testing.B, addr, text string) []sharedCache {
	b.Helper()
	ctx := context.Background()
	var all []sharedCache
	for _, m := range caches.AllShared() {
		c := must[*caches.Shared](b)(m.Open(&caches.SharedConfig{Addr: addr, Entries: 4 * sharedKeys()}))
		b.Cleanup(c.Close)
		if c.Get == nil || c.Set == nil {
			continue
		}
		for i := range sharedKeys() {
			if err := c.Set(ctx, fmt.Sprintf("price:%d", i), text); err != nil {
				b.Fatal(m.Name, err)
			}
		}
		for i := range 5 * sharedKeys() { // and in memory, where writing puts it late or not at all
			if _, err := c.Get(ctx, fmt.Sprintf("price:%d", i%sharedKeys())); err != nil {
				b.Fatal(m.Name, err)
			}
		}
		all = append(all, sharedCache{m.Name, c})
	}
	return all
}

// zipfOf is a sequence of keys: Zipf(1.01), from a fixed seed.
func zipfOf(prefix string) []string {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(sharedKeys()-1))
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = fmt.Sprint(prefix, z.Uint64())
	}
	return keys
}

// BenchmarkMixed is 95 reads to 5 writes of 1 KiB, over memory and Redis.
func BenchmarkMixed(b *testing.B) {
	text := strings.Repeat("x", 1024)
	all := openShared(b, redistest.Start(b).Addr, text)
	ctx := context.Background()
	through, back := zipfOf("price:"), zipfOf("back:")
	byCallers(b, func(b *testing.B, callers int) {
		var subjects []turns.Subject
		add := func(name string, c sharedCache, keys []string) {
			s := turns.Subject{Name: name, Do: turns.Each(func(i int) error {
				k := keys[i*31&(len(keys)-1)]
				if i%20 == 7 {
					return c.Set(ctx, k, text)
				}
				_, err := c.Get(ctx, k)
				return err
			})}
			if c.Flush != nil {
				s.Settle = func() error { return c.Flush(ctx) }
			}
			subjects = append(subjects, s)
		}
		for _, c := range all {
			add(c.name, c, through)
			if c.name == "strata" {
				for i := range sharedKeys() {
					if err := c.Set(ctx, fmt.Sprint("back:", i), text); err != nil {
						b.Fatal(err)
					}
				}
				add("strata-back", c, back)
			}
		}
		turns.Run(b, callers, subjects)
	})
}

// BenchmarkTrackedHit is a hit in memory that learns of other processes' writes:
// what gocache and go-redis/cache do not, is in the name.
func BenchmarkTrackedHit(b *testing.B) {
	all := openShared(b, redistest.Start(b).Addr, strings.Repeat("x", 64))
	ctx, keys := context.Background(), zipfOf("price:")
	byCallers(b, func(b *testing.B, callers int) {
		var subjects []turns.Subject
		for _, c := range all {
			name := c.name
			if name == "gocache" || name == "go-redis-cache" {
				name += "-untold"
			}
			subjects = append(subjects, turns.Subject{Name: name, Do: turns.Each(func(i int) error {
				_, err := c.Get(ctx, keys[i*31&(len(keys)-1)])
				return err
			})})
		}
		turns.Run(b, callers, subjects)
	})
}
