// Package journal is an append-only log of records with group commit, for the
// disk tier and for queues that must survive a crash.
//
// # Files
//
// A journal is a directory of files N.wal, N counting up. A file is zeroed ahead
// of its use, so that fdatasync has no metadata to write, and may be one used
// before: each use draws a random epoch, which every record carries, so that what
// is left of an earlier use is never taken for a record, not even where a value
// was made to look like one.
// docs/format.md has the layout.
//
// # Durability
//
// One goroutine writes at a time. It takes all that has been appended since the
// last write, writes and syncs it in one go, and wakes those who wait: group
// commit.
// When a write or a sync fails, the file is abandoned and never synced again: a
// later fsync may report success for data that the kernel has dropped (Rebello
// et al., "Can Applications Recover from fsync Failures?", 2020). All appends
// fail until [Journal.Recover] has begun a new file; the owner must write anew
// what was not yet durable.
//
// # Replay
//
// [Journal.Replay] delivers the records of each file up to the last valid one,
// in order, and reports what it dropped. It runs before the first append.
package journal
