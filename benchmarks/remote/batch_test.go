package remote

import (
	"context"
	"fmt"
	"testing"

	"github.com/maypok86/otter/v2"
	"github.com/redis/rueidis"
	"github.com/viccon/sturdyc"

	"github.com/stratacache/strata/chain"
)

// BenchmarkBatch is a hundred values that Redis has, in one call.
func BenchmarkBatch(b *testing.B) {
	s := start(b)
	all := s.batches(b)
	for i, sub := range all {
		switch sub.name {
		case "go-redis", "rueidis":
			all[i].name = "floor-" + sub.name
		case "strata-chain":
			all[i].name = "strata"
		}
	}
	all = ordered(append(all, s.batchesOfPeers(b)...))
	b.Run(fmt.Sprintf("keys=%d", batchSize), func(b *testing.B) {
		byCallers(b, func(b *testing.B, callers int) { inTurns(b, callers, all) })
	})
}

// ordered puts the subject that others are compared with first.
func ordered(all []subject) []subject {
	for i, s := range all {
		if s.name == "strata" {
			all[0], all[i] = all[i], all[0]
		}
	}
	return all
}

func (s *setup) batches(b *testing.B) []subject {
	c := chain.NewCache[[]byte](chainOf(b, s.remote, true), nil)
	b.Cleanup(func() { _ = c.Chain().Close(context.Background()) })
	return []subject{
		{"go-redis", func(ctx context.Context, i int) error { return s.raw.MGet(ctx, s.everyKey[i%batches]...).Err() }},
		{"strata-store", func(ctx context.Context, i int) error {
			_, err := s.remote.GetMany(ctx, s.everyKey[i%batches])
			return err
		}},
		{"strata-chain", func(ctx context.Context, i int) error {
			r, err := c.GetMany(ctx, s.everyKey[i%batches])
			return complete(len(r), err)
		}},
		{"rueidis", func(ctx context.Context, i int) error {
			_, err := rueidis.MGet(s.rueidis, ctx, s.everyKey[i%batches])
			return err
		}},
	}
}

// batchesOfPeers are the others that keep what they read in memory, where it has
// expired, too, when it is asked for again. What their users write by hand is in the
// name.
func (s *setup) batchesOfPeers(b *testing.B) []subject {
	o := must[*otter.Cache[string, string]](b)(otter.New(&otter.Options[string, string]{
		MaximumSize: 10_000, ExpiryCalculator: otter.ExpiryWriting[string, string](briefly),
	}))
	b.Cleanup(func() { o.StopAllGoroutines() })
	st := sturdyc.New[string](10_000, 64, briefly, 10, sturdyc.WithNoContinuousEvictions())
	tracked := must[rueidis.Client](b)(rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.address}, CacheSizeEachConn: 64 << 20,
	}))
	b.Cleanup(tracked.Close)
	g := s.emptyChain(b)
	return []subject{
		{"otter-and-mget", func(ctx context.Context, i int) error {
			keys := s.everyKey[i%batches]
			values, missing := make(map[string]string, len(keys)), make([]string, 0, len(keys))
			for _, k := range keys {
				if v, ok := o.GetIfPresent(k); ok {
					values[k] = v
				} else {
					missing = append(missing, k)
				}
			}
			got, err := s.texts(ctx, missing)
			for k, v := range got {
				o.Set(k, v)
				values[k] = v
			}
			return complete(len(values), err)
		}},
		{"sturdyc", func(ctx context.Context, i int) error {
			got, err := st.GetOrFetchBatch(ctx, s.everyKey[i%batches], func(k string) string { return k }, s.texts)
			return complete(len(got), err)
		}},
		{"rueidis-tracked", func(ctx context.Context, i int) error {
			got, err := rueidis.MGetCache(tracked, ctx, briefly, s.everyKey[i%batches])
			return complete(len(got), err)
		}},
		{"gocache-one-by-one", func(ctx context.Context, i int) error {
			n := 0
			for _, k := range s.everyKey[i%batches] {
				if _, err := g.Get(ctx, k); err != nil {
					return err
				}
				n++
			}
			return complete(n, nil)
		}},
	}
}

// texts reads keys from Redis.
func (s *setup) texts(ctx context.Context, keys []string) (map[string]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	got, err := s.raw.MGet(ctx, keys...).Result()
	texts := make(map[string]string, len(keys))
	for i, v := range got {
		if text, ok := v.(string); ok {
			texts[keys[i]] = text
		}
	}
	return texts, err
}

func complete(n int, err error) error {
	if err == nil && n != batchSize {
		err = fmt.Errorf("%d of %d values", n, batchSize)
	}
	return err
}
