package memstore

import (
	"math/bits"
	"unsafe"

	"github.com/stratacache/strata/internal/index"
	"github.com/stratacache/strata/store"
)

const (
	// perEntry is what one key costs in the engine beside the object: a slot of
	// 72 bytes in its map and one of 17 in its policy's, at the load of maps
	// whose keys come and go, and a cell of 24. Measured are 118 to 189 bytes after a
	// fill and 190 to 270 after three turnovers, without the cell;
	// TestHeapWithinCapacity holds it to account.
	perEntry = 264

	// perIdleSlot is what stays in the maps of an entry that has gone.
	perIdleSlot = 150

	// itemsPerBucket is how many items of a full store a bucket of the index is
	// meant for. There is room for seven, and items may be smaller than expected.
	itemsPerBucket = 4

	// engineFixed is what an empty engine occupies beside its counters: most of
	// it is the queue of 32,768 pointers.
	engineFixed = 320 << 10
)

// entry is an encoded entry as the store holds it: one allocation. The key is
// kept for Scan.
type entry struct {
	index.Header
	store.Entry
	key string
}

// entryCost is the memory that e occupies, everything included.
func entryCost(e *entry) int64 {
	n := overhead(e.key) + int64(unsafe.Sizeof(*e)) + sizeClass(int64(cap(e.Value)))
	if len(e.Tags) > 0 {
		n += int64(len(e.Tags)) * int64(unsafe.Sizeof(""))
		for _, tag := range e.Tags {
			n += int64(len(tag))
		}
	}
	return n
}

// sizeClass is about what the allocator spends on n bytes: it rounds up to one
// of eight sizes per doubling, and large allocations to pages of 8 KiB.
func sizeClass(n int64) int64 {
	switch {
	case n <= 0:
		return 0
	case n <= 64:
		return (n + 15) &^ 15
	case n > 32<<10:
		return (n + 8191) &^ 8191
	}
	step := int64(1) << (bits.Len64(uint64(n-1)) - 4)
	return (n + step - 1) &^ (step - 1)
}

// sizing is how a capacity is divided.
type sizing struct {
	counters    int64 // of the engine's admission policy
	index       int64 // buckets of the index
	fixed       int64 // bytes of tables
	main        int64 // bytes for entries in the engine
	window      int64 // bytes for entries in the window
	windowItems int64
	maxEntry    int64
}

// size divides the capacity. The window is about a hundredth of the items, as in
// W-TinyLFU (Einziger, Friedman, Manes, 2017), so that the engine decides on
// nearly all.
func size(o Options) sizing {
	z := sizing{counters: min(max(o.Items, 1024), 1<<40) * 10}
	for z.counters > 1024 && countersSize(z.counters) > o.Capacity/8 {
		z.counters /= 2
	}
	z.index = pow2(z.counters / 10 / itemsPerBucket)
	z.fixed = engineFixed + countersSize(z.counters) + stripesSize + z.index*index.BucketSize
	z.window = o.Capacity / 32
	z.main = o.Capacity - z.fixed - z.window
	z.windowItems = min(max(z.counters/10/64, 64), maxShards*maxShardItems)
	z.maxEntry = min(o.MaxEntry, z.main)
	return z
}

// countersSize is the memory of ristretto's tables for n counters: a count-min
// sketch of four rows of 4-bit counters, and a Bloom filter of 1 % error.
func countersSize(n int64) int64 {
	sketch := pow2(n) * 2
	bloom := pow2(int64(float64(n)*9.5851)) / 8
	return sketch + bloom
}

func pow2(n int64) int64 { return 1 << bits.Len64(uint64(max(n, 1)-1)) }

// overhead is what a key costs beside its object.
func overhead(key string) int64 { return perEntry + sizeClass(int64(len(key))) }
