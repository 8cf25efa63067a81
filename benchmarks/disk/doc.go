// Package disk compares the disk tier with embedded stores on the same work and
// the same guarantee: bbolt, badger, pebble, and a file for each key.
//
// TestReport runs the engines in turn, round by round, so that a busy machine
// slows all of them alike, and prints medians and the ratios to the best of the
// peers; README.md says what each engine does. TestScale shows how strata behaves
// as it grows:
//
//	STRATA_BENCH=1 go test -run TestReport -v -timeout 120m ./disk
//	STRATA_BENCH_SCALE=1 go test -run TestScale -v -timeout 60m ./disk
package disk
