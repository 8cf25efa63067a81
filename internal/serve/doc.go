// Package serve puts a chain behind the Redis protocol, so that Redis clients use
// it unchanged.
//
// # What is there
//
// Strings, keys, publish and subscribe, transactions, and what clients ask of a
// server when they connect; table.go has the list. Replies, error texts and the
// order in which arguments are checked are those of Redis 7.0. Anything else is an
// unknown command, never half of one. STRATA is what Redis does not have: a look
// into the tiers, for tools.
//
// # Keys and values
//
// A value is bytes. Its deadline is absolute, and lies in every tier that holds
// it. One that is set without a deadline gets the TTL of its key's rule, or none
// where no rule matches. What is past its soft deadline is not served: there is no
// loader here that could make a new one.
//
// # Atomicity
//
// Every write takes the lock of its key's stripe, so that commands that read,
// change and write back are one step, and a transaction takes the locks of all its
// keys. Reads of one key take no lock unless a transaction is under way; reads of
// several do. So whoever sees one effect of a transaction sees all of it. Programs
// that write to a shared tier beside the server are not held up.
//
// # Limits
//
// Clients, bytes of a request, commands of a transaction, bytes that wait for a
// slow reader, and idle time are bounded, see Options.
package serve
