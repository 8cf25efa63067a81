// Package packstore is the cache tier in the program's own memory for values that
// are bytes: entries are packed one behind the other in a log, without a pointer
// to any of them, so that a million small values cost the garbage collector
// nothing and 45 to 60 bytes each beside their key and value.
//
// # Beside memstore
//
// Package memstore keeps decoded values of any type, which a hit returns without a
// copy; it knows no keys and its engine decides asynchronously. A packstore copies
// a small value on its way in and out, lists its keys, and has decided when a call
// returns. It is what a server of bytes wants; a program that reads structs wants
// memstore.
//
// # Entries and objects
//
// A Store holds entries ([Store.Set]) and objects ([Store.SetObject]) in one key
// space. An object that is a [store.Packer] is taken apart, and [Options].Unpack
// makes a new one for GetObject; others, and those beyond a few KiB, are kept as
// they are.
//
// # Eviction
//
// Capacity bounds what the store occupies, keys, tables and garbage of the log
// included. When it is used up, the segment of the log that was written longest
// ago is gone through: what was read since it was last looked at moves to the
// log's end, the rest is evicted. That is the CLOCK algorithm (Corbató, 1968), run
// over a log. A segment that is mostly garbage is rewritten before anything is
// evicted.
package packstore
