// Package herd measures stampedes: many callers ask at the same time for a key
// that nobody has. What counts is how often it is loaded ("loads/op"; 1 is the
// best) and how long it takes until every caller has the value.
//
// # One process
//
// BenchmarkStampede: 64 goroutines, a key that was never asked for, and a loader
// that takes a millisecond. The time is that of the whole stampede.
//
// # Two processes
//
// BenchmarkStampedeOverProcesses: 16 goroutines in each of two processes that
// share a Redis, and a loader that takes five milliseconds. A cache that does not
// coordinate processes loads twice. The second process is this test binary,
// started once for each cache.
//
//	make bench PART=herd
package herd
