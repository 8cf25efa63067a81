package chain

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogramBuckets covers 1 ns to 2^40 ns (18 minutes) with two buckets an
// octave: a quantile read from it is at most 50 % too high.
const histogramBuckets = 80

// histogram counts durations in logarithmic buckets.
type histogram struct {
	counts [histogramBuckets]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	n := uint64(max(d, 1))
	h.counts[bucketOf(n)].Add(1)
	h.sum.Add(n)
}

// bucketOf returns the bucket of n nanoseconds: twice the octave, plus one in
// its upper half.
func bucketOf(n uint64) int {
	octave := bits.Len64(n) - 1
	half := 0
	if octave > 0 {
		half = int(n >> (octave - 1) & 1)
	}
	return min(2*octave+half, histogramBuckets-1)
}

// upperBound is the smallest duration that no longer falls into bucket i.
func upperBound(i int) time.Duration {
	octave := i / 2
	if i%2 == 0 {
		return time.Duration(1)<<octave + time.Duration(1)<<octave/2
	}
	return time.Duration(2) << octave
}

// Latency is a distribution of durations.
type Latency struct {
	Count   uint64
	Total   time.Duration // sum of all
	Buckets []Bucket      // only those that are not empty, ascending
}

// Bucket counts the durations below UpTo and not below the previous bucket's.
type Bucket struct {
	UpTo  time.Duration
	Count uint64
}

func (h *histogram) snapshot() Latency {
	l := Latency{Total: time.Duration(h.sum.Load())}
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			l.Count += n
			l.Buckets = append(l.Buckets, Bucket{UpTo: upperBound(i), Count: n})
		}
	}
	return l
}

// Mean returns the average duration, and 0 for an empty distribution.
func (l Latency) Mean() time.Duration {
	if l.Count == 0 {
		return 0
	}
	return l.Total / time.Duration(l.Count)
}

// Quantile returns an upper bound of the q-quantile (0 <= q <= 1), at most 50 %
// above it, and 0 for an empty distribution.
func (l Latency) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.Count))
	var seen uint64
	for _, b := range l.Buckets {
		if seen += b.Count; seen > rank || seen == l.Count {
			return b.UpTo
		}
	}
	return 0
}
