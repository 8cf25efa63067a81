// Package storetest checks that a [store.Store] keeps the contract of package
// store. It is meant for authors of stores, in this module and outside:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) store.Store {
//			return mystore.New(t.TempDir())
//		}, nil)
//	}
//
// # What is checked
//
// Each case is a subtest with a name of its own. When it fails, it prints which
// promise was broken and why anyone relies on it. The cases cover reading,
// writing and deleting, keys and values of every kind, deadlines, batches,
// conditional fills, listing, counters, cancellation, closing and durability;
// and, under concurrency, that every read of a key is one of a linearizable
// register (checked with porcupine).
//
// Optional capabilities are checked through the functions of package store, so
// that a store without GetMany is held to the same results by the fall-back. A
// capability that answers errors.ErrUnsupported is skipped.
//
// # Where a store differs
//
// The zero [Options] is the full contract. The fields state what a store may do
// differently; each one loosens as little as possible. What a store may never
// do, whatever the options: return another key's value, an older value, an
// expired one, or report a failure as a miss.
//
// Run the suite with the race detector on.
//
// # The second part
//
// Here a store is looked at by itself. chaintest.Run, in package chain/chaintest,
// puts it under a chain, makes it fail, hang and lose acknowledgements, and checks
// that what a chain promises holds with it. It is one call too.
package storetest
