package clock

import (
	"testing"
	"time"
)

// Clocks of different origin that are read in the same millisecond return
// different versions of the same time.
func TestOriginsKeepClocksApart(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	a, b := HLC{Origin: 5, Now: func() time.Time { return now }}, HLC{Origin: 900, Now: func() time.Time { return now }}
	seen := map[uint64]bool{}
	for range 100 {
		for _, v := range []uint64{a.Next(), b.Next()} {
			if seen[v] {
				t.Fatalf("version %x twice", v)
			}
			if seen[v] = true; !Time(v).Equal(now) {
				t.Errorf("version %x is of %v, want %v", v, Time(v), now)
			}
		}
	}
	if next := a.Next(); !b.Observe(next+1000) || b.Next() <= next+1000 {
		t.Error("a clock does not pass what it observed")
	}
}
