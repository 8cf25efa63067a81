// Package index finds objects of a cache in two cache lines: one of the table, and
// the first of the object, which says itself which key it belongs to.
//
// A Table is a lossy index beside a cache engine that owns the objects: it may
// forget any of them, and the engine is asked then. It never returns an object that
// was withdrawn. Reads take no lock, and change nothing but the object, once an epoch.
//
// # Layout
//
// A bucket is a cache line: seven pointers, and a byte of each one's hash in a word
// that is searched at once, as in F14 and in the tables of xsync. The object begins
// with a Header, which has a second hash of the key, from a seed of its own: 64 bits
// of it and some twenty of the first have to agree. Comparing the key instead would
// cost another miss of the processor's cache.
//
// # Reads
//
// The engine's admission policy has to learn of reads, and telling it costs more than
// the read. So a read only notes in the object that there was one in this epoch, of
// which there is a new one whenever the cache has been read some times as often as it
// has entries. Who writes looks at a few buckets in turn (Look), and tells the policy
// (Untold); there it also meets what nobody has read for some epochs.
package index
