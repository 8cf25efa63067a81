package policy

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkMatch(b *testing.B) {
	big := make([]Rule, 1000)
	for i := range big {
		big[i] = Rule{Keys: MustPattern(fmt.Sprintf("table%d:{id}:{part}", i)), TTL: time.Minute}
	}
	large, err := New(big...)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, key string
		set       *Set
	}{
		{"rules=11/key=price", "price:AAPL", MarketData()},
		{"rules=11/key=hist", "hist:AAPL:1d:1y", MarketData()},
		{"rules=11/key=none", "unknown:AAPL:1d", MarketData()},
		{"rules=1000/key=table", "table512:AAPL:1d", large},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.set.Match(c.key)
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	p := MustPattern("hist:{symbol}:{interval}:{period}")
	b.ReportAllocs()
	for b.Loop() {
		p.Key("AAPL", "1d", "1y")
	}
}
