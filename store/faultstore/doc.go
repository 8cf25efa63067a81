// Package faultstore wraps a [store.Store] and makes it fail on purpose:
// errors, delays, hangs, lost acknowledgements and hooks for interleavings. It
// is for tests of what stands on stores.
//
//	f := faultstore.New(inner)
//	remove := f.Inject(faultstore.Fault{Op: faultstore.OpReads, Err: errors.New("connection refused")})
//	...
//	remove()
//
// # Determinism
//
// Nothing is random: a [Fault] says which calls it lets pass and how many it
// hits, counted in the order in which the calls arrive. Delays use timers and
// channels made by the call itself, so that they work inside testing/synctest.
//
// # Capabilities
//
// A [Store] has every capability of package store that takes a context and
// forwards it by the package's function; over an inner store that lacks one, it
// behaves as the fall-back does (a Fill is then not atomic, a Scan answers
// errors.ErrUnsupported). [Store] is no store.Objects, for whoever asks by a type
// assertion must get a true answer; [NewObjects] wraps a store that holds
// objects.
package faultstore
