// Package diskstore is a store on the local disk whose files are plain Parquet:
// DuckDB, pandas and polars open them while a program uses them.
//
// # Layout
//
// Writes go to a journal and to memory. Some megabytes of them at a time are
// sealed into a segment: a Parquet file sorted by the hash of the key, and an
// index that is mapped into memory. In a Parquet file that is PLAIN and
// uncompressed a value is one contiguous range, so that a get is a probe of the
// index and one slice of a mapping. Nothing of a sealed entry is kept on the
// heap. Segments are compacted in tiers in the background. docs/format.md in the
// repository describes the files.
//
// # Tables
//
// A value of codec "parquet", whose key [Options].Partitioner splits into named
// parts, becomes a Parquet file of its own, with its typed columns:
//
//	tables/hist/symbol=AAPL/interval=1d/period=1y/data.parquet
//
// It is replaced atomically, and removed when the key is deleted, so that a
// query over tables/hist/**/*.parquet with hive_partitioning sees one version of
// each key.
//
// # Durability
//
// Options.Sync says when a write is on the disk. Whatever it says, a crash loses
// only the newest writes, and a delete that is on the disk stays: tombstones are
// kept for as long as there may be something older to hide. After a failed fsync
// the journal's file is given up for good. What is in memory is then sealed, and
// a new journal begun; writes fail until that has worked. A write that failed
// may be visible, and may be there after a restart, or not.
//
// # Capacity and expiry
//
// An entry past its deadline is never returned. Its space comes back when
// compaction finds that enough of a segment has expired or was replaced. With
// Options.Capacity the entries written longest ago go first, a segment at a
// time.
//
// # Damage
//
// All that is read is checked. A row that fails its check is store.ErrCorrupt; a
// segment that is lost becomes misses, and so do the older values of its keys,
// which must not show. Verify looks at everything, Repair makes good what can be
// made good and keeps the damaged files in quarantine/. Damage costs no more
// memory than the damaged file has bytes, and a file that is cut short while it
// is mapped gives errors, not a crash.
//
// # Concurrency
//
// A Store is safe for concurrent use. Readers take no locks that writers or
// compaction hold for long. One process may have a directory open for writing;
// others may open it with Options.ReadOnly.
package diskstore
