package policy

import (
	"time"
)

// Never is the TTL, in a rule that is given to New, of keys that do not expire.
const Never time.Duration = -1

// WriteMode says how a write reaches the tiers. The empty mode is the tier's
// own default.
type WriteMode string

// The write modes.
const (
	WriteThrough WriteMode = "through" // every tier before the call returns
	WriteBack    WriteMode = "back"    // queued, and flushed to the tiers later
	WriteAround  WriteMode = "around"  // the farthest tier only; nearer copies are removed
)

// WireForm says what a value looks like to other programs that read the tier.
type WireForm string

// The wire forms. The empty form is WireFramed.
const (
	WireFramed WireForm = "framed" // with version, deadlines, tags and checksum
	WirePlain  WireForm = "plain"  // the codec's bytes and nothing else
)

// Rule is the settings of the keys that match a pattern. Rules that come out
// of a Set are shared: do not modify them.
type Rule struct {
	// Name is the rule's unique name, and that of its table on disk. The
	// default is the pattern's literal segments joined by "_" ("hist",
	// "price_batch"), "default" for the pattern "*". Letters, digits, "_", "-"
	// and "." only; names that differ in case only are the same.
	Name string
	// Keys is the pattern. It is the only field that must be set.
	Keys *Pattern
	// Class is hot, warm, cold, or a label of one's own.
	Class string
	// TTL is how long a value is fresh. For New, 0 means the class's and Never
	// (any negative value) no expiry. In a built Set, the class is applied and
	// 0 means no expiry.
	TTL time.Duration
	// Tiers are the names of the tiers that hold the values; nil means all.
	Tiers []string
	// TierTTL are upper bounds of the TTL by tier.
	TierTTL map[string]time.Duration
	// Write is how writes reach the tiers.
	Write WriteMode
	// Durable makes a write-back write wait for the journal.
	Durable bool
	// Jitter is the part of the TTL, 0 to 0.5, by which deadlines are drawn
	// earlier at random, so that entries written together do not expire
	// together.
	Jitter float64
	// StaleWhileRevalidate is how long past its TTL a value may be served while
	// it is loaded anew in the background.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long past its TTL a value may be served where loading
	// fails.
	StaleIfError time.Duration
	// NeverStale forbids to serve a value past its TTL, whatever happens.
	NeverStale bool
	// RefreshAhead is the part of the TTL, between 0 and 1, after which a hit
	// starts a load in the background; 0 is off.
	RefreshAhead float64
	// Early is the beta of probabilistic early refresh (Vattani, Chierichetti,
	// Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015);
	// 1 is the usual value, 0 is off.
	Early float64
	// NegativeTTL is how long "not found" is remembered; 0 is not at all.
	NegativeTTL time.Duration
	// SoftTimeout is how long a load may take before a stale value is served in
	// its stead; HardTimeout is how long before the caller gets an error. 0 is
	// no limit.
	SoftTimeout, HardTimeout time.Duration
	// Lease is how long one process holds the right to load a key for all; 0 is
	// no lease.
	Lease time.Duration
	// Codec names the codec of the values; empty means the default of the type.
	Codec string
	// Compress is the compression of the values: "zstd", "s2" or empty.
	Compress string
	// Encrypt names the key ring that encrypts the values; empty means none.
	Encrypt string
	// Wire is the form other programs see.
	Wire WireForm
	// Tags are given to every entry, with {placeholders} replaced by the parts
	// of its key; see AppendTags.
	Tags []string

	line int
}

// Grace returns how long a value may be served past its TTL: the longer of the
// stale windows.
func (r *Rule) Grace() time.Duration {
	if r.NeverStale {
		return 0
	}
	return max(r.StaleWhileRevalidate, r.StaleIfError)
}

// Plain reports whether the values are stored as the codec's bytes alone.
func (r *Rule) Plain() bool { return r.Wire == WirePlain }

// Line returns the line of the YAML at which the rule begins, 0 where it was
// made in Go.
func (r *Rule) Line() int { return r.line }

// TierLimit returns the longest TTL that the tier may give a value of this
// rule; 0 means no limit. ok is false where the rule does not use the tier.
func (r *Rule) TierLimit(tier string) (limit time.Duration, ok bool) {
	if !r.Uses(tier) {
		return 0, false
	}
	if d, bounded := r.TierTTL[tier]; bounded {
		return d, true
	}
	return r.TTL, true
}

// Uses reports whether the rule's values go to the named tier.
func (r *Rule) Uses(tier string) bool {
	if r.Tiers == nil {
		return true
	}
	for _, t := range r.Tiers {
		if t == tier {
			return true
		}
	}
	return false
}

// clone returns a copy that shares nothing that can be modified.
func (r *Rule) clone() *Rule {
	c := *r
	if r.Tiers != nil {
		c.Tiers = append([]string{}, r.Tiers...)
	}
	if r.TierTTL != nil {
		c.TierTTL = make(map[string]time.Duration, len(r.TierTTL))
		for k, v := range r.TierTTL {
			c.TierTTL[k] = v
		}
	}
	if r.Tags != nil {
		c.Tags = append([]string{}, r.Tags...)
	}
	return &c
}
