// Package otterstore is the cache tier in the program's own memory on the otter
// v2 engine: adaptive W-TinyLFU eviction (Einziger, Eytan, Friedman, Manes) in a
// concurrent hash table. It is the other choice beside memstore, whose engine is
// ristretto; docs/decisions/015 compares the two.
//
// # Contract
//
// A write is visible to every read that begins after it returned, until it is
// replaced, deleted or evicted: otter's table is written at once, and only the
// bookkeeping of its eviction policy is deferred. An entry that is new and has
// never been read may be the one that is evicted when the store is full.
//
// # Entries and objects
//
// A Store holds encoded entries ([Store.Set], [Store.Get]) and decoded objects
// ([Store.SetObject], [Store.GetObject]) in one key space; the later write
// replaces the earlier one, of whichever kind. Get of a key that holds an object
// is a miss. GetObject of a key that holds an entry returns it as a
// *store.Entry, which nobody may modify.
//
// # Deadlines
//
// Get never returns an entry past its deadline and removes the one it finds.
// GetObject checks nothing: objects keep their own deadlines, see store.Objects.
// Expired entries that nobody reads stay until they are evicted.
//
// # Memory
//
// Capacity is what keys, values and entries occupy together with the engine's
// nodes, to about a tenth once the store is full; the engine may go beyond it for
// a moment while it evicts. Values handed over are kept, not copied.
package otterstore
