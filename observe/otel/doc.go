// Package otel exports what a chain does to OpenTelemetry.
//
// # Statistics
//
// [Register] makes asynchronous instruments on a meter, which read Chain.Stats
// when they are collected and cost nothing between collections. Those of a tier
// have the attribute "strata.tier", its configured name.
//
// # Events
//
// [NewObserver] returns an observer for chain.Options that records what
// statistics cannot: a histogram of load durations by outcome, the size of
// flushes, and changes of circuit breakers. It has no cost on a cache hit beyond
// an empty call.
//
// No attribute ever holds a key.
package otel
