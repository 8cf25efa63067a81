package policy

import (
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// Bounds of the numeric settings.
const (
	maxJitter = 0.5
	maxEarly  = 10
)

// complain is called for each problem of a rule.
type complain func(field, format string, args ...any)

// check looks at a rule whose class is applied (TTL Never: no expiry).
func (r *Rule) check(bad complain) {
	r.checkNames(bad)
	r.checkDurations(bad)
	r.checkTiers(bad)
	r.checkWrite(bad)
	r.checkStale(bad)
	r.checkRefresh(bad)
	r.checkForm(bad)
}

func (r *Rule) checkNames(bad complain) {
	if r.Name != "" && !validName(r.Name) {
		bad("name", "%q is not a name: letters, digits, _, - and . only, at most 100, beginning with a letter, digit or _", r.Name)
	}
	for _, f := range []struct{ field, value string }{{"codec", r.Codec}, {"encrypt", r.Encrypt}, {"class", r.Class}} {
		if f.value != "" && !validName(f.value) {
			bad(f.field, "%q is not a name", f.value)
		}
	}
	for _, tag := range r.Tags {
		if err := checkTag(tag, r.Keys); err != nil {
			bad("tags", "%v", err)
		}
	}
}

func (r *Rule) checkDurations(bad complain) {
	for _, f := range []struct {
		field string
		d     time.Duration
	}{
		{"ttl", max(r.TTL, 0)},
		{"stale_while_revalidate", r.StaleWhileRevalidate},
		{"stale_if_error", r.StaleIfError},
		{"negative_ttl", r.NegativeTTL},
		{"soft_timeout", r.SoftTimeout},
		{"hard_timeout", r.HardTimeout},
		{"lease", r.Lease},
	} {
		switch {
		case f.d < 0:
			bad(f.field, "%v is negative", f.d)
		case f.d > maxDuration:
			bad(f.field, "%v is longer than 100 years", f.d)
		case f.d > 0 && f.d < time.Millisecond:
			bad(f.field, "%v is shorter than a millisecond, the finest that the tiers can keep", f.d)
		}
	}
	if r.TTL == 0 {
		bad("ttl", "is missing: give the rule a ttl or a class that has one (never says that its keys do not expire)")
	}
	if r.SoftTimeout > 0 && r.HardTimeout > 0 && r.SoftTimeout >= r.HardTimeout {
		bad("soft_timeout", "%v is not shorter than hard_timeout %v", r.SoftTimeout, r.HardTimeout)
	}
}

func (r *Rule) checkTiers(bad complain) {
	if r.Tiers != nil && len(r.Tiers) == 0 {
		bad("tiers", "is empty: leave it out to use all tiers")
	}
	for i, t := range r.Tiers {
		if !validName(t) {
			bad("tiers", "%q is not a tier name", t)
		}
		if slices.Contains(r.Tiers[:i], t) {
			bad("tiers", "%q is named twice", t)
		}
	}
	names := make([]string, 0, len(r.TierTTL))
	for t := range r.TierTTL {
		names = append(names, t)
	}
	sort.Strings(names)
	for _, t := range names {
		d := r.TierTTL[t]
		switch {
		case !validName(t):
			bad("tier_ttl", "%q is not a tier name", t)
		case !r.Uses(t):
			bad("tier_ttl", "%q is not among the rule's tiers (%s)", t, strings.Join(r.Tiers, ", "))
		case d < time.Millisecond:
			bad("tier_ttl", "%s: %v is shorter than a millisecond", t, d)
		case d > maxDuration:
			bad("tier_ttl", "%s: %v is longer than 100 years", t, d)
		case r.TTL > 0 && d > r.TTL:
			bad("tier_ttl", "%s: %v is longer than the ttl %v, which bounds it", t, d, r.TTL)
		}
	}
}

func (r *Rule) checkWrite(bad complain) {
	switch r.Write {
	case "", WriteThrough, WriteBack, WriteAround:
	default:
		bad("write", "%q is none of through, back, around", r.Write)
	}
	if r.Durable && r.Write != WriteBack {
		bad("durable", "needs write: back, of which it makes the queue durable")
	}
}

func (r *Rule) checkStale(bad complain) {
	stale := max(r.StaleWhileRevalidate, r.StaleIfError) > 0
	switch {
	case r.NeverStale && stale:
		bad("serve_stale", "never contradicts %s", r.staleField())
	case r.TTL < 0 && stale:
		bad(r.staleField(), "has no effect: with ttl never nothing gets stale")
	}
	if r.SoftTimeout > 0 && r.Grace() == 0 {
		bad("soft_timeout", "needs stale_while_revalidate or stale_if_error: without them there is no stale value to serve")
	}
}

func (r *Rule) staleField() string {
	if r.StaleWhileRevalidate > 0 {
		return "stale_while_revalidate"
	}
	return "stale_if_error"
}

func (r *Rule) checkRefresh(bad complain) {
	inRange := func(v, lo, hi float64) bool { return !math.IsNaN(v) && v >= lo && v <= hi }
	if !inRange(r.Jitter, 0, maxJitter) {
		bad("jitter", "%v is not between 0 and %v (it is a part of the ttl)", r.Jitter, maxJitter)
	}
	if !inRange(r.RefreshAhead, 0, 1) || r.RefreshAhead == 1 {
		bad("refresh_ahead", "%v is not between 0 and 1 (0.8 refreshes after 80 %% of the ttl)", r.RefreshAhead)
	}
	if !inRange(r.Early, 0, maxEarly) {
		bad("early", "%v is not between 0 and %v", r.Early, maxEarly)
	}
	if r.RefreshAhead > 0 && r.Early > 0 {
		bad("early", "and refresh_ahead are two ways to the same end: choose one")
	}
	if r.TTL >= 0 {
		return
	}
	for _, f := range []struct {
		field string
		v     float64
	}{{"jitter", r.Jitter}, {"refresh_ahead", r.RefreshAhead}, {"early", r.Early}} {
		if f.v > 0 {
			bad(f.field, "has no effect with ttl never")
		}
	}
}

func (r *Rule) checkForm(bad complain) {
	switch r.Compress {
	case "", "zstd", "s2":
	default:
		bad("compress", "%q is none of zstd, s2, none", r.Compress)
	}
	switch r.Wire {
	case WireFramed:
		return
	case WirePlain:
	default:
		bad("wire", "%q is neither framed nor plain", r.Wire)
		return
	}
	const why = "is the codec's bytes and nothing else"
	if len(r.Tags) > 0 {
		bad("tags", "cannot be stored: wire plain %s; use wire: framed", why)
	}
	if r.Compress != "" {
		bad("compress", "contradicts wire: plain, which %s", why)
	}
	if r.Encrypt != "" {
		bad("encrypt", "contradicts wire: plain, which %s", why)
	}
}

// validName reports whether s can name a rule, class or tier, and so a folder
// on any file system.
func validName(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
		if !ok {
			return false
		}
	}
	return true
}
