// Package redisbus carries notify's messages between processes by Redis Pub/Sub.
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
package redisbus
