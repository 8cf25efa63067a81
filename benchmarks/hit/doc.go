// Package hit measures the most frequent thing a cache does: it answers from
// memory. Each benchmark runs a chain with a memory tier beside other caches on
// the same keys, in the same order, in one process.
//
// # Method
//
// Every cache holds all 100,000 keys with a TTL of an hour, and is read by a
// Zipf(1.01) sequence of them, so that what differs is the cost of a hit and not
// the hit ratio. TestEveryCacheHits checks that each of them does hit, with the
// right value. Values are strings of 16 bytes or structs of 64. Serial is one
// goroutine; parallel is GOMAXPROCS of them, each at its own place in the
// sequence.
//
// Ristretto appears three times: with a TTL, which is what a cache needs and what
// the others are compared with; without; and without, but with the value behind a
// pointer together with its deadline ("ristretto-object"), which is the floor of
// what a chain can do on this engine. The peers read a string without looking at
// its bytes, so that the pointer is a cache miss more.
//
// # Reading the result
//
// Absolute times depend on the machine and on what else it does. Compare columns
// of one run:
//
//	make bench BENCH=BenchmarkGet
//
// # In turns
//
// BenchmarkL1Hit, BenchmarkReadThrough, BenchmarkMixed and BenchmarkL1Set are the
// workloads of RESULTS.md: all caches, those of package caches, take turns. Order is
// uniform or Zipf(1.01). Read-through is a get that names a loader, of a key that is
// there; "floor-strata-get" is strata's Get of the same cache. The uniform order is measured
// first, and read-through reads its keys once before: the first read of an object costs
// strata a little more than those that follow (decision 017). Mixed
// replaces one value for 19 reads. Writes replace values that are
// there; what a library defers is waited for between the turns.
//
//	make bench PART=hit
package hit
