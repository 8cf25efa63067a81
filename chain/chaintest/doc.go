// Package chaintest is the second part of storetest: it puts a [store.Store] under
// a chain and checks, with races and faults, that what a chain promises holds with
// it. It is meant for authors of stores, in this module and outside, and takes one
// call:
//
//	func TestUnderAChain(t *testing.T) {
//		chaintest.Run(t, func(t testing.TB) store.Store {
//			return mystore.New(t.TempDir())
//		}, nil)
//	}
//
// Run storetest first: a store that fails there fails here in ways that are harder
// to read. Package storetest looks at a store by itself; here it is the far tier
// below another, behind a faultstore that makes it fail, hang, and lose
// acknowledgements.
//
// # What is checked
//
// Each case is a subtest, one or more for each promise of a chain: reads see the
// writes before them, deletes are not undone, deadlines are absolute, an error is
// not a miss, one load per key, write-back is ordered and loses nothing, batches
// answer per key, and Close drains. When a case fails it prints which promise was
// broken. Run it with the race detector on.
package chaintest
