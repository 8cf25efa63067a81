// Package disk compares the disk tier with embedded stores on the same work and
// the same guarantee: bbolt, badger, pebble, and a file for each key.
//
// The benchmarks are named for benchstat. TestReport runs the engines in turn,
// round by round, so that a busy machine slows all of them alike, and prints the
// ratios to the best of the peers:
//
//	STRATA_BENCH=1 go test -run TestReport -v -timeout 60m ./disk
package disk
