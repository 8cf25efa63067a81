// Package redisstore is the tier in Redis, which processes and programs share.
// It works with a single server, a Sentinel group, a Cluster and a Ring, and
// with Valkey, through github.com/redis/go-redis/v9.
//
// # Two wire forms
//
// A framed value carries the whole entry: deadlines, version, tags and codec,
// under a checksum. It is what the store writes unless told otherwise. A plain
// value is the codec's bytes and nothing else, for other programs: a Python
// worker reads it with r.get and writes it with r.setex. Options.Wire, normally
// the policy, says which keys are plain.
//
// Both forms are read under every key. What a plain value cannot say is taken
// from Redis or is unknown: its hard deadline is the key's time to live, the
// soft one is that minus the rule's grace, its version is 0, and it has no tags
// and no codec name. A value is a frame if it begins with three bytes that no
// text, JSON, msgpack, CBOR or Parquet begins with; package internal/frame has the
// layout. A frame that fails its check is store.ErrCorrupt, and so is, under a
// key that is not plain, any value that begins with the frame's first byte, C1.
// A plain value that begins with all three is stored framed.
//
// # Deadlines
//
// Times to live are set and read in milliseconds; an entry without a deadline is
// stored without one. A framed entry has its exact deadline in the frame. The
// deadline of a plain one moves by what its write took to reach the server, for
// Redis counts from then.
//
// # Versions
//
// Fill compares versions in a script, so that a slow load cannot undo a newer
// write; over a plain key it stores only where there is nothing. Set is
// unconditional unless Options.NewestWins.
//
// # Other processes, and other programs
//
// [Store.Feed] tells the chains of several processes of each other's writes, over a
// Stream. [Store.TrackingFeed] also tells them of what any other program does to a key,
// and of expiry and eviction, by Redis's client tracking.
//
// # Failures
//
// Every call returns soon after its context ends, also when it is cancelled while
// the server does not answer; only the first one or two writes that find it so may
// keep a cancelled caller for the client's read timeout (two seconds), where that
// is three seconds or less. A write that was given up may still take effect.
//
// Errors of the server (OOM, READONLY, NOAUTH, LOADING) are the Err of the
// *store.Error, as go-redis reports them, and redis.HasErrorPrefix tells them
// apart. A key of another type is [ErrWrongType]. Passwords are in no error.
//
// After as many connections as the pool is large have been refused, go-redis tries
// one a second and fails every call meanwhile: calls fail for up to a second after
// the server is back.
package redisstore
