package codec

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Result is what one codec does with one value.
type Result struct {
	Name  string
	Bytes int
	// Encode and Decode are medians over the rounds, per value.
	Encode, Decode time.Duration
	// XEncode and XDecode are medians of the times of Base by those of the
	// codec, round by round: above 1 it is faster.
	XEncode, XDecode           float64
	EncodeAllocs, DecodeAllocs int
}

// turn is how long a codec runs before it is the next one's turn.
const turn = 4 * time.Millisecond

// Measure lets the subjects of a value take turns for the given rounds.
func Measure(v Value, rounds int) ([]Result, error) {
	var runs []*run
	for _, s := range v.Subjects {
		r, err := prepare(s)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", v.Name, s.Name, err)
		}
		runs = append(runs, r)
	}
	for round := range rounds {
		for i := range runs {
			r := runs[(i+round)%len(runs)]
			r.encoded = append(r.encoded, per(r.encode, r.encodes))
			r.decoded = append(r.decoded, per(r.decode, r.decodes))
		}
	}
	base := runs[slices.IndexFunc(runs, func(r *run) bool { return r.result.Name == Base })]
	var results []Result
	for _, r := range runs {
		r.result.Encode, r.result.Decode = median(r.encoded), median(r.decoded)
		r.result.XEncode, r.result.XDecode = ratio(base.encoded, r.encoded), ratio(base.decoded, r.decoded)
		results = append(results, r.result)
	}
	return results, nil
}

// run is a subject with its times.
type run struct {
	result           Result
	encode, decode   func()
	encodes, decodes int // in a turn
	encoded, decoded []time.Duration
}

func prepare(s Subject) (*run, error) {
	data, err := s.Append(nil)
	if err != nil {
		return nil, err
	}
	if err := s.Decode(data); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 2*len(data)+1024)
	// Both have just succeeded, and see the same input again.
	r := &run{
		result: Result{Name: s.Name, Bytes: len(data)},
		encode: func() { _, _ = s.Append(buf) },
		decode: func() { _ = s.Decode(data) },
	}
	r.result.EncodeAllocs, r.result.DecodeAllocs = int(testing.AllocsPerRun(3, r.encode)), int(testing.AllocsPerRun(3, r.decode))
	r.encodes, r.decodes = count(r.encode), count(r.decode)
	return r, nil
}

// count returns how often f runs in a turn.
func count(f func()) int {
	for n := 1; ; n *= 4 {
		if took := per(f, n) * time.Duration(n); took > turn/4 {
			return max(1, int(turn*time.Duration(n)/took))
		}
	}
}

// per returns the time of one of n runs.
func per(f func(), n int) time.Duration {
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start) / time.Duration(n)
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func ratio(base, times []time.Duration) float64 {
	r := make([]float64, len(times))
	for i := range times {
		r[i] = float64(base[i]) / float64(max(1, times[i]))
	}
	slices.Sort(r)
	return r[len(r)/2]
}
