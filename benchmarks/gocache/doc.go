// Package gocache compares what strata promises with what a chain of
// github.com/eko/gocache does, the library that most Go programs with layered
// caches use.
//
// Each row is a property that a cache of several layers should have, tried on
// both with the same faults: TestRows runs them, fails where strata lacks the
// property, and logs a table. README.md holds the result of the versions that
// go.mod names.
package gocache
