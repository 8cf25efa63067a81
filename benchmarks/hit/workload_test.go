package hit

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// quote is a value of 64 bytes without pointers.
type quote struct {
	Open, High, Low, Close float64
	Volume                 int64
	Bid, Ask               float64
	Day                    int64
}

func stringValue(i int) string { return fmt.Sprintf("value-%010d", i) }

func quoteValue(i int) quote { return quote{Open: float64(i), Day: int64(i)} }

// keyCount is the number of distinct keys; short runs use fewer, for filling
// nine caches is most of their work.
func keyCount() int {
	if testing.Short() {
		return 1_000
	}
	return 100_000
}

// keys are like those of a real program: a prefix and a varying part.
var keys = sync.OnceValue(func() []string {
	k := make([]string, keyCount())
	for i := range k {
		k[i] = fmt.Sprintf("price:SYM%06d", i)
	}
	return k
})

const traceLen = 1 << 20 // a power of two, so that wrapping around is a mask

// trace is the order in which keys are read: Zipf(1.01), from a fixed seed. The
// strings are shared with keys, as in a program that keeps its keys.
var trace = sync.OnceValue(func() []string {
	k := keys()
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(len(k)-1))
	t := make([]string, traceLen)
	for i := range t {
		t[i] = k[z.Uint64()]
	}
	return t
})
