// Package chain composes stores into one read-through and write-back cache:
// process memory in front of Redis in front of the local disk, or any part of
// that, under the policies of package policy.
//
// # Reading
//
// [Cache.Get] looks into memory, which holds decoded values; then at the writes
// that are not in their tiers yet; then into the tiers, nearest first. What a
// farther tier had is decoded, put into memory by the reader and into the nearer
// tiers behind its back, with what is left of its deadlines and no more.
// [Cache.GetOrLoad] ends with the caller's loader. Concurrent readers of a key
// share one walk and one load. The file names follow the way: cache.go, miss.go,
// flight.go, read.go, load.go, fill.go.
//
// # Writing
//
// [Cache.Set] and [Cache.Delete] draw a version, then write the tiers far to
// near and memory last (write-through), or leave the operation in a queue per
// tier, one slot a key, where reads see it (write-back). A tier that fails during
// a write-through is owed the operation: it waits in the same queue until the
// tier is back. The files: write.go, queue.go.
//
// With `durable: true` a write-back is in a journal on the local disk before Set
// returns, and is replayed by the next New on the same directory; see
// [PendingOptions]. durable.go and replay.go have it. A [Sink] makes a program's
// own database or API the last tier of the same machinery.
//
// # Other processes
//
// [Options].Feed, with [Tier].Shared on the tier that all use, tells processes of
// each other's writes; a rule's lease lets one of them load a key. feed.go,
// foreign.go, lease.go.
//
// # What holds
//
//   - A Get after a Set or Delete returned nil never sees an older state in this
//     process, in any write mode and whatever memory evicted or refused.
//   - No load or fill that began before a write or delete brings an older value
//     back. Fills carry the stamp at which their read began; see fence.go.
//   - Deadlines are absolute. A fill never extends one.
//   - An error is not a miss: a tier that cannot answer is skipped, counted,
//     reported, and part of the call's error where nothing else had the value.
//   - No caller waits past its context, for a tier, a load or another caller.
//
// # Errors
//
// errors.Is(err, store.ErrNotFound) is a miss. A *[store.Error] names the tier
// that failed, [ErrTierDown] one that was not asked because its circuit breaker
// is open. [ErrBusy] and [*PendingError] concern pending writes, [*PanicError] a
// loader that panicked.
package chain
