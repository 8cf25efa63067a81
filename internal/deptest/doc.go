// Package deptest keeps the dependency rules of the repository true. It holds
// tests only; they read the import graph with go list.
//
//	cmd, examples -> config -> chain -> policy, marshal, store
//	                           store/xxxstore -> store, and the engine of that store
//
// A program that uses memory and disk must link no Redis client and no metrics
// library, whatever else strata can do.
package deptest
