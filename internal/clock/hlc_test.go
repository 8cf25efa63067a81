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

// The wall clock is set back and forth: versions are never repeated and never
// decrease, and those after a jump back stay right behind the last one until the wall
// clock has caught up.
func TestWallClockJumps(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	now := start
	c := HLC{Origin: 7, Now: func() time.Time { return now }}
	last := c.Next()
	for _, jump := range []time.Duration{time.Hour, -time.Hour, -10 * 365 * 24 * time.Hour, 20 * 365 * 24 * time.Hour, -time.Millisecond, time.Millisecond} {
		highest := Time(last)
		now = now.Add(jump)
		for range 1000 {
			for _, v := range []uint64{c.Next(), c.Seal(), c.Tick()} {
				if v <= last {
					t.Fatalf("after a jump of %v: version %x after %x", jump, v, last)
				}
				last = v
			}
		}
		// A Seal takes the rest of its millisecond, so that a thousand take a second.
		if at := Time(last); now.After(highest) && at.Before(now) || at.Sub(max2(now, highest)) > 2*time.Second {
			t.Errorf("after a jump of %v the version is of %v, the clock at %v and the last version of %v", jump, at, now, highest)
		}
	}
	if v := uint64(now.Add(MaxAhead+time.Hour).UnixMilli()) << counterBits; c.Observe(v) || c.Next() >= v {
		t.Error("a version of the far future has moved the clock")
	}
}

func max2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
