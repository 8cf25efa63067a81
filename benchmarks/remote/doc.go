// Package remote measures what a value in Redis costs: a hit that memory does not
// have, a batch of them, and a write through memory to Redis.
//
// # Method
//
// All talk to one redis-server on loopback, started by the benchmark, and take
// turns, a slice of calls each, in an order that shifts by one each round. Reported
// is the median over the rounds of each one's time as a ratio to plain go-redis
// (GET, MGET, SET) in the same round. Values are 1 KiB. A context can be cancelled
// and has no deadline, but for the subject that says so. Serial is one caller, the
// other mode 64. The chain of batches fills memory each time: what it holds there
// expires before it is asked for again.
//
// Subjects: a strata store by itself and a chain; a store with a feed compares
// versions on each write ("ordered"); rueidis; go-redis/cache without its local
// part; gocache's chain of ristretto and Redis, of which hits are those that
// ristretto does not have.
//
//	make bench BENCH=BenchmarkRemote
//
// # Workloads of RESULTS.md
//
// BenchmarkL2Hit reads what Redis has: from Redis only, and behind a memory that has
// it not, but is asked first and filled after. There, strata's and go-redis/cache's
// memory keep a value for a millisecond, gocache's has no room.
// BenchmarkBatch reads 100 keys in one call. BenchmarkSet writes 1 KiB in every mode;
// where a mode leaves work to the background, "strata" is the time until the write is
// acknowledged, and "strata-until-in-redis" includes the rest. Peers write through.
// BenchmarkMixed replaces one value for 19 reads, over memory and Redis.
// BenchmarkTrackedHit is a hit in memory of caches that are told of other processes'
// writes; those with "untold" in their name are not. "floor" is a client by itself.
//
//	make bench PART=remote
package remote
