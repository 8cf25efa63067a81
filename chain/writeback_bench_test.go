package chain_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store/memstore"
)

func BenchmarkWriteBackSet(b *testing.B) {
	keys := make([]string, 4096)
	for i := range keys {
		keys[i] = "price:" + strconv.Itoa(i)
	}
	b.Run("engine=ristretto", func(b *testing.B) {
		c, err := ristretto.NewCache(&ristretto.Config[string, float64]{NumCounters: 1 << 20, MaxCost: 64 << 20, BufferItems: 64})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			c.SetWithTTL(keys[i&4095], float64(i), 8, time.Hour)
			i++
		}
	})
	b.Run("engine=memstore", func(b *testing.B) {
		m, err := memstore.New(&memstore.Options{Capacity: 64 << 20})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			v := float64(i)
			_ = m.SetObject(keys[i&4095], &v, 8, time.Time{})
			i++
		}
	})
	b.Run("engine=chain", func(b *testing.B) {
		m, err := memstore.New(&memstore.Options{Capacity: 64 << 20})
		if err != nil {
			b.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{{Name: "memory", Store: m}, {Name: "redis", Store: newMap(), WriteBack: true}}, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(context.Background())
		p := chain.NewCache[float64](c, nil)
		ctx := context.Background()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if err := p.Set(ctx, keys[i&4095], float64(i)); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
