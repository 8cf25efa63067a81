// Package alloctest measures what code under test allocates.
package alloctest

import (
	"runtime"
	"testing"
)

// Bytes returns the bytes that f allocates in all, freed or not. What other
// goroutines allocate meanwhile counts too.
func Bytes(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Slack is what Proportional allows for whatever the size of the input: pools
// that fill, buffers that are kept, error texts.
const Slack = 1 << 20

// Proportional fails the test where f allocates more than perByte times the size
// of input, plus Slack. What was not f's doing does not come twice: f is run again
// before it is blamed.
func Proportional(t testing.TB, input []byte, perByte int, f func()) {
	t.Helper()
	limit := uint64(Slack + perByte*len(input))
	used := Bytes(f)
	if used > limit {
		used = min(used, Bytes(f))
	}
	if used > limit {
		t.Fatalf("%d bytes of input made it allocate %d: %.200q", len(input), used, input)
	}
}
