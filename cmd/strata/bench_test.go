package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLatencies: quantiles are upper bounds, and close.
func TestLatencies(t *testing.T) {
	var l latencies
	var all []time.Duration
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		d := time.Duration(rng.ExpFloat64() * 1e6)
		all = append(all, d)
		l.add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999} {
		exact, got := all[int(q*float64(len(all)))], l.quantile(q)
		if got < exact || float64(got) > float64(exact)*1.04+1 {
			t.Errorf("%g: %v, exactly %v", q, got, exact)
		}
	}
	if l.quantile(1) != all[len(all)-1] {
		t.Errorf("max: %v", l.quantile(1))
	}
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 63, 64, 1<<40 + 7, 1<<63 - 1, -5} {
		if b := bucketOf(d); upTo(b) < d || b > 0 && upTo(b-1) >= d {
			t.Errorf("%d is in bucket %d, up to %d", d, b, upTo(b))
		}
	}
}

// TestBench measures a directory and a server, and leaves nothing behind.
func TestBench(t *testing.T) {
	s := newShell(t)
	p := startServe(t, t.TempDir())
	for _, at := range [][]string{{"--dir", "d"}, {"--addr", p.addr}, nil} {
		args := append([]string{"bench", "--duration", "20ms", "--keys", "50"}, at...)
		got := decode[[]benchResult](t, s.ok(append(args, "--json")...))
		if len(got) != len(workloadNames) {
			t.Fatalf("%+v", got)
		}
		for _, r := range got {
			if r.Requests == 0 || r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max || r.PerSecond <= 0 {
				t.Errorf("%v: %+v", at, r)
			}
		}
		out := s.ok(append(args, "--workloads", "get", "--rate", "1000", "--clients", "2")...)
		if !strings.Contains(out, "WORKLOAD") || !strings.Contains(out, "1000 requests due a second") || strings.Count(out, "\n") != 3 {
			t.Errorf("%s", out)
		}
		if at != nil {
			if out := s.ok(append([]string{"scan"}, at...)...); out != "" {
				t.Errorf("left behind: %s", out)
			}
		}
	}
	for _, bad := range []string{"--workloads nope", "--keys 0", "--clients -1", "--size 0", "--duration 0s", "--rate -1"} {
		s.fails(exitUsage, "strata: ", append([]string{"bench"}, strings.Fields(bad)...)...)
	}
	s.fails(exitFailed, "refused", "bench", "--addr", "127.0.0.1:1")
}
