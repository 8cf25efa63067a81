// Package store defines what a cache tier is: the [Store] interface, the
// [Entry] it holds, the errors it returns and the optional capabilities it may
// have. It imports the standard library only, so that a backend needs nothing
// else of strata.
//
// # The contract
//
// A Store maps string keys to entries. Implementations are safe for concurrent
// use by many goroutines. Every method honours its context: it returns soon
// after the context ends, with an error for which errors.Is(err, ctx.Err())
// holds. The conformance suite in storetest proves the following for any store:
//
//   - A Get after a Set that returned nil, in the same goroutine, returns what
//     was set, or (for a store that evicts) ErrNotFound; never an older entry.
//   - A missing key is [ErrNotFound] itself, without allocation. Anything else
//     that goes wrong is an [*Error] that names the operation, tier and key.
//     An error is never reported as a miss.
//   - An entry past its Expires deadline is never returned. Deadlines are
//     absolute, hold to the millisecond or better, and the zero time means
//     never.
//   - Setting an entry that has already expired removes the key.
//   - Empty values are values; the empty key is [ErrInvalidKey].
//   - Use after Close is [ErrClosed]; a second Close is nil.
//
// # Capabilities
//
// What a store can do beyond the four methods is an optional interface with a
// package function that falls back, as in io/fs: [GetMany], [GetEach], [SetMany],
// [DeleteMany], [Fill], [SetNewer], [Scan], [Clear], [Sync], [StatsOf]. Call the functions, not the
// interfaces.
//
// # Ownership
//
// Bytes handed to a store or received from one are read-only from then on, for
// both sides. A store that keeps Value must not require a copy: the caller has
// given it away. A caller that wants to modify a value it received copies it.
package store
