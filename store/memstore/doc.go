// Package memstore is the cache tier in the program's own memory, on the
// ristretto v2 engine: W-TinyLFU style admission and sampled LFU eviction, with
// a capacity in bytes.
//
// # What it adds to the engine
//
// Ristretto applies Sets asynchronously, drops a part of them under load, and
// may keep an older value when a key is set twice in a row. A [Store] does not:
// what was set is what the next Get returns, also in a burst, and an older value
// never comes back. New entries stay in a small window of recent writes until
// they have been handed over to the engine in batches, each of which is waited
// for; so the admission policy sees every write. docs/decisions/010 has the
// design and its proof.
//
// A read asks an index of objects first, then the engine, then the window: a hit
// costs no lock, channel or allocation. The engine's policy is told of reads by
// those who write, who also remove what nobody has read for some time: the policy
// by itself knows how often a key was read, and not when (docs/decisions/017).
//
// # Entries and objects
//
// A Store holds encoded entries ([Store.Set], [Store.Get]) and decoded objects
// ([Store.SetObject], [Store.GetObject]) in one key space; the later write
// replaces the earlier one, of whichever kind. Get of a key that holds an object
// is a miss. GetObject of a key that holds an entry returns it as a
// *store.Entry, which nobody may modify; conversely an object of that type is an
// entry to Get.
//
// # Deadlines
//
// Get never returns an entry past its deadline and removes the one it finds.
// GetObject checks nothing: objects keep their own deadlines, see store.Objects.
// Expired entries that nobody reads stay until they are evicted: they cost room,
// which the capacity bounds, but no sweeping. docs/decisions/011 says why.
//
// # Memory
//
// Capacity is what the store as a whole occupies, to about a tenth: keys, values,
// entries, the engine's tables and the window. Values handed over are kept, not
// copied, and are counted with the whole capacity of the slice; a short slice of
// a long array is better copied before.
package memstore
