// Package policy says, per key pattern, how long data lives, in which tiers and
// how it is written. It does no I/O.
//
// # Patterns
//
// A key is a list of segments separated by ":". A [Pattern] is the same list
// with placeholders: "hist:{symbol}:{interval}:{period}". A placeholder stands
// for one whole, non-empty segment. A last segment "*" stands for everything
// that is left, at least one character of it, and "*" alone matches every key.
//
// [Pattern.Key] builds keys and [Pattern.Parse] takes them apart. A part may be
// any string: what would break the key (":", "%", control characters, an empty
// part) is escaped as %XX. The two are inverse to each other.
//
// # Rules, classes, sets
//
// A [Rule] holds the settings of the keys that match its pattern. A class is a
// name for settings that several rules share. Three classes are built in: hot
// (5 minutes), warm (4 hours) and cold (24 hours). A rule's own settings win
// over its class's.
//
// A [Set] is the compiled, immutable form: [Set.Match] finds the one rule of a
// key without allocating. Segment by segment, from the left, a literal beats a
// placeholder and a placeholder beats "*". Two rules that match a common key
// without one being the more specific ("a:{x}" and "{x}:b" for "a:b") are an
// error when the set is built, unless a third rule covers exactly the keys they
// share. So are two rules of one shape, of which the second could never match.
//
// # YAML
//
// [Parse] reads this form; every field but keys is optional, as long as a rule
// gets a ttl from somewhere:
//
//	classes:
//	  hot: {ttl: 5m, jitter: 0.1}       # overrides the built-in class
//	  ticks: {ttl: 250ms, tiers: [memory]}
//	rules:
//	  - keys: price:{symbol}
//	    name: price                     # table name; default: the literals, joined by "_"
//	    class: hot
//	    ttl: 90s                        # or never
//	    tiers: [memory, redis]          # default: all
//	    tier_ttl: {memory: 5s}          # upper bounds
//	    write: through                  # through, back or around; default: the tier's
//	    durable: false                  # with write: back, journal before answering
//	    jitter: 0.1                     # of the TTL, 0 to 0.5
//	    stale_while_revalidate: 30s
//	    stale_if_error: 10m
//	    serve_stale: never              # instead of the two above
//	    refresh_ahead: 0.8              # of the TTL, after which a hit refreshes
//	    early: 1.0                      # XFetch beta, instead of refresh_ahead
//	    negative_ttl: 10s
//	    soft_timeout: 50ms
//	    hard_timeout: 2s
//	    lease: 5s
//	    codec: json
//	    compress: zstd                  # zstd, s2 or none
//	    encrypt: main                   # a key ring's name, or none
//	    wire: plain                     # framed (default) or plain
//	    tags: [prices, "symbol:{symbol}"]
//
// Durations are Go's ("1h30m", "250ms") and may begin with weeks and days
// ("7d", "1w", "1d12h"). Field names may be written with "-" for "_". Unknown
// fields, bad values and combinations that cannot work are refused, all in one
// [*Error] with line and field.
package policy
