// Package integration holds the tests of whole chains: the real tiers together, a
// real Redis, and several processes that share it.
package integration
