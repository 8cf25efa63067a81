// Package redisbus carries notify's messages between processes, by Redis Pub/Sub
// ([Bus]) or by a Redis Stream with consumer groups ([Stream]).
//
// # Pub/Sub
//
// A subscription holds a connection of its own, so that a slow reader delays
// nobody else. When it breaks, it is opened again with growing pauses until that
// works, and the reader is told by a message with Missed = notify.MissedUnknown
// that some may have been lost meanwhile. A connection that is open but silent, to
// a master that was cut off, say, is found by messages that the subscription
// sends to itself.
//
// Delivery is at most once: Redis keeps nothing. Every subscription in every
// process gets every message that matches.
//
// # Streams
//
// Delivery is at least once: of each message that matches a pattern, one
// subscription to it in each group gets a copy, which is to be acknowledged. What
// a process that died had not acknowledged, and what one that lives has left
// unacknowledged for StreamOptions.ClaimAfter, is delivered again, to any of the group;
// handlers must bear to see a message twice. What is published while nobody of the
// group is there waits in Redis.
//
// The stream is bounded by StreamOptions.MaxLen. A group that falls behind by more is
// told how many entries it missed, some of which its pattern may not have matched;
// after Redis has lost the stream it is told notify.MissedUnknown. A message that
// is trimmed while it waits for an acknowledgement is not delivered again.
package redisbus
